import type { Comparison } from './comparison.ts';
import { Portion } from './portion.ts';
import { settle, type Suspect } from './settle.ts';
import type { KeyRange, SideSql } from './side-sql.ts';
import type { Side } from './side.ts';
import type { RowSeen } from './verdict.ts';

/** Ranges read on the source before they are read on the target: the wait in between is the same for all of them. */
const RANGES = 16;
/** A range of so few rows is listed as it is. */
const ROWS_HELD = 2500;

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

const WHOLE_TABLE: KeyRange = { after: null, upTo: null };

/**
 * Compares range after range of the key: count and sum of hashes. One that differs is compared in smaller ranges, and row by row only
 * where these differ: where rows change all over the table, few of them are held at a time.
 */
export async function compareByRange(comparison: Comparison): Promise<void> {
  const compared = (rows: number): void => comparison.compared(rows);
  const large = new Portion({ least: 1, first: 1000, most: 20_000 });
  const small = new Portion({ least: 1, first: 1000, most: 1000 });
  for await (const range of differingRanges(comparison, WHOLE_TABLE, large, compared)) {
    const parts = range.rows <= ROWS_HELD ? [range] : differingRanges(comparison, range, small);
    for await (const part of parts) await compareRows(comparison, part);
  }
}

async function* differingRanges(
  comparison: Comparison,
  within: KeyRange,
  portion: Portion,
  compared: (rows: number) => void = () => {},
): AsyncGenerator<SourceRange> {
  const { source, target, clock } = comparison;
  let { after } = within;
  for (let done = false; !done && !comparison.full;) {
    const ranges: SourceRange[] = [];
    while (!done && ranges.length < RANGES) {
      const from: readonly string[] | null = after;
      const page: Page & { limit: number } = await portion.take(async (limit) => ({
        ...(await source.side.row<Page>(source.sql.page({ after: from, upTo: within.upTo }, limit))),
        limit,
      }));
      done = page.scanned < page.limit;
      const last: readonly string[] | null = done ? within.upTo : page.last.map((value) => value ?? '');
      ranges.push({ after: from, upTo: last, rows: page.rows, sum: page.sum });
      after = last;
    }
    await clock.targetShowsSource();
    const differing: SourceRange[] = [];
    for (const range of ranges) {
      const { rows, sum } = await target.side.row<{ rows: number; sum: string }>(target.sql.range(range));
      if (rows !== range.rows || sum !== range.sum) differing.push(range);
      compared(range.rows);
    }
    yield* differing;
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
