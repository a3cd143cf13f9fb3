import { TYPE_OID, type Oid } from '../postgres/oid.ts';
import { quoteIdent } from '../postgres/quote.ts';
import { castName, converted, equalityExpression } from './column-sql.ts';
import { imageMatch, isHashed, roughMatch, wholeImageMatch, type ComparedColumn } from './image-match.ts';
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
  /** So few rows that planning what sorts them would cost more than their order brings. */
  readonly few?: boolean;
}

/** Keys of one column that lie close together: from `$first` to `$last`, parameters behind the arrays. */
export interface RangeSql {
  readonly column: MappedColumn;
  readonly first: number;
  readonly last: number;
}

/** UPDATE of `sent` columns of the rows with these keys, or a look whether they are there: parameters are the sent columns, then the key columns. */
export function stagedUpdateSql(how: StagedSql, sent: readonly MappedColumn[], range: RangeSql | null = null): string {
  const { map, binary } = how;
  const keys = map.find.columns;
  const sets = sent.map((column, i) => `${quoteIdent(column.target.name)} = ${staged(column, i, binary)}`).join(', ');
  if (sent.length === 0)
    return `SELECT FROM ${only(map)} AS t, ${byKey(how, sent)} WHERE ${keyMatch(keys, 0, binary)}${within(range)}`;
  return `UPDATE ${only(map)} AS t SET ${sets} FROM ${byKey(how, sent)} WHERE ${keyMatch(keys, sent.length, binary)}${within(range)}`;
}

/** DELETE of the rows with these keys: parameters are the key columns. */
export function stagedDeleteSql(how: StagedSql, range: RangeSql | null = null): string {
  const { map, binary } = how;
  const keys = map.find.columns;
  const [key, ...more] = keys;
  // A join costs twice as much to plan and to begin. Of a partitioned table that would look into every partition.
  if (how.few && key && more.length === 0 && map.target.kind === 'table' && isPlain(how, key))
    return `DELETE FROM ${only(map)} AS t WHERE t.${quoteIdent(key.target.name)} OPERATOR(pg_catalog.=) ANY ($1)`;
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
    match: matches.columns[i] ?? 'same',
  }));
  const sifted = siftedTable(how, { images, rowId, compared, matches });
  const match = matches.columns.includes('equal')
    ? imageMatch(compared, { outputs: sifted ? 'IS NOT DISTINCT FROM' : '=' })
    : wholeImageMatch(compared);
  return (
    `WITH hit AS MATERIALIZED (SELECT ${rowId}, pg_catalog.row_number() OVER (PARTITION BY s.n) AS nth, s.v${columns.length} AS most ` +
    `FROM ${sifted ?? `${only(map)} AS t`} JOIN ${unnest(how, columns, { images })} ON ${match}) ` +
    `DELETE FROM ${only(map)} AS t USING hit WHERE ${same} AND hit.nth <= hit.most`
  );
}

interface Sifting {
  readonly images: number;
  readonly rowId: string;
  readonly compared: readonly ComparedColumn[];
  readonly matches: ImagesMatch;
}

// The rows of the table that may be meant: one pass with a small hash of the images, or an index, leaves out most. The planner hashes the table
// instead where it can, wide rows and all, because it knows nothing of the images' values; here it must not. Null where no hash serves.
function siftedTable(how: StagedSql, { images, rowId, compared, matches: { sieve } }: Sifting): string | null {
  const { map } = how;
  if (!compared.some(({ column }, i) => sieve[i] === 'length' || (sieve[i] === 'value' && isHashed(column)))) return null;
  const names = map.find.columns.map(({ target: { name } }) => `t.${quoteIdent(name)}`).join(', ');
  const match = compared.flatMap((each, i) => (sieve[i] ? [roughMatch(each, sieve[i])] : [])).join(' AND ');
  const used = map.find.columns.filter((_, i) => sieve[i]);
  // One value a row, of which the planner thinks that it is ten: where it took the rows for one it would compare each with each. No column
  // of a table has this name.
  const many = `pg_catalog.unnest($${parameterCount(how, map.find.columns) + 1}[1:1]) AS cmin`;
  return (
    `(SELECT ${rowId}, ${names}, ${many} FROM ${only(map)} AS t ` +
    `WHERE EXISTS (SELECT FROM ${unnest(how, map.find.columns, { images, used })} WHERE ${match}) OFFSET 0) AS t`
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

// Its values are in an array of just its type, and compared by an operator of PostgreSQL's own.
function isPlain({ binary, inRows }: StagedSql, column: MappedColumn): boolean {
  return (
    binary &&
    !inRows.has(column) &&
    column.conversion === 'none' &&
    QUICK_ORDER.has(column.target.type.oid) &&
    QUICK_ORDER.has(column.parameterType)
  );
}

// The staged rows, key columns last. In the order of the key the pages of index and table are found in the cache more
// often: a quarter less work for keys at random, measured, and for keys in order sorting is next to nothing.
function byKey(how: StagedSql, sent: readonly MappedColumn[]): string {
  const keys = how.map.find.columns;
  const rows = unnest(how, [...sent, ...keys]);
  if (how.few) return rows;
  const orders = keys.map(({ parameterType }) => QUICK_ORDER.get(parameterType));
  if (!how.binary || orders.includes(undefined)) return rows;
  return `(SELECT * FROM ${rows} ORDER BY ${orders.map((order, i) => `v${sent.length + i}${order}`).join(', ')}) AS s`;
}

interface UnnestOptions {
  /** How many images there are; null for rows that have no counts behind them. */
  readonly images?: number | null;
  /** Without the parameters that hold none of these. */
  readonly used?: readonly MappedColumn[];
}

// Values of the nth column are called vn; those of images have counts behind them, and n is the number of the row.
function unnest(how: StagedSql, columns: readonly MappedColumn[], { images = null, used }: UnnestOptions = {}): string {
  const { map, inRows } = how;
  if (images === null && inRows.size === 0 && columns.length > 0 && !how.few) return unnestTogether(columns);
  const functions: string[] = [];
  const names: string[] = [];
  let parameters = 0;
  const add = (holds: readonly MappedColumn[], ofParameter: readonly string[]): void => {
    parameters++;
    if (used && !used.some((column) => holds.includes(column))) return;
    functions.push(`pg_catalog.unnest($${parameters})`);
    names.push(...ofParameter);
  };
  for (const [i, column] of columns.entries()) if (!inRows.has(column)) add([column], [`v${i}`]);
  const together = columns.filter((column) => inRows.has(column));
  if (together.length > 0) {
    // Each column of the table is one of the rows'.
    const ofRow = map.target.columns.map(({ name }, i) => {
      const column = together.find(({ target }) => target.name === name);
      return column ? `v${columns.indexOf(column)}` : `u${i}`;
    });
    add(together, ofRow);
  }
  if (images !== null) {
    add([], [`v${columns.length}`]);
    names.push('n');
    functions.push(`pg_catalog.generate_series(1, ${images})`);
  }
  return `ROWS FROM (${functions.join(', ')}) AS s(${names.join(', ')})`;
}

// Without that of the counts.
function parameterCount({ inRows }: StagedSql, columns: readonly MappedColumn[]): number {
  const alone = columns.filter((column) => !inRows.has(column)).length;
  return alone < columns.length ? alone + 1 : alone;
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
  return binary || conversion !== 'none' ? converted(column, `s.v${i}`) : `s.v${i}::${castName(target.type)}`;
}
