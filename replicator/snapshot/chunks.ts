/** A range of a table's blocks: from `from` on, below `to`; null is to the end, wherever that is by then. */
export interface Chunk {
  readonly number: number;
  readonly from: number;
  readonly to: number | null;
}

/** What a worker repeats at most when its connection is lost. */
const MOST_BYTES = 256 << 20;
/** Below this a transaction of its own costs more than it brings. */
const FEWEST_BYTES = 32 << 20;
/** pg_class counts in these; where a server was built with another size, chunks are only less even. */
const BLOCK_BYTES = 8192;
/** So that workers end at about the same time. */
const CHUNKS_A_WORKER = 4;

/**
 * How a table of so many bytes is divided among workers: ranges of its blocks that meet and leave nothing out, however large
 * the table really is. One alone: it is copied in one go.
 */
export function planChunks({ bytes, workers }: { bytes: number; workers: number }): readonly Chunk[] {
  const wanted = Math.min(MOST_BYTES, Math.max(FEWEST_BYTES, bytes / (workers * CHUNKS_A_WORKER)));
  const count = workers === 1 && bytes <= MOST_BYTES ? 1 : Math.max(1, Math.floor(bytes / wanted));
  const blocks = Math.ceil(bytes / BLOCK_BYTES);
  const start = (number: number): number => Math.floor((blocks * number) / count);
  return Array.from({ length: count }, (_, number) => ({
    number,
    from: start(number),
    to: number === count - 1 ? null : start(number + 1),
  }));
}
