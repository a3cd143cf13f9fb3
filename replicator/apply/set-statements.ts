import { TYPE_OID, type Oid } from '../postgres/oid.ts';
import { quoteIdent } from '../postgres/quote.ts';
import { converted, equalityExpression } from './column-sql.ts';
import { imageMatch, wholeImageMatch } from './image-match.ts';
import type { ImagesMatch } from './images-match.ts';
import type { MappedColumn, RowMap } from './row-map.ts';
import { insertInto, only } from './statements.ts';

/**
 * Statements that take whole columns as arrays, $1, $2, … in the order of the columns given. unnest() of them is the
 * staging table: nothing is created, nothing is left behind, and it goes down the same pipe.
 * In a text stream the arrays are text[] and each value is cast to its column's type. Some columns may go together, as an array of rows of
 * the target table, behind the other arrays.
 */
export interface StagedSql {
  readonly map: RowMap;
  readonly binary: boolean;
  readonly inRows: ReadonlySet<MappedColumn>;
}

/** Keys of one column that lie close together: from `$first` to `$last`, parameters behind the arrays. */
export interface RangeSql {
  readonly column: MappedColumn;
  readonly first: number;
  readonly last: number;
}

/** UPDATE of `sent` columns of the rows with these keys: parameters are the sent columns, then the key columns. */
export function stagedUpdateSql(how: StagedSql, sent: readonly MappedColumn[], range: RangeSql | null = null): string {
  const { map, binary } = how;
  const keys = map.find.columns;
  const sets = sent.map((column, i) => `${quoteIdent(column.target.name)} = ${staged(column, i, binary)}`).join(', ');
  return `UPDATE ${only(map)} AS t SET ${sets} FROM ${byKey(how, sent)} WHERE ${keyMatch(keys, sent.length, binary)}${within(range)}`;
}

/** DELETE of the rows with these keys: parameters are the key columns. */
export function stagedDeleteSql(how: StagedSql, range: RangeSql | null = null): string {
  const { map, binary } = how;
  const keys = map.find.columns;
  return `DELETE FROM ${only(map)} AS t USING ${byKey(how, [])} WHERE ${keyMatch(keys, 0, binary)}${within(range)}`;
}

/**
 * Removes each image exactly as often as it is to be removed: parameters are all columns, then an int4 array of counts. Rows are found by
 * an index or in one pass over the table, as the planner thinks best, where a statement a row would pass over it a row. It is told how many
 * `images` there are: of the length of an array that is a parameter it knows nothing.
 */
export function stagedImageDeleteSql(how: StagedSql, images: number, matches: ImagesMatch): string {
  const { map, binary } = how;
  const columns = map.find.columns;
  const rowId = map.target.kind === 'table' ? 't.ctid' : 't.tableoid, t.ctid';
  const same = map.target.kind === 'table' ? 't.ctid = hit.ctid' : 't.tableoid = hit.tableoid AND t.ctid = hit.ctid';
  const compared = columns.map((column, i) => ({
    column,
    theirs: `t.${quoteIdent(column.target.name)}`,
    ours: staged(column, i, binary),
    match: matches[i] ?? 'same',
  }));
  const match = matches.includes('equal') ? imageMatch(compared) : wholeImageMatch(compared);
  return (
    `WITH hit AS MATERIALIZED (SELECT ${rowId}, pg_catalog.row_number() OVER (PARTITION BY s.n) AS nth, s.v${columns.length} AS most ` +
    `FROM ${only(map)} AS t JOIN ${unnest(how, columns, { images })} ON ${match}) ` +
    `DELETE FROM ${only(map)} AS t USING hit WHERE ${same} AND hit.nth <= hit.most`
  );
}

/** INSERT of many rows whose values are not the target's as they were sent; COPY has the others. */
export function stagedInsertSql(how: StagedSql): string {
  const { map, binary } = how;
  return insertInto(map, 'SELECT ', ` FROM ${unnest(how, map.columns)}`, (column, i) => staged(column, i, binary));
}

/** Types that cost little to compare, and how they are: a collation would cost more than the order brings. */
const QUICK_ORDER: ReadonlyMap<Oid, string> = new Map([
  [TYPE_OID.int2, ''],
  [TYPE_OID.int4, ''],
  [TYPE_OID.int8, ''],
  [TYPE_OID.uuid, ''],
  [TYPE_OID.date, ''],
  [TYPE_OID.timestamp, ''],
  [TYPE_OID.timestamptz, ''],
  [TYPE_OID.text, ' COLLATE pg_catalog."C"'],
  [TYPE_OID.varchar, ' COLLATE pg_catalog."C"'],
]);

// The staged rows, key columns last. In the order of the key the pages of index and table are found in the cache more
// often: a quarter less work for keys at random, measured, and for keys in order sorting is next to nothing.
function byKey(how: StagedSql, sent: readonly MappedColumn[]): string {
  const keys = how.map.find.columns;
  const rows = unnest(how, [...sent, ...keys]);
  const orders = keys.map(({ parameterType }) => QUICK_ORDER.get(parameterType));
  if (!how.binary || orders.includes(undefined)) return rows;
  return `(SELECT * FROM ${rows} ORDER BY ${orders.map((order, i) => `v${sent.length + i}${order}`).join(', ')}) AS s`;
}

// Values of the nth column are called vn; those of images have counts behind them, and n is the number of the row.
function unnest(how: StagedSql, columns: readonly MappedColumn[], { images = null }: { images?: number | null } = {}): string {
  const { map, inRows } = how;
  if (images === null && inRows.size === 0 && columns.length > 0) return unnestTogether(columns);
  const names = columns.flatMap((column, i) => (inRows.has(column) ? [] : [`v${i}`]));
  let parameters = names.length;
  if (columns.some((column) => inRows.has(column))) {
    parameters++;
    // Each column of the table is one of the rows'.
    for (const [i, { name }] of map.target.columns.entries()) {
      const staged = columns.findIndex((column) => column.target.name === name && inRows.has(column));
      names.push(staged < 0 ? `u${i}` : `v${staged}`);
    }
  }
  if (images !== null) {
    parameters++;
    names.push(`v${columns.length}`, 'n');
  }
  const functions = Array.from({ length: parameters }, (_, i) => `pg_catalog.unnest($${i + 1})`);
  if (images !== null) functions.push(`pg_catalog.generate_series(1, ${images})`);
  return `ROWS FROM (${functions.join(', ')}) AS s(${names.join(', ')})`;
}

// In the select list arrays are taken apart row by row; in FROM each would go to a store of its own first.
function unnestTogether(columns: readonly MappedColumn[]): string {
  return `(SELECT ${columns.map((_, i) => `pg_catalog.unnest($${i + 1}) AS v${i}`).join(', ')}) AS s`;
}

// Says nothing new, but where to look.
function within(range: RangeSql | null): string {
  return range ? ` AND t.${quoteIdent(range.column.target.name)} BETWEEN $${range.first} AND $${range.last}` : '';
}

function keyMatch(keys: readonly MappedColumn[], first: number, binary: boolean): string {
  return keys
    .map((column, i) => equalityExpression(column, `t.${quoteIdent(column.target.name)}`, staged(column, first + i, binary)))
    .join(' AND ');
}

function staged(column: MappedColumn, i: number, binary: boolean): string {
  const { conversion, target } = column;
  return binary || conversion !== 'none' ? converted(column, `s.v${i}`) : `s.v${i}::${target.type.sqlName}`;
}
