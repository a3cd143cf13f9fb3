import { quoteIdent, quoteRelation } from '../postgres/quote.ts';
import { value, type Session } from './databases.ts';

type Side = Pick<Session, 'query'>;

/** Differing rows shown a table and side. */
const SHOWN = 5;

/**
 * Throws, with a small diff, unless the tables hold exactly the same rows on both sides: as text, all
 * columns of the source, duplicates counted. A table is 'schema.table' or, where its name or columns
 * differ, what `TableNames` says; without any, every table of the source outside schema pgfollow.
 */
export async function compareTables(source: Side, target: Side, ...tables: (string | TableNames)[]): Promise<void> {
  const pairs = tables.length > 0 ? tables : await userTables(source);
  const reports: string[] = [];
  for (const table of pairs) {
    const report = await compareTable(source, target, typeof table === 'string' ? { source: table, target: table } : table);
    if (report) reports.push(report);
  }
  if (reports.length > 0) throw new Error(reports.join('\n'));
}

export interface TableNames {
  readonly source: string;
  readonly target: string;
  /** Source columns to compare; all unless given. */
  readonly columns?: readonly string[];
  /** Source column -> target column. */
  readonly rename?: Readonly<Record<string, string>>;
}

async function compareTable(source: Side, target: Side, table: TableNames): Promise<string | null> {
  const columns = table.columns ?? (await columnsOf(source, table.source));
  const [expected, actual] = await Promise.all([
    rowsOf(source, table.source, columns),
    rowsOf(
      target,
      table.target,
      columns.map((column) => table.rename?.[column] ?? column),
    ),
  ]);
  const { missing, extra } = multisetDifference(expected, actual);
  if (missing.length === 0 && extra.length === 0) return null;
  return [
    `${table.source} has ${expected.length} rows on the source, ${table.target} ${actual.length} on the target (${columns.join(', ')})`,
    ...shown('missing on the target', missing),
    ...shown('only on the target', extra),
  ].join('\n');
}

/** What `expected` has more often than `actual`, and the other way round; both sorted. */
export function multisetDifference(
  expected: readonly string[],
  actual: readonly string[],
): { missing: string[]; extra: string[] } {
  const counts = new Map<string, number>();
  for (const row of expected) counts.set(row, (counts.get(row) ?? 0) + 1);
  for (const row of actual) counts.set(row, (counts.get(row) ?? 0) - 1);
  const missing: string[] = [];
  const extra: string[] = [];
  for (const [row, count] of counts) {
    for (let i = 0; i < count; i++) missing.push(row);
    for (let i = 0; i > count; i--) extra.push(row);
  }
  return { missing: missing.sort(), extra: extra.sort() };
}

function shown(title: string, rows: readonly string[]): string[] {
  if (rows.length === 0) return [];
  const lines = rows
    .slice(0, SHOWN)
    .map((row) => `    ${row.length > 200 ? `${row.slice(0, 200)}… (${row.length} characters)` : row}`);
  return [`  ${title}: ${rows.length}`, ...lines, ...(rows.length > SHOWN ? ['    …'] : [])];
}

async function rowsOf(side: Side, table: string, columns: readonly string[]): Promise<string[]> {
  const rows = await side.query(`SELECT ROW(${columns.map(quoteIdent).join(', ')})::text AS r FROM ${quoted(table)}`);
  return rows.map(({ r }) => r ?? '');
}

async function columnsOf(side: Side, table: string): Promise<string[]> {
  const rows = await side.query(
    `SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
    [quoted(table)],
  );
  return rows.map(({ attname }) => attname ?? '');
}

async function userTables(side: Side): Promise<string[]> {
  const list = await value(
    side,
    `SELECT json_agg(nspname || '.' || relname ORDER BY nspname, relname)
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE relkind IN ('r', 'p') AND NOT relispartition AND relpersistence = 'p'
        AND nspname NOT LIKE 'pg\\_%' AND nspname NOT IN ('information_schema', 'pgfollow')`,
  );
  return JSON.parse(list ?? '[]') as string[];
}

/** Splits at the first dot: enough for the names that tests choose. */
function quoted(table: string): string {
  const dot = table.indexOf('.');
  return dot < 0 ? quoteIdent(table) : quoteRelation({ schema: table.slice(0, dot), name: table.slice(dot + 1) });
}
