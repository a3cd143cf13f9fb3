const COPY_DATA = 0x64;
/** Type byte and int32 length, which counts itself. */
const HEADER_BYTES = 5;

export interface FrameHandlers {
  /** The payload of a CopyData message: data[start, end). Nobody ever writes over it. */
  onCopyData(data: Buffer, start: number, end: number): void;
  /** Any other message, whole. */
  onOther(message: Buffer): void;
}

/**
 * Cuts what the server sends into messages and takes out CopyData, of which a replication stream has one a row. They
 * stay where the socket put them: no object a message, no copy, except of a message that two chunks share.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export class CopyDataFrames {
  readonly #handlers: FrameHandlers;
  /** The beginning of a message whose end has not come, and how many bytes of it are missing (0: not known yet). */
  #parts: Buffer[] = [];
  #missing = 0;

  constructor(handlers: FrameHandlers) {
    this.#handlers = handlers;
  }

  /** Takes the next chunk, which must be memory of its own, as a socket hands it out. */
  push(chunk: Buffer): void {
    if (this.#parts.length === 0) {
      this.#cut(chunk);
    } else if (this.#missing === 0) {
      // Less than a header was left.
      const joined = Buffer.concat([...this.#parts, chunk]);
      this.#parts = [];
      this.#cut(joined);
    } else if (chunk.length < this.#missing) {
      this.#parts.push(chunk);
      this.#missing -= chunk.length;
    } else {
      const rest = chunk.subarray(this.#missing);
      const whole = Buffer.concat([...this.#parts, chunk.subarray(0, this.#missing)]);
      this.#parts = [];
      this.#missing = 0;
      this.#message(whole, 0, whole.length);
      this.#cut(rest);
    }
  }

  #cut(data: Buffer): void {
    let at = 0;
    while (data.length - at >= HEADER_BYTES) {
      const end = at + 1 + data.readInt32BE(at + 1);
      if (end > data.length) {
        this.#missing = end - data.length;
        break;
      }
      this.#message(data, at, end);
      at = end;
    }
    if (at < data.length) this.#parts = [data.subarray(at)];
  }

  #message(data: Buffer, start: number, end: number): void {
    if (data[start] === COPY_DATA) this.#handlers.onCopyData(data, start + HEADER_BYTES, end);
    else this.#handlers.onOther(data.subarray(start, end));
  }
}
