import { Turns } from '../postgres/turns.ts';
import type { FrameWriter } from '../postgres/frame-writer.ts';
import { TYPE_OID, type Oid } from '../postgres/oid.ts';
import { COLUMN, type Tuple } from '../pgoutput/messages.ts';
import { ArrayParameter } from './array-parameter.ts';
import type { ArrayTypes } from './array-types.ts';
import { olderPlace } from './copy-rows.ts';
import type { MappedColumn, RowMap } from './row-map.ts';
import { RowParameter } from './row-parameter.ts';
import { locateColumns, newOffsets } from './tuple.ts';

/** Rows that are staged before it is asked whether the event loop is due for a turn. */
const ROWS_A_LOOK = 1024;

const NONE: ReadonlySet<MappedColumn> = new Set();

const offsets = newOffsets();

/** Many values of a statement's columns, as one parameter. */
export interface ManyValues {
  writeTo(writer: FrameWriter): void;
}

export type AddColumns = (tuple: Tuple, columns: readonly MappedColumn[], first: number, older?: readonly Tuple[]) => void;

/**
 * Rows of a table as parameters: each column as an array of its own; columns whose types no array holds, arrays above all, together as an
 * array of rows of the target table.
 */
export class StagedRows {
  readonly #arrays: ArrayTypes;
  readonly #binary: boolean;

  constructor(arrays: ArrayTypes, binary: boolean) {
    this.#arrays = arrays;
    this.#binary = binary;
  }

  /** Whether values of these columns can be staged. */
  fits(map: RowMap, columns: readonly MappedColumn[]): boolean {
    const others = columns.filter((column) => !this.#hasArray(column));
    if (others.length === 0) return true;
    // A domain may refuse the NULL that stands for what is not staged.
    const fillsDomains = map.target.columns.every(
      ({ name, type }) => type.kind !== 'domain' || columns.some((column) => column.target.name === name && isAsStored(column)),
    );
    return fillsDomains && others.every(isAsStored) && this.#arrays.rowsOf(map.target.oid) !== null;
  }

  /** Those of these columns that go as rows: with one of them all domains, which may refuse a NULL. */
  inRows(columns: readonly MappedColumn[]): ReadonlySet<MappedColumn> {
    if (columns.every((column) => this.#hasArray(column))) return NONE;
    return new Set(
      columns.filter((column) => !this.#hasArray(column) || (column.target.type.kind === 'domain' && isAsStored(column))),
    );
  }

  /** Columns come row by row and leave as arrays, in the order of the columns; then the rows, where there are some. */
  async parameters<T>(
    map: RowMap,
    columns: readonly MappedColumn[],
    rows: readonly T[],
    fill: (row: T, add: AddColumns) => void,
  ): Promise<{ types: readonly Oid[]; arrays: readonly ManyValues[] }> {
    const inRows = this.inRows(columns);
    const types: Oid[] = [];
    const arrays = columns.map((column) => {
      if (inRows.has(column)) return null;
      const element = this.#binary ? column.parameterType : TYPE_OID.text;
      types.push(this.#arrays.of(element));
      return new ArrayParameter(element, rows.length);
    });
    const wholeRows = inRows.size > 0 ? this.#rowParameter(map, columns, inRows, types) : null;
    const tuples: Tuple[] = [];
    const starts: number[] = [];
    const put = (i: number, tuple: Tuple, at: number): void => {
      const array = arrays[i];
      if (array) array.add(tuple, at);
      else [tuples[i], starts[i]] = [tuple, at];
    };
    const turns = new Turns();
    const add: AddColumns = (tuple, of, first, older) => {
      locateColumns(tuple, offsets);
      for (let i = 0; i < of.length; i++) {
        const column = of[i];
        if (!column) continue;
        const at = offsets[column.index] ?? tuple.start;
        if (older && tuple.data[at] === COLUMN.unchangedToast) {
          const place = olderPlace(older, column);
          put(first + i, place.tuple, place.at);
        } else {
          put(first + i, tuple, at);
        }
      }
    };
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i];
      if (row !== undefined) fill(row, add);
      wholeRows?.add(tuples, starts);
      if (i % ROWS_A_LOOK === 0) await turns.give();
    }
    const all = arrays.filter((array) => array !== null);
    return { types, arrays: wholeRows ? [...all, wholeRows] : all };
  }

  #rowParameter(
    { target }: RowMap,
    columns: readonly MappedColumn[],
    inRows: ReadonlySet<MappedColumn>,
    types: Oid[],
  ): RowParameter {
    const ofTable = this.#arrays.rowsOf(target.oid);
    if (!ofTable) throw new RangeError(`the type of the rows of ${target.name} is not known`);
    types.push(ofTable.array);
    const places = target.columns.map(({ name, type }) => {
      const staged = columns.findIndex((column) => column.target.name === name && inRows.has(column));
      return { type: type.oid, staged: staged < 0 ? null : staged };
    });
    return new RowParameter(ofTable, places);
  }

  #hasArray(column: MappedColumn): boolean {
    return !this.#binary || this.#arrays.of(column.parameterType) !== 0;
  }
}

// What comes is the form of the column's own type.
function isAsStored({ conversion }: MappedColumn): boolean {
  return conversion === 'none';
}
