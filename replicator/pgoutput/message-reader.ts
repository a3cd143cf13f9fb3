import type { Lsn } from '../postgres/lsn.ts';
import { COLUMN, type Tuple } from './messages.ts';

/** Milliseconds from 1970-01-01, where JavaScript counts from, to 2000-01-01, where PostgreSQL does. */
const POSTGRES_EPOCH_MS = 946_684_800_000;

/**
 * Reads one message field by field, from its start and never beyond its end: behind it lie other rows' bytes. Everything
 * that does not fit throws a RangeError.
 */
export class MessageReader {
  #data: Buffer = Buffer.alloc(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #at = 0;
  #end = 0;

  /** From here on data[start, end) is read. */
  open(data: Buffer, start: number, end: number): void {
    if (data !== this.#data) {
      this.#data = data;
      this.#view = new DataView(data.buffer, data.byteOffset, data.length);
    }
    this.#at = start;
    this.#end = end;
  }

  /** Throws when something has not been read. */
  close(): void {
    if (this.#at !== this.#end) throw new RangeError(`${this.#end - this.#at} bytes left over`);
  }

  byte(): number {
    return this.#view.getUint8(this.#skip(1));
  }

  /** The kind of the tuple that follows. */
  expect(kind: number): void {
    if (this.byte() !== kind) throw new RangeError(`expected tuple kind ${kind}`);
  }

  int16(): number {
    return this.#view.getInt16(this.#skip(2));
  }

  int32(): number {
    return this.#view.getInt32(this.#skip(4));
  }

  uint32(): number {
    return this.#view.getUint32(this.#skip(4));
  }

  /** Int16: how many of something follow. */
  count16(): number {
    return notNegative(this.int16());
  }

  /** Int32: how many of something follow. */
  count32(): number {
    return notNegative(this.int32());
  }

  lsn(): Lsn {
    return this.#view.getBigUint64(this.#skip(8)) as Lsn;
  }

  /** Milliseconds since 1970; used for lag and display, never for data. */
  timestamp(): number {
    return Number(this.#view.getBigInt64(this.#skip(8))) / 1000 + POSTGRES_EPOCH_MS;
  }

  /** Up to the next zero byte. */
  string(): string {
    const end = this.#data.indexOf(0, this.#at);
    if (end === -1 || end >= this.#end) throw new RangeError('string without an end');
    const text = this.#data.toString('utf8', this.#at, end);
    this.#at = end + 1;
    return text;
  }

  /** So many bytes as text. */
  text(bytes: number): string {
    const start = this.#skip(bytes);
    return this.#data.toString('utf8', start, this.#at);
  }

  /** All that is left, where it lies. */
  rest(): { data: Buffer; start: number; end: number } {
    const start = this.#skip(this.#end - this.#at);
    return { data: this.#data, start, end: this.#end };
  }

  /**
   * TupleData: int16 columns, each a kind byte and, for 't' and 'b', int32 length and bytes. Only walked over here, so
   * whoever reads the columns later may rely on every length, and on as many columns as the relation has.
   */
  tuple(expected: number): Tuple {
    const data = this.#data;
    const view = this.#view;
    const end = this.#end;
    const columns = this.int16();
    if (columns !== expected) throw new RangeError(`${columns} columns for a relation of ${expected}`);
    const start = this.#at;
    let at = start;
    let partial = false;
    for (let left = columns; left > 0; left--) {
      const kind = at < end ? data[at++] : undefined;
      if (kind === COLUMN.text || kind === COLUMN.binary) {
        if (at + 4 > end) throw new RangeError('ends inside a column');
        const length = view.getInt32(at);
        at += 4 + length;
        if (length < 0 || at > end) throw new RangeError(`a column of ${length} bytes`);
      } else if (kind === COLUMN.unchangedToast) partial = true;
      else if (kind !== COLUMN.null) throw new RangeError(`unknown column kind ${kind}`);
    }
    this.#at = at;
    return { data, view, start, end: at, columns, partial };
  }

  /** Moves on by so many bytes and gives back where they begin. */
  #skip(bytes: number): number {
    const at = this.#at;
    if (at + bytes > this.#end) throw new RangeError('ends too early');
    this.#at = at + bytes;
    return at;
  }
}

function notNegative(count: number): number {
  if (count < 0) throw new RangeError(`a count of ${count}`);
  return count;
}
