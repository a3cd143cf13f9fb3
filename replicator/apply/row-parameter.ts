import { FrameWriter } from '../postgres/frame-writer.ts';
import type { Oid } from '../postgres/oid.ts';
import { COLUMN, type Tuple } from '../pgoutput/messages.ts';
import { writeArray } from './array-parameter.ts';

/** The type of a table's rows, and the array type of that. */
export interface RowTypes {
  readonly row: Oid;
  readonly array: Oid;
}

/** A column of the target's row: its type, and which of the staged columns has its values; null for none. */
export interface RowPlace {
  readonly type: Oid;
  readonly staged: number | null;
}

/**
 * Many rows as an array of the target table's own row type: for columns whose types no array holds, as they are arrays themselves. An element is
 * int32 fields, each int32 type, int32 length, bytes (record_recv in src/backend/utils/adt/rowtypes.c); what is not staged is NULL.
 */
export class RowParameter {
  readonly #types: RowTypes;
  readonly #places: readonly RowPlace[];
  readonly #elements = new FrameWriter();
  #count = 0;

  constructor(types: RowTypes, places: readonly RowPlace[]) {
    this.#types = types;
    this.#places = places;
  }

  /** Adds a row: the nth of the staged columns begins at `starts[n]` of `tuples[n]`. */
  add(tuples: readonly (Tuple | undefined)[], starts: readonly number[]): void {
    const places = this.#places;
    let length = 4 + 8 * places.length;
    for (const { staged } of places) if (staged !== null) length += valueBytes(tuples[staged], starts[staged] ?? 0);
    const writer = this.#elements;
    writer.int32(length);
    writer.int32(places.length);
    for (const { type, staged } of places) {
      writer.uint32(type);
      const tuple = staged === null ? undefined : tuples[staged];
      const at = staged === null ? 0 : (starts[staged] ?? 0);
      if (tuple && hasValue(tuple, at)) writer.slice(tuple, at + 1, at + 5 + tuple.view.getInt32(at + 1));
      else writer.int32(-1);
    }
    this.#count++;
  }

  /** Writes length and array, as Bind wants a parameter. */
  writeTo(writer: FrameWriter): void {
    writeArray(writer, { element: this.#types.row, count: this.#count, hasNulls: 0, elements: this.#elements });
  }
}

function hasValue({ data }: Tuple, at: number): boolean {
  return data[at] === COLUMN.text || data[at] === COLUMN.binary;
}

function valueBytes(tuple: Tuple | undefined, at: number): number {
  return tuple && hasValue(tuple, at) ? tuple.view.getInt32(at + 1) : 0;
}
