import type { Client } from 'pg';
import type { StatementPipe } from '../postgres/statement-pipe.ts';
import { TYPE_OID, type Oid } from '../postgres/oid.ts';
import { COLUMN, type Tuple } from '../pgoutput/messages.ts';
import { ArrayParameter } from './array-parameter.ts';
import type { ImageCount, NetChanges, NetUpdate } from './coalesce.ts';
import { copyRows, olderPlace } from './copy-rows.ts';
import type { MappedColumn, RowMap } from './row-map.ts';
import { stagedDeleteSql, stagedImageDeleteSql, stagedUpdateSql } from './set-statements.ts';
import { kindAt, locateColumns, newOffsets } from './tuple.ts';

const INT4_ARRAY = 1007;
const TEXT_ARRAY = 1009;
/** Rows of one statement: a parameter stays far below the 1 GB that a message may have, and the event loop turns in between. */
const ROWS_A_STATEMENT = 20_000;

/** How the planner may join staged rows with the table. Staged rows have no statistics, so it guesses badly when left alone. */
type Join = 'index' | 'hash';

/**
 * Which array type holds many values of a type, in this database. A type without one (an array itself) cannot be
 * staged in binary.
 */
export class ArrayTypes {
  readonly #known = new Map<Oid, Oid>([[TYPE_OID.text, TEXT_ARRAY]]);

  /** Looks up the array types of these types; once a type and session. */
  async learn(client: Client, types: readonly Oid[]): Promise<void> {
    const unknown = [...new Set(types)].filter((oid) => !this.#known.has(oid));
    if (unknown.length === 0) return;
    const { rows } = await client.query<{ oid: Oid; array: Oid }>(
      'SELECT oid, typarray AS array FROM pg_catalog.pg_type WHERE oid = ANY ($1)',
      [unknown],
    );
    for (const row of rows) this.#known.set(row.oid, row.array);
  }

  /** 0 when there is none. */
  of(type: Oid): Oid {
    return this.#known.get(type) ?? 0;
  }
}

/** Counts of rows that a statement is expected to touch; another count means that the target is not as the source was. */
export type Expect = (statement: number, rows: number) => void;

/**
 * Writes the net effect of a batch on one table into the pipe: deletes, updates by the columns they carry, inserts.
 * Every statement takes many rows at once.
 */
export class SetApply {
  readonly #arrays: ArrayTypes;
  readonly #binary: boolean;
  #join: Join | null = null;

  constructor(options: { arrays: ArrayTypes; binary: boolean }) {
    this.#arrays = options.arrays;
    this.#binary = options.binary;
  }

  /** The planner's settings are local to a transaction. */
  begin(): void {
    this.#join = null;
  }

  /** Whether rows of this table can be staged: every column's values fit into an array, and into its column as they are. */
  canStage(map: RowMap): boolean {
    if (map.columns.some((column) => column.cast)) return false;
    return !this.#binary || [...map.columns, ...map.find.columns].every((column) => this.#arrays.of(column.parameterType) !== 0);
  }

  async write(pipe: StatementPipe, map: RowMap, net: NetChanges, expect: Expect): Promise<void> {
    for (const images of slices(net.images)) this.#removeImages(pipe, map, images, expect);
    for (const keys of slices(net.deletes)) {
      this.#prefer(pipe, joinFor(map));
      this.#staged(pipe, stagedDeleteSql({ map, binary: this.#binary }), map.find.columns, keys.length, expect, (add) => {
        for (const key of keys) add(key, map.find.columns, 0);
      });
      await pipe.drain();
    }
    for (const [sent, updates] of groupBySent(map, net.updates)) {
      for (const rows of slices(updates)) {
        this.#update(pipe, map, sent, rows, expect);
        await pipe.drain();
      }
    }
    if (net.inserts.length > 0) await copyRows(pipe, map, net.inserts, this.#binary);
  }

  #removeImages(pipe: StatementPipe, map: RowMap, images: readonly ImageCount[], expect: Expect): void {
    const columns = map.find.columns;
    const counts = new ArrayParameter(TYPE_OID.int4);
    let rows = 0;
    for (const { count } of images) {
      counts.addInt(count);
      rows += count;
    }
    this.#prefer(pipe, 'hash');
    const sql = stagedImageDeleteSql({ map, binary: this.#binary });
    this.#staged(pipe, sql, columns, rows, expect, (add) => images.forEach(({ image }) => add(image, columns, 0)), counts);
  }

  #update(pipe: StatementPipe, map: RowMap, sent: readonly MappedColumn[], updates: readonly NetUpdate[], expect: Expect): void {
    const keys = map.find.columns;
    this.#prefer(pipe, joinFor(map));
    this.#staged(
      pipe,
      stagedUpdateSql({ map, binary: this.#binary }, sent),
      [...sent, ...keys],
      updates.length,
      expect,
      (add) => {
        for (const { row, older, key } of updates) {
          add(row, sent, 0, older);
          add(key, keys, sent.length);
        }
      },
    );
  }

  // Columns come row by row and leave as one array a column.
  #staged(
    pipe: StatementPipe,
    sql: string,
    columns: readonly MappedColumn[],
    rows: number,
    expect: Expect,
    fill: (add: (tuple: Tuple, columns: readonly MappedColumn[], first: number, older?: readonly Tuple[]) => void) => void,
    extra?: ArrayParameter,
  ): void {
    const elementTypes = columns.map((column) => (this.#binary ? column.parameterType : TYPE_OID.text));
    const arrays = elementTypes.map((type) => new ArrayParameter(type));
    const offsets = newOffsets();
    fill((tuple, of, first, older) => {
      locateColumns(tuple, offsets);
      for (const [i, column] of of.entries()) {
        const at = offsets[column.index] ?? tuple.start;
        const array = arrays[first + i];
        if (older && tuple.data[at] === COLUMN.unchangedToast) {
          const place = olderPlace(older, column);
          array?.add(place.tuple, place.at);
        } else {
          array?.add(tuple, at);
        }
      }
    });
    const types = elementTypes.map((type) => this.#arrays.of(type));
    if (extra) {
      arrays.push(extra);
      types.push(INT4_ARRAY);
    }
    pipe.parse('', sql, types);
    const formats = types.map(() => 1);
    const writer = pipe.bind('', formats);
    for (const array of arrays) array.writeTo(writer);
    expect(pipe.nextStatement, rows);
    pipe.execute();
  }

  #prefer(pipe: StatementPipe, join: Join): void {
    if (this.#join === join) return;
    this.#join = join;
    const [nested, other] = join === 'index' ? ['on', 'off'] : ['off', 'on'];
    pipe.run(
      `SELECT pg_catalog.set_config('enable_nestloop', '${nested}', true), pg_catalog.set_config('enable_hashjoin', '${other}', true), pg_catalog.set_config('enable_mergejoin', 'off', true)`,
    );
  }
}

// By the index of the key, row for row, where the target has one; else one pass over the table.
function joinFor(map: RowMap): Join {
  const names = map.find.columns.map((column) => column.target.name);
  return map.target.uniqueIndexes.some((index) => index.columns.every((name) => names.includes(name))) ? 'index' : 'hash';
}

// One statement for all updates that carry the same columns. The key does not change, so it is never set.
function groupBySent(map: RowMap, updates: readonly NetUpdate[]): Map<readonly MappedColumn[], NetUpdate[]> {
  const all = map.columns.filter((column) => !map.find.columns.includes(column));
  const byShape = new Map<string, { sent: readonly MappedColumn[]; updates: NetUpdate[] }>();
  for (const update of updates) {
    const sent = update.row.partial ? all.filter((column) => carries(update, column)) : all;
    if (sent.length === 0) continue;
    const shape = sent === all ? '' : sent.map((column) => column.index).join();
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

function* slices<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < items.length; from += ROWS_A_STATEMENT) yield items.slice(from, from + ROWS_A_STATEMENT);
}
