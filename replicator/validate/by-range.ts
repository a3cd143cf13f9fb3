import type { Comparison } from './comparison.ts';
import { Portion } from './portion.ts';
import { settle, type Suspect } from './settle.ts';
import type { KeyRange, SideSql } from './side-sql.ts';
import type { Side } from './side.ts';
import type { RowSeen } from './verdict.ts';

/** Ranges read on the source before they are read on the target: the wait in between is the same for all of them. */
const RANGES = 16;

interface Page {
  readonly scanned: number;
  readonly last: (string | null)[];
  readonly rows: number;
  readonly sum: string;
}

interface SourceRange extends KeyRange {
  readonly rows: number;
  readonly sum: string;
}

/** Compares range after range of the key: count and sum of hashes, and row by row only where these differ. */
export async function compareByRange(comparison: Comparison): Promise<void> {
  const { source, target, clock } = comparison;
  const portion = new Portion({ least: 1, first: 1000, most: 20_000 });
  let after: readonly string[] | null = null;
  for (let done = false; !done && !comparison.full;) {
    const ranges: SourceRange[] = [];
    while (!done && ranges.length < RANGES) {
      const from: readonly string[] | null = after;
      const page: Page & { limit: number } = await portion.take(async (limit) => ({
        ...(await source.side.row<Page>(source.sql.page(from, limit))),
        limit,
      }));
      done = page.scanned < page.limit;
      const last: readonly string[] | null = done ? null : page.last.map((value) => value ?? '');
      ranges.push({ after: from, upTo: last, rows: page.rows, sum: page.sum });
      after = last;
    }
    await clock.targetShowsSource();
    const differing: KeyRange[] = [];
    for (const range of ranges) {
      const { rows, sum } = await target.side.row<{ rows: number; sum: string }>(target.sql.range(range));
      if (rows !== range.rows || sum !== range.sum) differing.push(range);
      comparison.compared(range.rows);
    }
    for (const range of differing) await compareRows(comparison, range);
  }
}

async function compareRows(comparison: Comparison, range: KeyRange): Promise<void> {
  const { source, target, clock } = comparison;
  const here = await listed(source.side, source.sql, range);
  await clock.targetShowsSource();
  const there = await listed(target.side, target.sql, range);
  const suspects: Suspect[] = [];
  for (const [id, { key, seen }] of here) {
    const other = there.get(id)?.seen ?? null;
    if (other?.hash !== seen.hash) suspects.push({ key, source: seen, target: other });
  }
  for (const [id, { key, seen }] of there) if (!here.has(id)) suspects.push({ key, source: null, target: seen });
  await settle(comparison, suspects);
}

type Listed = Map<string, { readonly key: readonly string[]; readonly seen: RowSeen }>;

async function listed(side: Side, sql: SideSql, range: KeyRange): Promise<Listed> {
  const rows = await side.rows<{ key: string[]; hash: string; version: string }>(sql.list(range));
  return new Map(rows.map(({ key, hash, version }) => [JSON.stringify(key), { key, seen: { hash, version } }]));
}
