import { walkBlocks } from './blocks.ts';
import type { Comparison, ComparisonOptions } from './comparison.ts';
import type { Blocks } from './side-sql.ts';

/** Rows of these buckets are held at a time, all looks together. */
const ROWS_HELD = 40_000;
const SMALL_TABLE = 100_000;

interface Sum {
  rows: number;
  sum: bigint;
}

/** A bucket that differs: its number, and how many rows were in it. */
export interface Bucket {
  readonly number: number;
  readonly here: number;
  readonly there: number;
}

/**
 * Adds up hashes of rows on both sides, a few blocks at a time, in buckets by the hash, and gives those that differ. Buckets
 * that are equal have been compared.
 */
export async function compareBuckets(comparison: Comparison): Promise<{ count: number; differing: Bucket[] }> {
  const { source, target, clock, estimatedRows } = comparison;
  const count = estimatedRows <= SMALL_TABLE ? 256 : 4096;
  const here = await addedUp(source, count);
  await clock.targetShowsSource();
  const there = await addedUp(target, count);
  const differing: Bucket[] = [];
  let equal = 0;
  for (let number = 0; number < count; number++) {
    const [one, other] = [here.get(number), there.get(number)];
    if (one?.rows === other?.rows && one?.sum === other?.sum) equal += one?.rows ?? 0;
    else differing.push({ number, here: one?.rows ?? 0, there: other?.rows ?? 0 });
  }
  comparison.compared(equal);
  return { count, differing };
}

/** As many buckets together as can be held. */
export function groups(buckets: readonly Bucket[]): Bucket[][] {
  const all: Bucket[][] = [];
  let held = Infinity;
  for (const bucket of buckets) {
    held += bucket.here + bucket.there;
    if (held <= ROWS_HELD) {
      all.at(-1)?.push(bucket);
    } else {
      all.push([bucket]);
      held = bucket.here + bucket.there;
    }
  }
  return all;
}

export function numbers(group: readonly Bucket[]): number[] {
  return group.map(({ number }) => number);
}

/** Rows of the source. */
export function rowsOf(group: readonly Bucket[]): number {
  return group.reduce((sum, { here }) => sum + here, 0);
}

async function addedUp({ side, sql }: ComparisonOptions['source'], count: number): Promise<Map<number, Sum>> {
  const buckets = new Map<number, Sum>();
  const query = (blocks: Blocks) => sql.buckets(blocks, count);
  for await (const part of walkBlocks<{ bucket: number; rows: number; sum: string }>(side, sql, query)) {
    for (const { bucket, rows, sum } of part) {
      const known = buckets.get(bucket);
      if (known) {
        known.rows += rows;
        known.sum += BigInt(sum);
      } else {
        buckets.set(bucket, { rows, sum: BigInt(sum) });
      }
    }
  }
  return buckets;
}
