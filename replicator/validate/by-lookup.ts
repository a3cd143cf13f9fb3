import type { Comparison, ComparisonOptions } from './comparison.ts';
import { walkBlocks } from './blocks.ts';
import { compareBuckets, groups, numbers, rowsOf } from './buckets.ts';
import { lookUp, settle, type Suspect } from './settle.ts';
import type { Blocks } from './side-sql.ts';
import type { RowSeen } from './verdict.ts';

/** Rows looked for on the other side in one statement. */
const KEYS = 1000;

/** Whole tables are read for each group of buckets: where more differ, because much is written, it is quicker to look up all rows. */
const FEW_GROUPS = 4;

/**
 * Compares rows whose keys do not sort alike on both sides (text, under the collations of two machines): as sums of hashes in
 * buckets, and the rows of those that differ by their keys. Where that is most of the table, every row of either side is
 * looked for on the other.
 */
export async function compareByLookup(comparison: Comparison): Promise<void> {
  const { count, differing } = await compareBuckets(comparison);
  const few = groups(differing);
  if (few.length > FEW_GROUPS) return await lookUpAll(comparison);
  for (const group of few) {
    if (comparison.full) return;
    await settleBuckets(comparison, count, numbers(group));
    comparison.compared(rowsOf(group));
  }
}

async function settleBuckets(comparison: Comparison, count: number, buckets: readonly number[]): Promise<void> {
  const { source, target, clock } = comparison;
  const here = await rowsIn(source, count, buckets);
  await clock.targetShowsSource();
  const there = await rowsIn(target, count, buckets);
  // What the target has instead may be in a bucket that is not among these, so it is looked for.
  await settleFromSource(
    comparison,
    [...here].flatMap(([id, row]) => (there.get(id)?.seen.hash === row.seen.hash ? [] : [row])),
  );
  await settleFromTarget(
    comparison,
    [...there].flatMap(([id, row]) => (here.has(id) ? [] : [row])),
  );
}

async function rowsIn(
  { side, sql }: ComparisonOptions['source'],
  count: number,
  buckets: readonly number[],
): Promise<Map<string, KeyedRow>> {
  const rows = new Map<string, KeyedRow>();
  const query = (blocks: Blocks) => sql.keyedBucketRows(blocks, count, buckets);
  for await (const part of walkBlocks<{ key: string[]; hash: string; version: string }>(side, sql, query))
    for (const { key, hash, version } of part) rows.set(JSON.stringify(key), { key, seen: { hash, version } });
  return rows;
}

async function lookUpAll(comparison: Comparison): Promise<void> {
  const { source, target, clock } = comparison;
  comparison.beginAgain();
  for await (const rows of walkKeyed(source)) {
    await clock.targetShowsSource();
    await settleFromSource(comparison, rows);
    comparison.compared(rows.length);
    if (comparison.full) return;
  }
  for await (const rows of walkKeyed(target)) await settleFromTarget(comparison, rows);
}

// Rows of the source, which the target has come to show: those that it shows otherwise, or not at all, are suspects.
async function settleFromSource(comparison: Comparison, rows: readonly KeyedRow[]): Promise<void> {
  const { target } = comparison;
  for (const some of parts(rows)) {
    if (comparison.full) return;
    const others = await lookUp(target.side, target.sql, some);
    await settle(
      comparison,
      some.flatMap(({ key, seen }, at) => suspect(key, seen, others[at] ?? null)),
    );
  }
}

// Rows of the target: those that the source has are looked at from there.
async function settleFromTarget(comparison: Comparison, rows: readonly KeyedRow[]): Promise<void> {
  const { source } = comparison;
  for (const some of parts(rows)) {
    if (comparison.full) return;
    const others = await lookUp(source.side, source.sql, some);
    await settle(
      comparison,
      some.flatMap(({ key, seen }, at) => (others[at] ? [] : [{ key, source: null, target: seen }])),
    );
  }
}

interface KeyedRow {
  readonly key: readonly string[];
  readonly seen: RowSeen;
}

async function* walkKeyed({ side, sql }: ComparisonOptions['source']): AsyncGenerator<KeyedRow[]> {
  const walk = walkBlocks<{ key: string[]; hash: string; version: string }>(side, sql, (blocks) => sql.blocks(blocks));
  for await (const rows of walk) yield rows.map(({ key, hash, version }) => ({ key, seen: { hash, version } }));
}

function* parts(rows: readonly KeyedRow[]): Generator<readonly KeyedRow[]> {
  for (let at = 0; at < rows.length; at += KEYS) yield rows.slice(at, at + KEYS);
}

function suspect(key: readonly string[], source: RowSeen | null, target: RowSeen | null): Suspect[] {
  return source?.hash === target?.hash ? [] : [{ key, source, target }];
}
