import { shadowName, type Difference } from '../metadata/shadows.ts';
import type { Relayed } from '../postgres/copy-relay.ts';
import type { Problem } from '../problem.ts';
import type { Chunk } from './chunks.ts';
import { cutCopyEnds, type CopyEnds } from './copy-ends.ts';
import type { CopyObserver, CopyTask } from './copy-table.ts';

/** One table on its way, with what its pieces have brought so far. */
export class TableCopy {
  readonly task: CopyTask;
  readonly #observer: CopyObserver;
  readonly #missing = new Set<number>();
  /** What pieces had sent when their connection was lost: some of them were committed all the same. */
  readonly #unsure = new Map<number, Relayed>();
  rows = 0;
  bytes = 0;
  /** Where its chunks go; null is the table itself. */
  shadow: number | null = null;
  chunks = 0;
  /** Connections that copy pieces of it now. */
  readonly running = new Set<CopyEnds>();
  #failure: Problem | null = null;
  /** Copied, or given up. */
  over = false;

  constructor(task: CopyTask, observer: CopyObserver) {
    this.task = task;
    this.#observer = observer;
  }

  started(): void {
    this.#observer.started(this.task);
  }

  inChunks({ chunks, shadow }: { chunks: readonly Chunk[]; shadow: number | null }): void {
    this.shadow = shadow;
    this.chunks = chunks.length;
    for (const { number } of chunks) this.#missing.add(number);
  }

  /** True for the chunk that was missing last, also when it comes again. */
  isLast({ number }: Chunk): boolean {
    this.#missing.delete(number);
    return this.#missing.size === 0;
  }

  /** Counts what a piece brings; `copy` gives null when an earlier attempt has brought it. */
  async count(number: number, copy: (progress: (rows: number, bytes: number) => void) => Promise<Relayed | null>): Promise<void> {
    let counted: Relayed = { rows: 0, bytes: 0 };
    const add = (now: Relayed): void => {
      this.rows += now.rows - counted.rows;
      this.bytes += now.bytes - counted.bytes;
      counted = now;
      this.#observer.progress(this.task, this.rows, this.bytes);
    };
    try {
      const copied = await copy((rows, bytes) => add({ rows, bytes }));
      add(copied ?? this.#unsure.get(number) ?? counted);
    } catch (error) {
      this.#unsure.set(number, counted);
      add({ rows: 0, bytes: 0 });
      throw error;
    }
  }

  merged(found: Difference): void {
    this.#observer.merged(this.task, found);
  }

  /** It is merged, but the target refuses to drop its shadow. */
  shadowStays(reason: string): void {
    if (this.shadow !== null) this.#observer.shadowStays(this.task, shadowName(this.shadow), reason);
  }

  finished(): void {
    this.over = true;
    this.#observer.finished(this.task, this.rows, this.bytes);
  }

  /** It cannot be copied. Nothing of it goes on: a chunk that came later would be in the way of the next copy. */
  giveUp(problem: Problem): void {
    if (this.over) return;
    this.over = true;
    this.#failure = problem;
    for (const ends of this.running) cutCopyEnds(ends);
  }

  /** Tells the observer of a table that was given up, once, when nothing of it runs any more; true when it did. */
  toldFailure(): boolean {
    if (!this.#failure || this.running.size > 0) return false;
    this.#observer.failed(this.task, this.#failure);
    this.#failure = null;
    return true;
  }
}
