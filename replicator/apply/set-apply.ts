import type { StatementPipe } from '../postgres/statement-pipe.ts';
import { TYPE_OID, type Oid } from '../postgres/oid.ts';
import { COLUMN, type Tuple } from '../pgoutput/messages.ts';
import { ArrayParameter } from './array-parameter.ts';
import type { ArrayTypes } from './array-types.ts';
import type { ImageCount, NetChanges, NetUpdate, RowVersions } from './coalesce.ts';
import { copyRows } from './copy-rows.ts';
import { denseRange, KeyParameter } from './dense-keys.ts';
import { matchImages } from './images-match.ts';
import type { RowChange } from './plan.ts';
import type { PlannerSettings, Search } from './planner-settings.ts';
import type { Preparable, PreparedStatements } from './prepared-statements.ts';
import type { Conversion, MappedColumn, RowMap } from './row-map.ts';
import {
  stagedDeleteSql,
  stagedImageDeleteSql,
  stagedInsertSql,
  stagedUpdateSql,
  type RangeSql,
  type StagedSql,
} from './set-statements.ts';
import { StagedRows, type ManyValues } from './staged-rows.ts';
import { kindAt, locateColumns, newOffsets } from './tuple.ts';

const INT4_ARRAY = 1007;
/** Rows of one statement: a parameter stays far below the 1 GB that a message may have. */
const ROWS_A_STATEMENT = 20_000;
/** Bytes of large rows that one statement writes: the target works at them while the next are on their way, and sorts them in memory. */
const BYTES_A_STATEMENT = 1 << 20;
/** Of smaller ones a whole batch goes in the order of its keys: pages of the table and its indexes are met once. */
const LARGE_ROW_BYTES = 1024;
/** So few rows are not worth being sorted: that costs more to plan and to begin than it brings. */
const FEW_ROWS = 100;
/** A table has at most 1,600 columns; an update has its key beside them. */
const ALL_BINARY: readonly number[] = Array.from({ length: 3300 }, () => 1);

/** Of a partitioned table each row that is found is looked for in every partition, by its place; for more of them one more pass is better. */
const MOST_BY_PLACE = 1000;

/** Counts of rows that a statement is expected to touch; another count means that the target is not as the source was. */
export type Expect = (statement: number, rows: number) => void;

/** One statement that takes many rows at once. */
export interface StagedStatement {
  readonly search: Search;
  /** What tells it from the table's other statements; null for one that is not used again. */
  readonly shape: string | null;
  readonly sql: () => string;
  /** Array types of the parameters. */
  readonly types: readonly Oid[];
  readonly arrays: readonly ManyValues[];
  /** How many it is to touch. */
  readonly rows: number;
}

/** What a batch comes down to for one table, ready to be sent. */
export interface StagedStep {
  readonly map: RowMap;
  readonly staged: readonly StagedStatement[];
  readonly inserts: readonly RowVersions[];
}

/** What text in an array becomes a column's value by; see staged() in set-statements.ts. */
const FROM_TEXT: readonly Conversion[] = ['none', 'char', 'marked'];

/**
 * Brings the net effect of a batch on one table to the target: deletes, updates by the columns they carry, inserts. In
 * two parts, so that one batch can be made ready while the one before is under way.
 */
export class SetApply {
  readonly #rows: StagedRows;
  readonly #binary: boolean;
  readonly #planner: PlannerSettings;
  readonly #prepared: PreparedStatements<Preparable>;

  constructor(options: {
    arrays: ArrayTypes;
    binary: boolean;
    planner: PlannerSettings;
    prepared: PreparedStatements<Preparable>;
  }) {
    this.#rows = new StagedRows(options.arrays, options.binary);
    this.#binary = options.binary;
    this.#planner = options.planner;
    this.#prepared = options.prepared;
  }

  /**
   * Whether these changes can go to the target many at a time: every column's values can be staged, and as text they fit into its
   * column as they are. COPY takes whatever its columns take, and a DELETE needs no more than the key.
   */
  canStage(map: RowMap, changes: readonly RowChange[]): boolean {
    if (!this.#binary) return map.columns.every(({ conversion }) => FROM_TEXT.includes(conversion));
    const key = map.find.columns;
    if (this.#rows.fits(map, [...map.columns.filter((column) => !key.includes(column)), ...key])) return true;
    if (takesCopy(map) && changes.every((change) => change.kind === 'insert')) return true;
    return this.#rows.fits(map, key) && changes.every((change) => change.kind === 'delete');
  }

  /** The statements for a net effect, with their rows, ready to be sent; without inserts that can be copied. */
  async stage(map: RowMap, net: NetChanges): Promise<StagedStatement[]> {
    const staged: StagedStatement[] = [];
    for (const images of slices(net.images)) staged.push(await this.#images(map, images));
    for (const keys of slices(net.deletes)) staged.push(await this.#deletes(map, keys));
    for (const [sent, updates] of groupBySent(map, net.updates))
      for (const rows of slices(updates, rowBytes)) staged.push(await this.#updates(map, sent, rows));
    if (!takesCopy(map)) for (const rows of slices(net.inserts, rowBytes)) staged.push(await this.#inserts(map, rows));
    return staged;
  }

  /** Sends what was staged, then the inserts. */
  async write(pipe: StatementPipe, { map, staged, inserts }: StagedStep, expect: Expect): Promise<void> {
    for (const { search, shape, sql, types, arrays, rows } of staged) {
      this.#planner.prefer(pipe, search);
      const name = shape === null ? '' : this.#prepared.of(pipe, map, shape, () => ({ sql: sql(), types })).name;
      if (shape === null) pipe.parse(name, sql(), types);
      const writer = pipe.bind(name, ALL_BINARY.slice(0, types.length));
      for (const array of arrays) array.writeTo(writer);
      expect(pipe.nextStatement, rows);
      pipe.execute();
      if (pipe.full) await pipe.drain();
    }
    if (inserts.length === 0 || !takesCopy(map)) return;
    expect(pipe.nextStatement, inserts.length);
    await copyRows(pipe, map, inserts, this.#binary);
  }

  async #images(map: RowMap, images: readonly ImageCount[]): Promise<StagedStatement> {
    const columns = map.find.columns;
    const counts = new ArrayParameter(TYPE_OID.int4, images.length);
    let rows = 0;
    for (const { count } of images) {
      counts.addInt(count);
      rows += count;
    }
    const { types, arrays } = await this.#rows.parameters(map, columns, images, ({ image }, add) => add(image, columns, 0));
    const matches = await matchImages(
      columns,
      images.map(({ image }) => image),
    );
    const sql = (): string => stagedImageDeleteSql(this.#staged(map, columns), images.length, matches);
    const search = map.target.kind === 'partitioned' && rows > MOST_BY_PLACE ? 'hash' : 'either';
    return { search, shape: null, sql, types: [...types, INT4_ARRAY], arrays: [...arrays, counts], rows };
  }

  async #deletes(map: RowMap, keys: readonly Tuple[]): Promise<StagedStatement> {
    const columns = map.find.columns;
    const arrays = await this.#rows.parameters(map, columns, keys, (key, add) => add(key, columns, 0));
    const found = findBy(map, keys, arrays);
    const few = keys.length <= FEW_ROWS;
    const sql = (): string => stagedDeleteSql({ ...this.#staged(map, columns), few }, found.range);
    return { ...found, shape: `delete ${few ? 'few' : found.shape}`, sql, rows: keys.length };
  }

  async #updates(map: RowMap, sent: readonly MappedColumn[], updates: readonly NetUpdate[]): Promise<StagedStatement> {
    const keys = map.find.columns;
    const arrays = await this.#rows.parameters(map, [...sent, ...keys], updates, ({ row, older, key }, add) => {
      add(row, sent, 0, older);
      add(key, keys, sent.length);
    });
    const found = findBy(
      map,
      updates.map(({ key }) => key),
      arrays,
    );
    const few = updates.length <= FEW_ROWS;
    const sql = (): string => stagedUpdateSql({ ...this.#staged(map, [...sent, ...keys]), few }, sent, found.range);
    const shape = `update ${few ? 'few' : found.shape} ${sent.map((column) => column.index).join()}`;
    return { ...found, shape, sql, rows: updates.length };
  }

  async #inserts(map: RowMap, inserts: readonly RowVersions[]): Promise<StagedStatement> {
    const { columns } = map;
    const arrays = await this.#rows.parameters(map, columns, inserts, ({ row, older }, add) => add(row, columns, 0, older));
    const sql = (): string => stagedInsertSql(this.#staged(map, columns));
    return { search: searchFor(map), shape: 'insert', sql, ...arrays, rows: inserts.length };
  }

  #staged(map: RowMap, columns: readonly MappedColumn[]): StagedSql {
    return { map, binary: this.#binary, inRows: this.#rows.inRows(columns) };
  }
}

// COPY converts nothing.
function takesCopy(map: RowMap): boolean {
  return map.columns.every((column) => column.conversion === 'none');
}

// By the index of the key, row for row, where the target has one; else one pass over the table.
function searchFor(map: RowMap): Search {
  const names = map.find.columns.map((column) => column.target.name);
  return map.target.uniqueIndexes.some((index) => index.columns.every((name) => names.includes(name))) ? 'index' : 'hash';
}

// How rows with these keys are found on the target, with the parameters that it takes.
function findBy(
  map: RowMap,
  keys: readonly Tuple[],
  { types, arrays }: Pick<StagedStatement, 'types' | 'arrays'>,
): Pick<StagedStatement, 'search' | 'types' | 'arrays'> & { shape: string; range: RangeSql | null } {
  const search = searchFor(map);
  const dense = search === 'index' ? denseRange(map, keys) : null;
  if (!dense) return { search, shape: search, types, arrays, range: null };
  const { column, first, last } = dense;
  return {
    search: 'range',
    shape: `range ${column.index}`,
    types: [...types, column.parameterType, column.parameterType],
    arrays: [...arrays, new KeyParameter(first), new KeyParameter(last)],
    range: { column, first: types.length + 1, last: types.length + 2 },
  };
}

// One statement for all updates that carry the same columns. The key does not change, so it is never set.
function groupBySent(map: RowMap, updates: readonly NetUpdate[]): Map<readonly MappedColumn[], NetUpdate[]> {
  const all = map.columns.filter((column) => !map.find.columns.includes(column));
  const byShape = new Map<string, { sent: readonly MappedColumn[]; updates: NetUpdate[] }>();
  for (const update of updates) {
    const sent = update.row.partial ? all.filter((column) => carries(update, column)) : all;
    const shape = sent === all ? 'all' : sent.map((column) => column.index).join();
    const group = byShape.get(shape);
    if (group) group.updates.push(update);
    else byShape.set(shape, { sent, updates: [update] });
  }
  return new Map(Array.from(byShape.values(), (group) => [group.sent, group.updates]));
}

const scratch = newOffsets();

function carries({ row, older }: NetUpdate, column: MappedColumn): boolean {
  return [row, ...older].some((tuple) => {
    locateColumns(tuple, scratch);
    return kindAt(tuple, scratch, column) !== COLUMN.unchangedToast;
  });
}

function* slices<T>(items: readonly T[], bytesOf: (item: T) => number = () => 0): Generator<readonly T[]> {
  let from = 0;
  let bytes = 0;
  for (const [i, item] of items.entries()) {
    const rows = i - from;
    if (rows === ROWS_A_STATEMENT || (bytes >= BYTES_A_STATEMENT && bytes >= rows * LARGE_ROW_BYTES)) {
      yield items.slice(from, i);
      from = i;
      bytes = 0;
    }
    bytes += bytesOf(item);
  }
  if (from < items.length) yield items.slice(from);
}

function rowBytes({ row }: RowVersions): number {
  return row.end - row.start;
}
