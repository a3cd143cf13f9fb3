import type { RelationName } from '../catalog/relation.ts';

/** A part of the rows of a table. */
export interface BlockRange {
  /** The partition that they are in; null is the table itself. */
  readonly relation: RelationName | null;
  /** From block `from` on, below `to`; null is to the end, wherever that is by then. Without any the whole of it. */
  readonly blocks: { readonly from: number; readonly to: number | null } | null;
}

/** What is copied in one go. */
export interface Chunk {
  readonly number: number;
  readonly ranges: readonly BlockRange[];
}

/** What the rows of a table are in: itself, or its partitions. */
export interface Store {
  readonly relation: RelationName | null;
  readonly bytes: number;
  /** It has blocks that can be asked for; a foreign table has none. */
  readonly divisible: boolean;
}

/** What a worker repeats at most when its connection is lost. */
const MOST_BYTES = 256 << 20;
/** Below this a transaction of its own costs more than it brings. */
const FEWEST_BYTES = 32 << 20;
/** pg_class counts in these; where a server was built with another size, chunks are only less even. */
const BLOCK_BYTES = 8192;
/** So that workers end at about the same time. */
const CHUNKS_A_WORKER = 4;
/** Small partitions share a chunk, which locks them all. */
const MOST_PARTITIONS = 100;

/**
 * How a table is divided among workers: ranges of blocks that meet and leave nothing out, however large it really is; small
 * partitions together. One chunk alone: it is copied in one go.
 */
export function planChunks(stores: readonly Store[], { workers }: { workers: number }): readonly Chunk[] {
  const bytes = stores.reduce((sum, store) => sum + store.bytes, 0);
  const whole = workers === 1 && bytes <= MOST_BYTES;
  const wanted = whole ? Infinity : Math.min(MOST_BYTES, Math.max(FEWEST_BYTES, bytes / (workers * CHUNKS_A_WORKER)));
  const chunks: BlockRange[][] = [];
  let small: { ranges: BlockRange[]; bytes: number } | null = null;
  for (const store of stores) {
    const count = store.divisible ? Math.max(1, Math.floor(store.bytes / wanted)) : 1;
    const ranges = rangesOf(store, count);
    if (count > 1 || stores.length === 1) {
      chunks.push(...ranges.map((range) => [range]));
      continue;
    }
    if (!small || small.ranges.length === MOST_PARTITIONS || small.bytes + store.bytes > wanted)
      chunks.push((small = { ranges: [], bytes: 0 }).ranges);
    small.ranges.push(...ranges);
    small.bytes += store.bytes;
  }
  return chunks.map((ranges, number) => ({ number, ranges }));
}

function rangesOf({ relation, bytes }: Store, count: number): BlockRange[] {
  if (count === 1) return [{ relation, blocks: null }];
  const blocks = Math.ceil(bytes / BLOCK_BYTES);
  const start = (number: number): number => Math.floor((blocks * number) / count);
  return Array.from({ length: count }, (_, number) => ({
    relation,
    blocks: { from: start(number), to: number === count - 1 ? null : start(number + 1) },
  }));
}
