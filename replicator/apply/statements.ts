import { FIRST_NORMAL_OID, type Oid } from '../postgres/oid.ts';
import { quoteIdent, quoteRelation } from '../postgres/quote.ts';
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

/** The target as FROM item: ONLY, so that tables inheriting from it are left alone; not for partitioned ones. */
export function only(map: Pick<RowMap, 'target'>): string {
  return `${map.target.kind === 'table' ? 'ONLY ' : ''}${quoteRelation(map.target)}`;
}

/** INSERT of one row; with source_wins an existing row of the same key is overwritten and counted. */
export function insertStatement(map: RowMap, onConflict: OnConflict): Statement {
  const insert = insertInto(map, map.columns, map.columns.map((_, i) => `$${i + 1}`).join(', '), 'VALUES (', ')');
  const types = map.columns.map((column) => column.parameterType);
  const key = onConflict === 'source_wins' ? conflictKey(map) : null;
  if (!key) return { sql: insert, types, row: map.columns, old: [], answer: 'touched' };
  const sets = map.columns.filter((column) => column.target.identity !== 'always' && !key.includes(column));
  const action =
    sets.length === 0
      ? 'DO NOTHING'
      : `DO UPDATE SET ${sets.map(({ target }) => `${quoteIdent(target.name)} = EXCLUDED.${quoteIdent(target.name)}`).join(', ')}`;
  const match = key.map((column) => equals(column, map.columns.indexOf(column) + 1)).join(' AND ');
  const sql =
    `WITH existing AS (SELECT FROM ${only(map)} AS t WHERE ${match}), written AS (${insert} ON CONFLICT ` +
    `(${key.map(({ target }) => quoteIdent(target.name)).join(', ')}) ${action}) SELECT pg_catalog.count(*) FROM existing`;
  return { sql, types, row: map.columns, old: [], answer: 'existed' };
}

/**
 * UPDATE of the given columns (those whose value was sent). With onMissing=insert and a complete row, a row that is
 * not there is put in.
 */
export function updateStatement(map: RowMap, sent: readonly MappedColumn[], onMissing: OnMissing): Statement {
  const old = map.find.columns;
  const types = [...sent, ...old].map((column) => column.parameterType);
  const where = whereRow(map, sent.length);
  if (sent.some((column) => column.target.identity === 'always')) {
    return { sql: rewrite(map, sent, where), types, row: sent, old, answer: 'touched' };
  }
  const sets = sent.map((column, i) => `${quoteIdent(column.target.name)} = $${i + 1}`).join(', ');
  const update = `UPDATE ${only(map)} AS t SET ${sets} WHERE ${where}`;
  if (onMissing !== 'insert' || sent.length < map.columns.length)
    return { sql: update, types, row: sent, old, answer: 'touched' };
  const insert = insertInto(
    map,
    sent,
    sent.map((_, i) => `$${i + 1}`).join(', '),
    'SELECT ',
    ' WHERE NOT EXISTS (SELECT FROM updated)',
  );
  return { sql: `WITH updated AS (${update} RETURNING 1) ${insert}`, types, row: sent, old, answer: 'inserted' };
}

/** DELETE of one row. */
export function deleteStatement(map: RowMap): Statement {
  const old = map.find.columns;
  const types = old.map((column) => column.parameterType);
  return { sql: `DELETE FROM ${only(map)} AS t WHERE ${whereRow(map, 0)}`, types, row: [], old, answer: 'touched' };
}

/** One TRUNCATE for the group, as on the source; never CASCADE. */
export function truncateSql(maps: readonly Pick<RowMap, 'target'>[], restartIdentity: boolean): string {
  return `TRUNCATE TABLE ${maps.map(only).join(', ')}${restartIdentity ? ' RESTART IDENTITY' : ''}`;
}

// SQL refuses to SET a GENERATED ALWAYS identity column, so the row is taken out and put in again with the new values;
// what was not sent (unchanged TOAST, columns that only the target has) comes from the row itself.
function rewrite(map: RowMap, sent: readonly MappedColumn[], where: string): string {
  const sentNames = new Map(sent.map((column, i) => [column.target.name, `$${i + 1}`]));
  const stored = map.target.columns.filter((column) => column.generated === 'no');
  const names = stored.map((column) => quoteIdent(column.name)).join(', ');
  const values = stored.map((column) => sentNames.get(column.name) ?? `gone.${quoteIdent(column.name)}`).join(', ');
  return (
    `WITH gone AS (DELETE FROM ${only(map)} AS t WHERE ${where} RETURNING t.*) ` +
    `INSERT INTO ${quoteRelation(map.target)} (${names}) OVERRIDING SYSTEM VALUE SELECT ${values} FROM gone`
  );
}

function insertInto(map: RowMap, columns: readonly MappedColumn[], values: string, before: string, after: string): string {
  const into = `INSERT INTO ${quoteRelation(map.target)}`;
  if (columns.length === 0) return `${into} DEFAULT VALUES`;
  const names = columns.map((column) => quoteIdent(column.target.name)).join(', ');
  const overriding = columns.some((column) => column.target.identity === 'always') ? ' OVERRIDING SYSTEM VALUE' : '';
  return `${into} (${names})${overriding} ${before}${values}${after}`;
}

// A key finds its row by =, so by its index. An image finds exactly one of the rows that equal it (invariant: each
// image is removed exactly as often as on the source); which one does not matter, they are the same.
function whereRow(map: RowMap, firstParameter: number): string {
  const columns = map.find.columns;
  if (map.find.by === 'key') return columns.map((column, i) => equals(column, firstParameter + i + 1)).join(' AND ') || 'false';
  const image =
    columns
      .map((column, i) => sameValueExpression(column, `s.${quoteIdent(column.target.name)}`, `$${firstParameter + i + 1}`))
      .join(' AND ') || 'true';
  const [left, right] = map.target.kind === 'table' ? ['t.ctid', 's.ctid'] : ['(t.tableoid, t.ctid)', 's.tableoid, s.ctid'];
  return `${left} = (SELECT ${right} FROM ${only(map)} AS s WHERE ${image} LIMIT 1)`;
}

function equals(column: MappedColumn, parameter: number): string {
  return `t.${quoteIdent(column.target.name)} ${equalityOperator(column)} $${parameter}`;
}

// The search_path is empty, so an operator that came with an extension must be named with the schema of its type.
/** The = of a column's type. */
export function equalityOperator({ target: { type } }: MappedColumn): string {
  const qualified =
    type.baseOid >= FIRST_NORMAL_OID && type.kind === 'base' ? /^((?:"(?:[^"]|"")+"|[^".]+))\./.exec(type.sqlName) : null;
  return qualified ? `OPERATOR(${qualified[1]}.=)` : '=';
}

// Types where equal values can differ (1.0 and 1.00, citext) or that know no equality (json, point) compare as text.
/** SQL that is true when both are the same value, or both NULL. `right` is of the parameter's type. */
export function sameValueExpression(column: MappedColumn, left: string, right: string): string {
  const { type } = column.target;
  if (type.equalityIsIdentity && column.parameterType === type.oid) return `${left} IS NOT DISTINCT FROM ${right}`;
  return `${left}::pg_catalog.text IS NOT DISTINCT FROM ${right}::${type.sqlName}::pg_catalog.text`;
}

function conflictKey(map: RowMap): MappedColumn[] | null {
  const byName = new Map(map.columns.map((column) => [column.target.name, column]));
  const index = map.target.uniqueIndexes.find(
    ({ identifies, columns }) => identifies && columns.every((name) => byName.has(name)),
  );
  return index ? index.columns.flatMap((name) => byName.get(name) ?? []) : null;
}
