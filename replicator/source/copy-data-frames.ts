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
 * stay where the socket put them: no object a message, no copy, except of a message that chunks share, whose parts are copied
 * into memory of its size as they come.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export class CopyDataFrames {
  readonly #handlers: FrameHandlers;
  /** Less than a header. */
  #rest: Buffer | null = null;
  /** A message whose end has not come, and how much of it is there. */
  #message: Buffer | null = null;
  #filled = 0;

  constructor(handlers: FrameHandlers) {
    this.#handlers = handlers;
  }

  /** Takes the next chunk, which must be memory of its own, as a socket hands it out. */
  push(chunk: Buffer): void {
    const message = this.#message;
    if (message) {
      const taken = chunk.copy(message, this.#filled);
      this.#filled += taken;
      if (this.#filled < message.length) return;
      this.#message = null;
      this.#give(message, 0, message.length);
      this.#cut(chunk.subarray(taken));
    } else if (this.#rest) {
      const joined = Buffer.concat([this.#rest, chunk]);
      this.#rest = null;
      this.#cut(joined);
    } else {
      this.#cut(chunk);
    }
  }

  #cut(data: Buffer): void {
    let at = 0;
    while (data.length - at >= HEADER_BYTES) {
      const end = at + 1 + data.readInt32BE(at + 1);
      if (end > data.length) {
        this.#message = Buffer.allocUnsafe(end - at);
        this.#filled = data.copy(this.#message, 0, at);
        return;
      }
      this.#give(data, at, end);
      at = end;
    }
    if (at < data.length) this.#rest = data.subarray(at);
  }

  #give(data: Buffer, start: number, end: number): void {
    if (data[start] === COPY_DATA) this.#handlers.onCopyData(data, start + HEADER_BYTES, end);
    else this.#handlers.onOther(data.subarray(start, end));
  }
}
