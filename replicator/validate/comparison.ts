import type { SideSql } from './side-sql.ts';
import type { Side } from './side.ts';
import type { SourceClock, StreamView } from './source-clock.ts';
import type { Difference } from './verdict.ts';

/** A row that differs: by its key, or where it lies (a table without one). */
export interface Example {
  readonly kind: Difference;
  readonly key: string;
}

/** What has been found of a table so far. */
export interface Found {
  readonly rows: number;
  readonly missing: number;
  readonly extra: number;
  readonly different: number;
  /** Rows that were changed so often that nothing can be said of them. */
  readonly unsettled: number;
  readonly examples: readonly Example[];
  /** It stopped at MOST_DIFFERENCES: there are more. */
  readonly stopped: boolean;
}

/** The table is no longer as it was when the comparison began: nothing that was found counts. */
export class TableChanged extends Error {
  override readonly name = 'TableChanged';
}

const EXAMPLES = 10;
/** A table that is another one altogether need not be counted to the end. */
const MOST_DIFFERENCES = 10_000;

export interface ComparisonOptions {
  readonly source: { readonly side: Side; readonly sql: SideSql };
  readonly target: { readonly side: Side; readonly sql: SideSql };
  readonly clock: SourceClock;
  readonly stream: Pick<StreamView, 'removals'>;
  /** `schema.table` on the source. */
  readonly table: string;
  /** Names of the key's columns, for people. */
  readonly keyNames: readonly string[];
  /** By the source's statistics; below 0 where it has none. */
  readonly estimatedRows: number;
  /** Whether the table is followed as it was when the comparison began. */
  readonly unchanged: () => boolean;
  readonly progress: (found: Found) => void;
  readonly signal: AbortSignal;
}

/** One table being compared: both sides, and what has been found. */
export class Comparison {
  readonly source: ComparisonOptions['source'];
  readonly target: ComparisonOptions['target'];
  readonly clock: SourceClock;
  readonly signal: AbortSignal;
  readonly #options: ComparisonOptions;
  readonly #counts = { missing: 0, extra: 0, different: 0 };
  readonly #examples: Example[] = [];
  #rows = 0;
  #unsettled = 0;

  constructor(options: ComparisonOptions) {
    this.#options = options;
    this.source = options.source;
    this.target = options.target;
    this.clock = options.clock;
    this.signal = options.signal;
  }

  get found(): Found {
    return {
      rows: this.#rows,
      ...this.#counts,
      unsettled: this.#unsettled,
      examples: [...this.#examples],
      stopped: this.full,
    };
  }

  get estimatedRows(): number {
    return this.#options.estimatedRows;
  }

  /** Enough differences were found. */
  get full(): boolean {
    return this.#counts.missing + this.#counts.extra + this.#counts.different >= MOST_DIFFERENCES;
  }

  /** UPDATEs, DELETEs and TRUNCATEs of the table that have been applied. */
  get removals(): number {
    return this.#options.stream.removals(this.#options.table);
  }

  /** Call it between the last look and its verdict. */
  refuseChanged(): void {
    if (!this.#options.unchanged()) throw new TableChanged();
  }

  /** What was compared before is compared once more. */
  beginAgain(): void {
    this.#rows = 0;
  }

  compared(rows: number): void {
    this.#rows += rows;
    this.#options.progress(this.found);
  }

  differs(kind: Difference, key: readonly string[]): void {
    const { keyNames } = this.#options;
    const text = key.map((value, at) => (keyNames[at] === undefined ? value : `${keyNames[at]}=${shortened(value)}`));
    this.differsAt(kind, 1, text.join(', '));
  }

  /** So many rows without a key; one of them lies there. */
  differsAt(kind: Difference, rows: number, example: string): void {
    this.#counts[kind] += rows;
    if (this.#examples.length < EXAMPLES) this.#examples.push({ kind, key: example });
  }

  unsettled(rows: number): void {
    this.#unsettled += rows;
  }
}

function shortened(value: string): string {
  return value.length <= 100 ? value : `${value.slice(0, 100)}…`;
}
