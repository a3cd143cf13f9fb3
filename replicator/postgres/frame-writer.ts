/** Up to here a loop over words is faster than Buffer.copy(), measured on Node.js 20. */
const SHORT_COPY = 400;

/** From here on a value is not copied at all, but sent from where it lies: copying fills memory that is new to the processor. */
const LARGE_COPY = 1 << 13;

/** A buffer for a message or two, and one for a piece of a flood. */
const SMALL_BYTES = 1 << 14;
const LARGE_BYTES = 1 << 18;

/** Bytes to copy from: a Buffer, and a view of the same. */
export interface ByteSource {
  readonly data: Buffer;
  readonly view: DataView;
}

/** Bytes that go between those of the buffer, before the one at `at`. */
interface Reference {
  readonly at: number;
  readonly bytes: Buffer;
}

/**
 * Writes frontend messages of the extended query protocol into one growing buffer. Large values stay where they are, and stand between
 * parts of the buffer: nobody may write over them until they are sent.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export class FrameWriter {
  #buffer: Buffer;
  #view: DataView;
  /** Bytes in the buffer. */
  #length = 0;
  #references: Reference[] = [];
  #referenceBytes = 0;
  /** Where in the buffer the length of the message under way goes, and what stood before it. */
  #frameStart = 0;
  #beforeFrame = 0;

  constructor(initialBytes = SMALL_BYTES) {
    this.#buffer = Buffer.allocUnsafe(initialBytes);
    this.#view = viewOf(this.#buffer);
  }

  /** Bytes written and not taken yet. */
  get length(): number {
    return this.#length + this.#referenceBytes;
  }

  /** Starts a message: its type byte and room for its length. */
  begin(type: number): void {
    this.#reserve(5);
    this.#buffer[this.#length] = type;
    this.#frameStart = this.#length + 1;
    this.#beforeFrame = this.length + 1;
    this.#length += 5;
  }

  /** Ends the message begun last: fills in its length. */
  end(): void {
    this.#view.setInt32(this.#frameStart, this.length - this.#beforeFrame);
  }

  int16(value: number): void {
    this.#reserve(2);
    this.#view.setInt16(this.#length, value);
    this.#length += 2;
  }

  int32(value: number): void {
    this.#reserve(4);
    this.#view.setInt32(this.#length, value);
    this.#length += 4;
  }

  uint32(value: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.#length, value);
    this.#length += 4;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  cstring(text: string): void {
    this.#reserve(Buffer.byteLength(text) + 1);
    this.#length += this.#buffer.write(text, this.#length);
    this.#buffer[this.#length++] = 0;
  }

  /** An int32 length and the text's UTF-8 bytes: a parameter in text format. */
  textParameter(text: string): void {
    const bytes = Buffer.byteLength(text);
    this.int32(bytes);
    this.#reserve(bytes);
    this.#length += this.#buffer.write(text, this.#length);
  }

  /** All of a buffer. */
  bytes(source: Buffer): void {
    if (source.length >= LARGE_COPY) {
      this.#refer(source);
      return;
    }
    this.#reserve(source.length);
    this.#length += source.copy(this.#buffer, this.#length);
  }

  /** All that another writer holds, which must not be written to any more. */
  append(other: FrameWriter): void {
    for (const part of other.#parts()) this.bytes(part);
  }

  /** [start, end) of what was received. Most values are a few bytes, where a call of copy() costs more than they do. */
  slice(source: ByteSource, start: number, end: number): void {
    const bytes = end - start;
    if (bytes >= LARGE_COPY) {
      this.#refer(source.data.subarray(start, end));
      return;
    }
    this.#reserve(bytes);
    let to = this.#length;
    this.#length = to + bytes;
    if (bytes > SHORT_COPY) {
      source.data.copy(this.#buffer, to, start, end);
      return;
    }
    const from = source.view;
    const into = this.#view;
    let at = start;
    for (const words = start + (bytes & ~3); at < words; at += 4, to += 4) into.setInt32(to, from.getInt32(at));
    for (; at < end; at++, to++) into.setInt8(to, from.getInt8(at));
  }

  /** Hands over all that was written, in parts that follow each other; the writer starts empty with a new buffer. */
  take(): Buffer[] {
    const parts = this.#parts();
    this.#renew(Buffer.allocUnsafe(this.#length > SMALL_BYTES ? LARGE_BYTES : SMALL_BYTES));
    this.#length = 0;
    this.#references = [];
    this.#referenceBytes = 0;
    return parts;
  }

  #parts(): Buffer[] {
    const parts: Buffer[] = [];
    let from = 0;
    for (const { at, bytes } of this.#references) {
      if (at > from) parts.push(this.#buffer.subarray(from, at));
      parts.push(bytes);
      from = at;
    }
    if (this.#length > from) parts.push(this.#buffer.subarray(from, this.#length));
    return parts;
  }

  #refer(bytes: Buffer): void {
    this.#references.push({ at: this.#length, bytes });
    this.#referenceBytes += bytes.length;
  }

  #renew(buffer: Buffer): void {
    this.#buffer = buffer;
    this.#view = viewOf(buffer);
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#renew(grown);
  }
}

function viewOf(buffer: Buffer): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
}
