import type { RowMap } from './row-map.ts';

/** However often a table has refused: after so many batches in order it is tried again. */
const MOST_IN_ORDER = 64;

interface Refusal {
  /** Times in a row. */
  times: number;
  /** Batches that are still to go in order. */
  left: number;
}

/**
 * Tables that have refused the net effect of a batch, as one does whose rows exchange values of a secondary unique column: what is
 * refused costs the work twice, and replays all other tables of the batch row by row too. So the table's next batches go in order at once,
 * twice as many after each refusal, until a net effect is taken. A table without a key is asked each time: in order it would take a pass
 * over the table for each row.
 */
export class Refusals {
  readonly #of = new WeakMap<RowMap, Refusal>();

  refused(map: RowMap): void {
    if (map.find.by !== 'key') return;
    const times = (this.#of.get(map)?.times ?? 0) + 1;
    this.#of.set(map, { times, left: Math.min(2 ** times, MOST_IN_ORDER) });
  }

  taken(map: RowMap): void {
    this.#of.delete(map);
  }

  /** Whether a batch's changes of this table are to go in order. Ask once a batch. */
  inOrder(map: RowMap): boolean {
    const refusal = this.#of.get(map);
    if (!refusal || refusal.left === 0) return false;
    refusal.left--;
    return true;
  }
}
