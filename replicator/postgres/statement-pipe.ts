import type { Duplex } from 'node:stream';
import type { Client, Submittable, Connection } from 'pg';
import { drained } from './drained.ts';
import { FrameWriter } from './frame-writer.ts';
import type { Oid } from './oid.ts';
import { Turns } from './turns.ts';

const PARSE = 0x50;
const BIND = 0x42;
const EXECUTE = 0x45;
const CLOSE = 0x43;
const SYNC = 0x53;
const COPY_DATA = 0x64;
const COPY_DONE = 0x63;
const STATEMENT = 0x53;

/** Written to the socket in pieces of this size. */
const PIECE_BYTES = 1 << 17;

/** The server refused the statement with this index (counted in executes) of a pipe; nothing after it was run. */
export class PipeError extends Error {
  readonly statement: number;
  constructor(statement: number, cause: Error) {
    super(cause.message, { cause });
    this.name = 'PipeError';
    this.statement = statement;
  }
}

/**
 * Prepared statements pipelined over one connection: Parse, Bind, Execute … and one Sync at the end, without waiting
 * for answers in between. After an error the server skips everything up to the Sync.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
 *
 * Parameters are written as bytes, so a value goes to the server exactly as it came from the other one.
 */
export class StatementPipe implements Submittable {
  readonly #client: Client;
  readonly #writer = new FrameWriter();
  readonly #onComplete: (statement: number, rows: number) => void;
  readonly #onRow: ((statement: number, fields: (string | null)[]) => void) | undefined;
  readonly #turns = new Turns();
  #executed = 0;
  #completed = 0;
  #failure: Error | null = null;
  #settled = false;
  #synced = false;
  #resolve: () => void = () => {};
  #reject: (error: Error) => void = () => {};
  readonly #done: Promise<void>;
  readonly #started: Promise<void>;
  #start: () => void = () => {};

  /** onComplete gets each statement's index and the rows it touched; onRow each row it returned, as text. */
  constructor(
    client: Client,
    onComplete: (statement: number, rows: number) => void,
    onRow?: (statement: number, fields: (string | null)[]) => void,
  ) {
    this.#client = client;
    this.#onComplete = onComplete;
    this.#onRow = onRow;
    this.#started = new Promise((resolve) => (this.#start = resolve));
    this.#done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#done.catch(() => {});
    client.query(this);
  }

  /** Index that the next execute() will have. */
  get nextStatement(): number {
    return this.#executed;
  }

  /** Prepares a statement under a name ('' for one use); 0 leaves a parameter's type to the server. */
  parse(name: string, sql: string, parameterTypes: readonly Oid[]): void {
    const w = this.#writer;
    w.begin(PARSE);
    w.cstring(name);
    w.cstring(sql);
    w.int16(parameterTypes.length);
    for (const oid of parameterTypes) w.uint32(oid);
    w.end();
  }

  /** Forgets a prepared statement. */
  close(name: string): void {
    const w = this.#writer;
    w.begin(CLOSE);
    w.byte(STATEMENT);
    w.cstring(name);
    w.end();
  }

  /**
   * Begins to bind a prepared statement; `formats` holds 0 (text) or 1 (binary) for each parameter. The caller then
   * writes, for each parameter, an int32 length (-1 for NULL) and that many bytes, and calls execute().
   */
  bind(name: string, formats: readonly number[]): FrameWriter {
    const w = this.#writer;
    w.begin(BIND);
    w.cstring('');
    w.cstring(name);
    w.int16(formats.length);
    for (const format of formats) w.int16(format);
    w.int16(formats.length);
    return w;
  }

  /** Executes what was bound last. */
  execute(): void {
    const w = this.#writer;
    w.int16(0);
    w.end();
    w.begin(EXECUTE);
    w.cstring('');
    w.int32(0);
    w.end();
    this.#executed++;
  }

  /** Executes a statement without parameters, unprepared. */
  run(sql: string): void {
    this.parse('', sql, []);
    this.bind('', []);
    this.execute();
  }

  /**
   * Begins COPY … FROM STDIN: the rows follow with copyRows(), then endCopy(). They are sent without waiting for the
   * server to ask for them; if it refuses the COPY it skips them, as everything else, up to the Sync.
   * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
   */
  beginCopy(sql: string): void {
    this.run(sql);
  }

  /** Begins one CopyData message; the caller writes any part of the COPY stream and calls endCopyRows(). */
  copyRows(): FrameWriter {
    this.#writer.begin(COPY_DATA);
    return this.#writer;
  }

  endCopyRows(): void {
    this.#writer.end();
  }

  endCopy(): void {
    this.#writer.begin(COPY_DONE);
    this.#writer.end();
  }

  /** True once enough is written that drain() should be awaited. */
  get full(): boolean {
    return this.#writer.length >= PIECE_BYTES;
  }

  /** Sends what is written and waits until the socket takes more. Rejects as soon as a statement has failed. */
  async drain(): Promise<void> {
    await this.#started;
    if (this.#settled) return await this.#done;
    const { stream } = this.#client.connection;
    this.#send(stream);
    await drained(stream);
    // A server that is quick takes all at once: no reason to keep everybody else waiting.
    await this.#turns.give();
  }

  /** Ends the pipe and waits for all answers. Rejects with PipeError, or with the connection's error. */
  async end(): Promise<void> {
    await this.#started;
    this.#sync();
    await this.#done;
  }

  #sync(): void {
    if (this.#synced) return;
    this.#synced = true;
    this.#writer.begin(SYNC);
    this.#writer.end();
    const { stream } = this.#client.connection;
    if (stream.writable) this.#send(stream);
  }

  // Its parts in one call of the system.
  #send(stream: Duplex): void {
    if (this.#writer.length === 0) return;
    stream.cork();
    for (const part of this.#writer.take()) stream.write(part);
    stream.uncork();
  }

  submit(_connection: Connection): void {
    this.#start();
  }

  handleRowDescription(): void {}
  handlePortalSuspended(): void {}
  handleCopyInResponse(): void {}
  handleCopyData(): void {}

  handleDataRow(message: { fields: (string | null)[] }): void {
    this.#onRow?.(this.#completed, message.fields);
  }

  handleEmptyQuery(): void {
    this.#onComplete(this.#completed++, 0);
  }

  handleCommandComplete(message: { text: string }): void {
    // The row count is the last word of the tag: "UPDATE 1", "INSERT 0 1", "TRUNCATE TABLE".
    const rows = Number(message.text.slice(message.text.lastIndexOf(' ') + 1));
    this.#onComplete(this.#completed++, Number.isNaN(rows) ? 0 : rows);
  }

  handleError(error: Error): void {
    // node-postgres has taken the failed pipe off the connection. The Sync must be sent all the same: the server skips
    // everything until then, and answers it with the ReadyForQuery that frees the connection.
    this.#failure ??= new PipeError(this.#completed, error);
    this.#start();
    this.#writer.take();
    this.#sync();
    this.#settle();
  }

  handleReadyForQuery(): void {
    this.#settle();
  }

  #settle(): void {
    if (this.#settled) return;
    this.#settled = true;
    if (this.#failure) this.#reject(this.#failure);
    else this.#resolve();
  }
}
