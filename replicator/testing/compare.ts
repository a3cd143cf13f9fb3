import { quoteIdent, quoteRelation } from '../postgres/quote.ts';
import { value, type Session } from './databases.ts';

type Side = Pick<Session, 'query'>;

/** Differing rows shown a table and side. */
const SHOWN = 5;

/**
 * Throws, with a small diff, unless the tables hold exactly the same rows on both sides, all columns of the source, duplicates
 * counted: as text, and as the binary that the types' send functions give where both sides have the same types. A table is 'schema.table' or, where its name or columns
 * differ, what `TableNames` says; without any, every table of the source outside schema pgfollow.
 */
export async function compareTables(source: Side, target: Side, ...tables: (string | TableNames)[]): Promise<void> {
  const pairs = tables.length > 0 ? tables : await userTables(source);
  const named = pairs.map((table) => (typeof table === 'string' ? { source: table, target: table } : table));
  const [ours, theirs] = await Promise.all([columnsOf(source, named, 'source'), columnsOf(target, named, 'target')]);
  const reports: string[] = [];
  for (const table of named) {
    const columns = { source: ours.get(table.source) ?? [], target: theirs.get(table.target) ?? [] };
    const report = await compareTable(source, target, table, columns);
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

async function compareTable(
  source: Side,
  target: Side,
  table: TableNames,
  { source: all, target: theirs }: Record<'source' | 'target', readonly CompareColumn[]>,
): Promise<string | null> {
  const others = new Map(theirs.map((column) => [column.name, column]));
  const columns = table.columns ?? all.map(({ name }) => name);
  const byName = new Map(all.map((column) => [column.name, column]));
  const pairs = columns.map((name): [Named, Named] => {
    const renamed = table.rename?.[name] ?? name;
    const [from, to] = [byName.get(name), others.get(renamed)];
    const alike = from?.type === to?.type;
    return [
      { name, send: alike ? from?.send : null },
      { name: renamed, send: alike ? to?.send : null },
    ];
  });
  const rows = (side: Side, name: string, which: 0 | 1): Promise<string[]> =>
    rowsOf(
      side,
      name,
      pairs.map((pair) => pair[which]),
    );
  const [expected, actual] = await Promise.all([rows(source, table.source, 0), rows(target, table.target, 1)]);
  const { missing, extra } = multisetDifference(expected, actual);
  if (missing.length === 0 && extra.length === 0) return null;
  return [
    `${table.source} has ${expected.length} rows on the source, ${table.target} ${actual.length} on the target (${columns.join(', ')})`,
    ...shown('missing on the target', missing),
    ...shown('only on the target', extra),
  ].join('\n');
}

/** What `expected` has more often than `actual`, and the other way round; both sorted. */
function multisetDifference(expected: readonly string[], actual: readonly string[]): { missing: string[]; extra: string[] } {
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

interface Named {
  readonly name: string;
  /** Call of its type's send function, with $ for the value; null where the binary form is not looked at. */
  readonly send?: string | null | undefined;
}

async function rowsOf(side: Side, table: string, columns: readonly Named[]): Promise<string[]> {
  const names = columns.map(({ name }) => quoteIdent(name)).join(', ');
  const binary = columns.flatMap(({ name, send }) =>
    send ? [`coalesce(encode(${send.replace('$', quoteIdent(name))}, 'hex'), 'null')`] : [],
  );
  const both = binary.length === 0 ? 'NULL' : `array_to_string(ARRAY[${binary.join(', ')}], ' ')`;
  // OFFSET keeps them from being made once for each place where they are used.
  const rows = await side.query(
    `SELECT ${shortened('r')} AS r, ${shortened('b')} AS b
       FROM (SELECT ROW(${names})::text AS r, ${both} AS b FROM ${quoted(table)} OFFSET 0) AS rows`,
  );
  return rows.map(({ r, b }) => (b ? `${r} ${b}` : (r ?? '')));
}

/** Long values are compared by what their beginning, length and hash are: they need not all come here. */
function shortened(text: string): string {
  return `CASE WHEN length(${text}) > 500 THEN left(${text}, 150) || '... ' || length(${text}) || ' characters, ' || md5(convert_to(${text}, 'UTF8')) ELSE ${text} END`;
}

interface CompareColumn extends Named {
  readonly name: string;
  readonly type: string;
}

// The binary form of what names an object is an OID, and arrays and composites of types of one's own, which may be inside a
// range, hold the types' OIDs. One query for all tables: it takes longer to plan than to run.
async function columnsOf(
  side: Side,
  named: readonly TableNames[],
  which: 'source' | 'target',
): Promise<Map<string, CompareColumn[]>> {
  const tables = named.map((table) => table[which]);
  const rows = await side.query(
    `SELECT tables.at, attname AS name, format_type(atttypid, -1) AS type,
            CASE WHEN t.typsend NOT IN (0, 'record_send'::regproc) AND format_type(atttypid, -1) NOT LIKE 'reg%'
                  AND (t.typsend <> 'array_send'::regproc OR t.typelem BETWEEN 1 AND 16383)
                  AND (t.typtype <> 'd' OR t.typsend <> 'enum_send'::regproc)
                  AND (t.oid < 16384 OR t.typsend NOT IN ('range_send'::regproc, 'multirange_send'::regproc)
                    OR EXISTS (SELECT FROM pg_range r WHERE t.oid IN (rngtypid, rngmultitypid) AND rngsubtype < 16384)) THEN
              (SELECT format('%I.%I($%s)', n.nspname, p.proname, CASE WHEN a.typtype = 'b' THEN '::' || format_type(a.oid, -1) END)
                 FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_type a ON a.oid = p.proargtypes[0]
                WHERE p.oid = t.typsend)
            END AS send
       FROM unnest($1::regclass[]) WITH ORDINALITY AS tables (relation, at)
       JOIN pg_attribute a ON attrelid = relation JOIN pg_type t ON t.oid = a.atttypid
      WHERE attnum > 0 AND NOT attisdropped ORDER BY at, attnum`,
    [tables.map(quoted)],
  );
  const found = new Map<string, CompareColumn[]>(tables.map((table) => [table, []]));
  for (const { at, name, type, send } of rows)
    found.get(tables[Number(at) - 1] ?? '')?.push({ name: name ?? '', type: type ?? '', send: send ?? null });
  return found;
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
