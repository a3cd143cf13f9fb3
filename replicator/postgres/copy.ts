import type { Client, Submittable } from 'pg';
import { drained } from './drained.ts';

/** Rows travel in pieces of about this size: one CopyData message may hold any part of the stream. */
const PIECE_BYTES = 1 << 16;
/** Pieces that may wait before reading from the socket stops. */
const PIECES_WAITING = 4;

// What both directions of COPY share as a custom query of node-postgres.
abstract class CopyQuery implements Submittable {
  protected readonly client: Client;
  readonly #sql: string;
  protected failure: Error | null = null;
  protected settled = false;

  constructor(client: Client, sql: string) {
    this.client = client;
    this.#sql = sql;
  }

  submit(): void {
    this.client.connection.query(this.#sql);
  }

  handleRowDescription(): void {}
  handleDataRow(): void {}
  handlePortalSuspended(): void {}
  handleEmptyQuery(): void {}
  handleCommandComplete(_message: { text: string }): void {}
  abstract handleCopyInResponse(): void;
  abstract handleCopyData(message: { chunk: Buffer }): void;

  handleError(error: Error): void {
    this.failure ??= error;
    this.#settle();
  }

  handleReadyForQuery(): void {
    this.#settle();
  }

  protected abstract onSettled(): void;

  #settle(): void {
    if (this.settled) return;
    this.settled = true;
    this.onSettled();
  }
}

/**
 * COPY … TO STDOUT as an async iterable of Buffers of about 64 kB, whole rows each. The bytes are copied out of
 * node-postgres's read buffer at once, because its parser writes over that buffer when it moves a partial message to
 * the front. Reading from the socket stops while nobody takes.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
 */
export class CopyOut extends CopyQuery {
  /** CopyData messages received: one a row, and in binary one for the trailer. */
  messages = 0;
  #ready: Buffer[] = [];
  #piece = Buffer.allocUnsafe(PIECE_BYTES);
  #length = 0;
  #wake: () => void = () => {};

  constructor(client: Client, sql: string) {
    super(client, sql);
    client.query(this);
  }

  override handleCopyInResponse(): void {
    this.client.connection.sendCopyFail('this statement must be COPY … TO STDOUT');
  }

  override handleCopyData(message: { chunk: Buffer }): void {
    const { chunk } = message;
    this.messages++;
    if (this.#length + chunk.length > this.#piece.length) this.#flush();
    if (chunk.length > this.#piece.length) {
      this.#ready.push(Buffer.from(chunk));
      this.#wake();
    } else {
      this.#length += chunk.copy(this.#piece, this.#length);
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    const { stream } = this.client.connection;
    try {
      for (;;) {
        const piece = this.#ready.shift();
        if (piece) {
          yield piece;
        } else if (!this.settled) {
          stream.resume();
          await new Promise<void>((resolve) => (this.#wake = resolve));
        } else if (this.failure) {
          throw this.failure;
        } else if (this.#length > 0) {
          this.#flush();
        } else {
          return;
        }
      }
    } finally {
      // Whoever stops early leaves the rest to be read and dropped, so that the connection's answers can arrive.
      stream.resume();
    }
  }

  protected override onSettled(): void {
    this.#wake();
  }

  #flush(): void {
    if (this.#length === 0) return;
    this.#ready.push(this.#piece.subarray(0, this.#length));
    this.#piece = Buffer.allocUnsafe(PIECE_BYTES);
    this.#length = 0;
    if (this.#ready.length >= PIECES_WAITING) this.client.connection.stream.pause();
    this.#wake();
  }
}

/**
 * COPY … FROM STDIN. write() takes any piece of the stream and waits while the socket is full; end() waits for the
 * server's verdict and gives the number of rows; fail() makes the server drop the whole COPY.
 */
export class CopyIn extends CopyQuery {
  #tag = '';
  #open = false;
  readonly #opened: Promise<void>;
  readonly #finished: Promise<void>;
  #onOpened: () => void = () => {};
  #onFinished: () => void = () => {};

  constructor(client: Client, sql: string) {
    super(client, sql);
    this.#opened = new Promise((resolve) => (this.#onOpened = resolve));
    this.#finished = new Promise((resolve) => (this.#onFinished = resolve));
    client.query(this);
  }

  override handleCopyInResponse(): void {
    this.#open = true;
    this.#onOpened();
  }

  override handleCopyData(): void {}

  override handleCommandComplete(message: { text: string }): void {
    this.#tag = message.text;
  }

  /** Sends any piece of the COPY stream. Rejects with the server's error once it has refused a row. */
  async write(piece: Buffer): Promise<void> {
    await this.#opened;
    if (this.failure) throw this.failure;
    const { connection } = this.client;
    connection.sendCopyFromChunk(piece);
    await drained(connection.stream);
  }

  /** Ends the stream; resolves with the number of rows the server took. */
  async end(): Promise<number> {
    await this.#opened;
    if (!this.failure) this.client.connection.endCopyFrom();
    await this.#finished;
    if (this.failure) throw this.failure;
    return Number(this.#tag.split(' ').at(-1));
  }

  /** Gives up: the server rolls the COPY back and answers with an error, which is expected and not thrown. */
  async fail(reason: string): Promise<void> {
    await this.#opened;
    if (this.#open && !this.settled) this.client.connection.sendCopyFail(reason);
    await this.#finished;
  }

  protected override onSettled(): void {
    this.#onOpened();
    this.#onFinished();
  }
}
