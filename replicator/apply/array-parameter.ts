import { FrameWriter } from '../postgres/frame-writer.ts';
import type { Oid } from '../postgres/oid.ts';
import { COLUMN, type Tuple } from '../pgoutput/messages.ts';

/** int32 dimensions, int32 has-nulls, int32 element type, int32 length, int32 lower bound. */
const HEADER_BYTES = 20;

/** What an element may take, with its length, and what is set aside for all of them at first. */
const ELEMENT_BYTES = 32;
const MOST_AT_FIRST = 1 << 14;

/**
 * One column of many rows as a one-dimensional array in binary form, ready to be a parameter. The elements are what
 * the stream sent, byte for byte: int32 length and value is the form of an array element too (array_recv in
 * src/backend/utils/adt/arrayfuncs.c). In text form the elements are those of a text array.
 */
export class ArrayParameter {
  readonly #elements: FrameWriter;
  readonly #elementType: Oid;
  #count = 0;
  #hasNulls = 0;

  /** `rows`: how many elements are to be expected. */
  constructor(elementType: Oid, rows: number) {
    this.#elementType = elementType;
    this.#elements = new FrameWriter(Math.min(MOST_AT_FIRST, rows * ELEMENT_BYTES));
  }

  /** Adds the column of `tuple` that begins at `at`. */
  add(tuple: Tuple, at: number): void {
    const kind = tuple.data[at];
    if (kind === COLUMN.text || kind === COLUMN.binary) {
      this.#elements.slice(tuple, at + 1, at + 5 + tuple.view.getInt32(at + 1));
    } else {
      this.#hasNulls = 1;
      this.#elements.int32(-1);
    }
    this.#count++;
  }

  /** Adds an int4. */
  addInt(value: number): void {
    this.#elements.int32(4);
    this.#elements.int32(value);
    this.#count++;
  }

  /** Writes length and array, as Bind wants a parameter. */
  writeTo(writer: FrameWriter): void {
    writeArray(writer, {
      element: this.#elementType,
      count: this.#count,
      hasNulls: this.#hasNulls,
      elements: this.#elements,
    });
  }
}

/** Writes length and bytes of a one-dimensional array; `elements` have their lengths before them. */
export function writeArray(
  writer: FrameWriter,
  { element, count, hasNulls, elements }: { element: Oid; count: number; hasNulls: number; elements: FrameWriter },
): void {
  writer.int32(HEADER_BYTES + elements.length);
  writer.int32(1);
  writer.int32(hasNulls);
  writer.uint32(element);
  writer.int32(count);
  writer.int32(1);
  writer.append(elements);
}
