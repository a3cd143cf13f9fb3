import { TYPE_OID, type Oid } from '../postgres/oid.ts';
import { quoteIdent, quoteRelation } from '../postgres/quote.ts';
import { unreachable } from '../problem.ts';
import { MARK } from './reshape-text.ts';
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
): Statement {
  const insertMissing = onMissing === 'insert' && carried.length === map.columns.length;
  const row = insertMissing ? map.columns : changed;
  const old = map.find.columns;
  const types = [...row, ...old].map((column) => column.parameterType);
  const where = whereRow(map, row.length);
  const rewrites = changed.some((column) => column.target.identity === 'always');
  const gone = rewrites ? [`gone AS (${takeOut(map, where)})`] : [];
  const change = rewrites ? putBack(map, changed, row) : update(map, changed, row, where);
  if (!insertMissing) return { sql: withParts(gone, change), types, row, old, answer: 'touched' };
  const insert = insertInto(map, 'SELECT ', ' WHERE NOT EXISTS (SELECT FROM updated)');
  return { sql: withParts([...gone, `updated AS (${change} RETURNING 1)`], insert), types, row, old, answer: 'inserted' };
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

/** The column's value out of a parameter's. The assignment to the column does what an assignment may; what more it takes is here. */
export function converted({ conversion, target, parameterType, via }: MappedColumn, parameter: string): string {
  switch (conversion) {
    case 'none':
      return parameter;
    case 'cast':
      return `${parameter}::${target.type.sqlName}`;
    case 'by text':
      return `${textOf(parameterType, parameter)}::${target.type.sqlName}`;
    case 'char':
      return charOf(`${parameter}::pg_catalog.text`);
    case 'marked':
      return `${markedSql(parameter)}${via === undefined ? '' : `::${via}`}::${target.type.sqlName}`;
    default:
      return unreachable(conversion);
  }
}

// What a copy brings is what the type prints: of these a cast to text gives something else, true for t and 10.0.0.1/32 for 10.0.0.1.
function textOf(type: Oid, parameter: string): string {
  if (type !== TYPE_OID.bool && type !== TYPE_OID.inet) return `${parameter}::pg_catalog.text`;
  return `CASE WHEN ${parameter} IS NOT NULL THEN pg_catalog.concat(${parameter}) END`;
}

// A backslash and three octal digits stand for a byte above 127, which as a number is negative.
function charOf(text: string): string {
  const digit = (n: number): string => `pg_catalog.ascii(pg_catalog.substr(${text}, ${n}, 1))`;
  const zeroes = 48 * 64 + 48 * 8 + 48;
  const number = `${digit(2)} * 64 + ${digit(3)} * 8 + ${digit(4)} - ${zeroes + 256}`;
  return `(CASE pg_catalog.length(${text}) WHEN 4 THEN (${number})::"char" ELSE ${text}::"char" END)`;
}

// The text behind each mark begins with three digits for a byte. Such a text is in no encoding: it is put together on the target, which
// before 16 gives the byte of a "char" as it is, and reads it so inside of another value.
function markedSql(text: string): string {
  const byte = `(pg_catalog.substr(m.piece, 1, 3)::pg_catalog.int4 - 128)::"char"::pg_catalog.text`;
  return (
    `(SELECT pg_catalog.string_agg(CASE m.n WHEN 1 THEN m.piece ELSE ${byte} || pg_catalog.substr(m.piece, 4) END, '' ORDER BY m.n) ` +
    `FROM pg_catalog.unnest(pg_catalog.string_to_array(${text}::pg_catalog.text, pg_catalog.chr(${MARK}))) WITH ORDINALITY AS m(piece, n))`
  );
}

// A key finds its row by =, so by its index. An image finds exactly one of the rows that equal it (invariant: each
// image is removed exactly as often as on the source); which one does not matter, they are the same.
function whereRow(map: RowMap, first: number): string {
  const columns = map.find.columns;
  if (map.find.by === 'key') return columns.map((column, i) => equals(column, first + i)).join(' AND ') || 'false';
  const image = columns.map((column, i) =>
    sameValueExpression(column, `s.${quoteIdent(column.target.name)}`, value(column, first + i)),
  );
  const [left, right] = map.target.kind === 'table' ? ['t.ctid', 's.ctid'] : ['(t.tableoid, t.ctid)', 's.tableoid, s.ctid'];
  return `${left} = (SELECT ${right} FROM ${only(map)} AS s WHERE ${image.join(' AND ') || 'true'} LIMIT 1)`;
}

function equals(column: MappedColumn, n: number): string {
  return equalityExpression(column, `t.${quoteIdent(column.target.name)}`, value(column, n));
}

/** SQL that compares a column with what converted() gives, by the = that its indexes use. */
export function equalityExpression(column: Pick<MappedColumn, 'target'>, left: string, right: string): string {
  return `${comparable(column, left)} ${equalityOperator(column)} ${comparable(column, right)}`;
}

// The operators of enums do not take domains over them. An index is found all the same.
function comparable({ target: { type } }: Pick<MappedColumn, 'target'>, of: string): string {
  return type.kind === 'domain' && type.form?.is === 'enum' ? `${of}::${type.form.name}` : of;
}

// The = of a column's type. The search_path is empty, so one that came with an extension must be named with its schema;
// without, the columns of such a type, or of a domain over it, would be compared as text, or not at all.
function equalityOperator({ target: { type } }: Pick<MappedColumn, 'target'>): string {
  return type.operatorSchema === undefined ? '=' : `OPERATOR(${quoteIdent(type.operatorSchema)}.=)`;
}

/**
 * SQL that is true when both are the same value, or both NULL. `right` is what converted() gives. Where equal values can
 * differ (1.0 and 1.00, citext) or the type knows no equality (json, point) they are compared in their output form: that of a
 * row, because a cast to text can lose something (the trailing blanks of bpchar), and because it is never NULL.
 */
export function sameValueExpression(column: MappedColumn, left: string, right: string): string {
  const { type } = column.target;
  if (type.equalityIsIdentity && (column.parameterType === type.oid || column.conversion !== 'none'))
    return `${comparable(column, left)} IS NOT DISTINCT FROM ${comparable(column, right)}`;
  return `ROW(${left})::pg_catalog.text = ROW(${right}::${type.sqlName})::pg_catalog.text`;
}

function conflictKey(map: RowMap): MappedColumn[] | null {
  const byName = new Map(map.columns.map((column) => [column.target.name, column]));
  const index = map.target.uniqueIndexes.find(
    ({ identifies, columns }) => identifies && columns.every((name) => byName.has(name)),
  );
  return index ? index.columns.flatMap((name) => byName.get(name) ?? []) : null;
}
