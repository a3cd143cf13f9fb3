import type { CopiedAsOf } from '../metadata/table-states.ts';
import { copyProblem } from './copy-problem.ts';
import type { TableCopy } from './table-copy.ts';

/** A state of the source that tables are copied as of. */
export interface CopyPoint {
  /** Exported, and alive until the copies of it are over. */
  readonly snapshotName: string;
  /** What the spool need not bring; null where the stream begins exactly there. */
  readonly asOf: CopiedAsOf | null;
}

/** A table whose rows refer to rows that are not there yet, and at what it was put off. */
export interface PutOff {
  readonly table: TableCopy;
  readonly part: 'whole' | 'merge';
  readonly error: unknown;
}

/** Tables that were asked for together. Each call gives those that were put off and are to be tried again now. */
export class CopyRound {
  readonly point: CopyPoint;
  readonly failed: (error: unknown) => void;
  readonly #done: () => void;
  /** Tables that are neither copied nor given up. */
  #open: number;
  /** Some were copied since tables were put off the last time. */
  #progressed = false;
  readonly #putOff: PutOff[] = [];

  constructor(point: CopyPoint, tables: number, { done, failed }: { done: () => void; failed: (error: unknown) => void }) {
    this.point = point;
    this.#open = tables;
    this.#done = done;
    this.failed = failed;
  }

  copied(): readonly PutOff[] {
    this.#progressed = true;
    return this.givenUp();
  }

  givenUp(): readonly PutOff[] {
    if (--this.#open > 0) return this.#due();
    this.#done();
    return [];
  }

  putOff(table: PutOff): readonly PutOff[] {
    this.#putOff.push(table);
    return this.#due();
  }

  // All that are left refer to rows that are not there. Those that came meanwhile may have been what they were waiting for.
  #due(): readonly PutOff[] {
    if (this.#putOff.length < this.#open) return [];
    const waiting = this.#putOff.splice(0);
    if (this.#progressed) {
      this.#progressed = false;
      return waiting;
    }
    for (const { table, error } of waiting) {
      table.giveUp(copyProblem(table.task, error));
      table.toldFailure();
    }
    this.#done();
    return [];
  }
}
