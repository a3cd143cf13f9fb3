import type { Oid } from '../postgres/oid.ts';
import { quoteIdent, quoteRelation } from '../postgres/quote.ts';
import { converted, equalityExpression } from './column-sql.ts';
import { imageMatch } from './image-match.ts';
import type { MappedColumn, RowMap } from './row-map.ts';

export type OnConflict = 'error' | 'source_wins';
export type OnMissing = 'skip' | 'insert' | 'error';

/** SQL with numbered parameters: first those of `row` (new values), then those of `old` (what finds the row). */
export interface Statement {
  readonly sql: string;
  readonly types: readonly Oid[];
  readonly row: readonly MappedColumn[];
  readonly old: readonly MappedColumn[];
  /** What its answer says: rows touched (0 is a miss), rows that were missing and put in, or a count that was returned. */
  readonly answer: 'touched' | 'inserted' | 'existed';
}

/**
 * Which columns of the image that finds a row are NULL there: an index finds what IS NULL and what is =, but not what IS NOT DISTINCT
 * FROM. "any": whatever comes, so a statement serves them all. Of no meaning where a key finds the row.
 */
export type ImageNulls = ReadonlySet<MappedColumn> | 'any';

/** The target as FROM item: ONLY, so that tables inheriting from it are left alone; not for partitioned ones. */
export function only(map: Pick<RowMap, 'target'>): string {
  return `${map.target.kind === 'table' ? 'ONLY ' : ''}${quoteRelation(map.target)}`;
}

/** INSERT of one row; with source_wins an existing row of the same key is overwritten and counted. */
export function insertStatement(map: RowMap, onConflict: OnConflict): Statement {
  const { columns } = map;
  const types = columns.map((column) => column.parameterType);
  const plain = insertInto(map, 'VALUES (', ')');
  const key = onConflict === 'source_wins' ? conflictKey(map) : null;
  if (!key) return { sql: plain, types, row: columns, old: [], answer: 'touched' };
  const match = key.map((column) => equals(column, columns.indexOf(column))).join(' AND ');
  const others = columns.filter((column) => !key.includes(column));
  const overwrite = others.some((column) => column.target.identity === 'always') ? rewriteOrInsert : upsert;
  return { sql: overwrite(map, { key, others, match, plain }), types, row: columns, old: [], answer: 'existed' };
}

interface Existing {
  readonly key: readonly MappedColumn[];
  readonly others: readonly MappedColumn[];
  /** Finds the row that has the key. */
  readonly match: string;
  /** INSERT as it would be if there were none. */
  readonly plain: string;
}

function upsert(map: RowMap, { key, others, match, plain }: Existing): string {
  const sets = others.map(({ target: { name } }) => `${quoteIdent(name)} = EXCLUDED.${quoteIdent(name)}`).join(', ');
  const onKey = `ON CONFLICT (${key.map(({ target }) => quoteIdent(target.name)).join(', ')})`;
  return (
    `WITH existing AS (SELECT FROM ${only(map)} AS t WHERE ${match}), ` +
    `written AS (${plain} ${onKey} ${sets === '' ? 'DO NOTHING' : `DO UPDATE SET ${sets}`}) SELECT pg_catalog.count(*) FROM existing`
  );
}

function rewriteOrInsert(map: RowMap, { match }: Existing): string {
  return (
    `WITH gone AS (${takeOut(map, match)}), rewritten AS (${putBack(map, map.columns, map.columns)}), ` +
    `written AS (${insertInto(map, 'SELECT ', ' WHERE NOT EXISTS (SELECT FROM gone)')}) SELECT pg_catalog.count(*) FROM gone`
  );
}

/**
 * UPDATE that sets the columns `changed`, out of `carried`, those whose value was sent. With onMissing=insert and a
 * complete row, a row that is not there is put in.
 */
export function updateStatement(
  map: RowMap,
  { changed, carried }: { changed: readonly MappedColumn[]; carried: readonly MappedColumn[] },
  onMissing: OnMissing,
  nulls: ImageNulls = 'any',
): Statement {
  const insertMissing = onMissing === 'insert' && carried.length === map.columns.length;
  const row = insertMissing ? map.columns : changed;
  const old = imageColumns(map, nulls);
  const types = [...row, ...old].map((column) => column.parameterType);
  const where = whereRow(map, row.length, nulls);
  const rewrites = changed.some((column) => column.target.identity === 'always');
  const gone = rewrites ? [`gone AS (${takeOut(map, where)})`] : [];
  const change = rewrites ? putBack(map, changed, row) : update(map, changed, row, where);
  if (!insertMissing) return { sql: withParts(gone, change), types, row, old, answer: 'touched' };
  const insert = insertInto(map, 'SELECT ', ' WHERE NOT EXISTS (SELECT FROM updated)');
  return { sql: withParts([...gone, `updated AS (${change} RETURNING 1)`], insert), types, row, old, answer: 'inserted' };
}

/** DELETE of one row. */
export function deleteStatement(map: RowMap, nulls: ImageNulls = 'any'): Statement {
  const old = imageColumns(map, nulls);
  const types = old.map((column) => column.parameterType);
  return { sql: `DELETE FROM ${only(map)} AS t WHERE ${whereRow(map, 0, nulls)}`, types, row: [], old, answer: 'touched' };
}

/** One TRUNCATE for the group, as on the source; never CASCADE. */
export function truncateSql(maps: readonly Pick<RowMap, 'target'>[], restartIdentity: boolean): string {
  return `TRUNCATE TABLE ${maps.map(only).join(', ')}${restartIdentity ? ' RESTART IDENTITY' : ''}`;
}

function update(map: RowMap, changed: readonly MappedColumn[], row: readonly MappedColumn[], where: string): string {
  const sets = changed.map((column) => `${quoteIdent(column.target.name)} = ${value(column, row.indexOf(column))}`);
  // Nothing came that could be set (unchanged TOAST beside a fixed identity): the row is touched all the same, for triggers
  // and to see whether it is there.
  const any = map.target.columns.find((column) => column.generated === 'no' && column.identity !== 'always');
  if (sets.length === 0 && any) sets.push(`${quoteIdent(any.name)} = t.${quoteIdent(any.name)}`);
  return `UPDATE ${only(map)} AS t SET ${sets.join(', ')} WHERE ${where}`;
}

// SQL refuses to SET a GENERATED ALWAYS identity column, so the row is taken out and put in again with the new values;
// what was not sent (unchanged TOAST, columns that only the target has) comes from the row itself.
function takeOut(map: RowMap, where: string): string {
  return `DELETE FROM ${only(map)} AS t WHERE ${where} RETURNING t.*`;
}

function putBack(map: RowMap, changed: readonly MappedColumn[], row: readonly MappedColumn[]): string {
  const values = new Map(changed.map((column) => [column.target.name, value(column, row.indexOf(column))]));
  const stored = map.target.columns.filter((column) => column.generated === 'no').map(({ name }) => name);
  return (
    `INSERT INTO ${quoteRelation(map.target)} (${stored.map(quoteIdent).join(', ')}) OVERRIDING SYSTEM VALUE ` +
    `SELECT ${stored.map((name) => values.get(name) ?? `gone.${quoteIdent(name)}`).join(', ')} FROM gone`
  );
}

function withParts(parts: readonly string[], statement: string): string {
  return parts.length === 0 ? statement : `WITH ${parts.join(', ')} ${statement}`;
}

/** INSERT of all columns, each the value that `of` gives; without columns of nothing but defaults. */
export function insertInto(map: RowMap, before: string, after: string, of = value): string {
  const { columns } = map;
  const into = `INSERT INTO ${quoteRelation(map.target)}`;
  if (columns.length === 0) return `${into} DEFAULT VALUES`;
  const names = columns.map((column) => quoteIdent(column.target.name)).join(', ');
  const overriding = columns.some((column) => column.target.identity === 'always') ? ' OVERRIDING SYSTEM VALUE' : '';
  return `${into} (${names})${overriding} ${before}${columns.map((column, i) => of(column, i)).join(', ')}${after}`;
}

// Parameter n, counted from 0.
function value(column: MappedColumn, n: number): string {
  return converted(column, `$${n + 1}`);
}

// A key finds its row by =, so by its index. An image finds exactly one of the rows that equal it (invariant: each
// image is removed exactly as often as on the source); which one does not matter, they are the same.
function whereRow(map: RowMap, first: number, nulls: ImageNulls): string {
  const columns = map.find.columns;
  if (map.find.by === 'key') return columns.map((column, i) => equals(column, first + i)).join(' AND ') || 'false';
  const carried = imageColumns(map, nulls);
  const image = imageMatch(
    columns.map((column) => ({
      column,
      theirs: `s.${quoteIdent(column.target.name)}`,
      ours: value(column, first + carried.indexOf(column)),
      match: nulls === 'any' && !column.target.notNull ? 'equal or both null' : carried.includes(column) ? 'equal' : 'null',
    })),
    // Once a statement, not once a row that is looked at.
    { ofImage: (text) => `(SELECT ${text})` },
  );
  const [left, right] = map.target.kind === 'table' ? ['t.ctid', 's.ctid'] : ['(t.tableoid, t.ctid)', 's.tableoid, s.ctid'];
  return `${left} = (SELECT ${right} FROM ${only(map)} AS s WHERE ${image} LIMIT 1)`;
}

// Those whose values the statement gets.
function imageColumns(map: RowMap, nulls: ImageNulls): readonly MappedColumn[] {
  const { by, columns } = map.find;
  return by === 'key' || nulls === 'any' ? columns : columns.filter((column) => !nulls.has(column));
}

function equals(column: MappedColumn, n: number): string {
  return equalityExpression(column, `t.${quoteIdent(column.target.name)}`, value(column, n));
}

function conflictKey(map: RowMap): MappedColumn[] | null {
  const byName = new Map(map.columns.map((column) => [column.target.name, column]));
  const index = map.target.uniqueIndexes.find(
    ({ identifies, columns }) => identifies && columns.every((name) => byName.has(name)),
  );
  return index ? index.columns.flatMap((name) => byName.get(name) ?? []) : null;
}
