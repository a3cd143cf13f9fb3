import { TYPE_OID, type Oid } from '../postgres/oid.ts';
import { unreachable } from '../problem.ts';
import { comparable, equalityExpression } from './column-sql.ts';
import type { MappedColumn } from './row-map.ts';

/**
 * How a column is compared with that of an image: it has a value there (an index or a hash finds it); it is NULL there (an index finds it); it may be
 * one or the other, with no use of an index, or with some.
 */
export type ColumnMatch = 'equal' | 'null' | 'same' | 'equal or both null';

export interface ComparedColumn {
  readonly column: MappedColumn;
  /** SQL of the table's value, and of the image's, which is what converted() gives. */
  readonly theirs: string;
  readonly ours: string;
  readonly match: ColumnMatch;
}

/** Types of a few bytes, which cost little to compare: first, so that most rows are told apart by them. */
const FIXED_TYPES: ReadonlySet<Oid> = new Set([
  TYPE_OID.bool,
  TYPE_OID.char,
  TYPE_OID.int2,
  TYPE_OID.int4,
  TYPE_OID.int8,
  TYPE_OID.oid,
  TYPE_OID.float4,
  TYPE_OID.float8,
  TYPE_OID.date,
  TYPE_OID.timestamp,
  TYPE_OID.timestamptz,
  TYPE_OID.uuid,
]);

/** More types whose = a hash serves. Few have none; most of what is not listed has one too. */
const HASHED_TYPES: ReadonlySet<Oid> = new Set([
  TYPE_OID.text,
  TYPE_OID.varchar,
  TYPE_OID.bpchar,
  TYPE_OID.name,
  TYPE_OID.bytea,
  TYPE_OID.numeric,
  TYPE_OID.inet,
  TYPE_OID.jsonb,
]);

/** Types whose length is known without fetching and unpacking the value. */
const MEASURED_TYPES: ReadonlySet<Oid> = new Set([TYPE_OID.text, TYPE_OID.varchar, TYPE_OID.bytea]);

/** Whether values of this column take few bytes, always. */
export function isFixed({ target: { type } }: MappedColumn): boolean {
  return FIXED_TYPES.has(type.baseOid) || type.form?.is === 'enum';
}

/** Whether a hash serves the = of this column for sure. */
export function isHashed(column: MappedColumn): boolean {
  return isFixed(column) || HASHED_TYPES.has(column.target.type.baseOid);
}

/** Whether the length of this column's value in the table costs next to nothing, and is that of the value that comes. */
export function isMeasured({ conversion, target: { type } }: MappedColumn): boolean {
  return conversion === 'none' && MEASURED_TYPES.has(type.baseOid);
}

/** SQL that is true for every row with this image, and for few others, at little cost: the = of a value, or of its length. */
export function roughMatch({ column, theirs, ours }: Omit<ComparedColumn, 'match'>, by: 'value' | 'length'): string {
  if (by === 'value') return equalityExpression(column, theirs, asStored(column, ours));
  return `pg_catalog.octet_length(${theirs}) = pg_catalog.octet_length(${ours})`;
}

interface ImageMatchOptions {
  /** Gets SQL that depends on the image alone. */
  readonly ofImage?: (sql: string) => string;
  /** A join hashes rows by all that is =, and what costs much would be computed for each row: said this way it is looked at last. */
  readonly outputs?: '=' | 'IS NOT DISTINCT FROM';
}

/**
 * SQL that is true for a row with this image. The = of a type comes first, where it has one that holds for the same value at least; it is what
 * an index or a hash finds rows by. Where equal values can differ (1.0 and 1.00, citext), or the type knows no equality (json, point), their
 * output forms are compared, last: that of a row, because a cast to text can lose something (the trailing blanks of bpchar), and because it is
 * never NULL.
 */
export function imageMatch(
  columns: readonly ComparedColumn[],
  { ofImage = (sql) => sql, outputs = '=' }: ImageMatchOptions = {},
): string {
  const ranked: { readonly rank: number; readonly sql: string }[] = [];
  for (const { column, theirs, ours, match } of columns) {
    const { type } = column.target;
    if (match === 'null') ranked.push({ rank: 0, sql: `${theirs} IS NULL` });
    // IS NOT DISTINCT FROM takes its operator from the search_path, which is empty.
    else if (type.hasEquality && !(match === 'same' && type.operatorSchema !== undefined))
      ranked.push({ rank: isFixed(column) ? 0 : 1, sql: compared(column, theirs, asStored(column, ours), match) });
    if (match !== 'null' && !(type.hasEquality && type.equalityIsIdentity))
      ranked.push({ rank: 2, sql: `${rowText([theirs])} ${outputs} ${ofImage(rowText([`${ours}::${type.sqlName}`]))}` });
  }
  const sorted = ranked.toSorted((a, b) => a.rank - b.rank);
  return sorted.map(({ sql }) => sql).join(' AND ') || 'true';
}

/** The same for columns of which none can be told by an equality: one comparison of all, which a hash serves. */
export function wholeImageMatch(columns: readonly Omit<ComparedColumn, 'match'>[]): string {
  if (columns.length === 0) return 'true';
  const ours = columns.map((each) => `${each.ours}::${each.column.target.type.sqlName}`);
  return `${rowText(columns.map(({ theirs }) => theirs))} = ${rowText(ours)}`;
}

function rowText(values: readonly string[]): string {
  return `ROW(${values.join(', ')})::pg_catalog.text`;
}

function compared(column: MappedColumn, theirs: string, ours: string, match: Exclude<ColumnMatch, 'null'>): string {
  switch (match) {
    case 'equal':
      return equalityExpression(column, theirs, ours);
    case 'same':
      return `${comparable(column, theirs)} IS NOT DISTINCT FROM ${comparable(column, ours)}`;
    case 'equal or both null':
      return `(${equalityExpression(column, theirs, ours)} OR (${theirs} IS NULL AND ${ours} IS NULL))`;
    default:
      return unreachable(match);
  }
}

// The parameter of a domain's column is of the type behind it, which its operators take.
function asStored({ conversion, parameterType, target: { type } }: MappedColumn, sql: string): string {
  return conversion !== 'none' || parameterType === type.oid || parameterType === type.baseOid ? sql : `${sql}::${type.sqlName}`;
}
