import type { Client, Submittable } from 'pg';
import { destroySocket } from './connect.ts';
import { CopyIn } from './copy-in.ts';
import { drained } from './drained.ts';

const COPY_DATA = 0x64; // 'd'
const COPY_OUT_RESPONSE = 0x48; // 'H'
const READY_FOR_QUERY = 0x5a; // 'Z'
/** Type byte and int32 length. */
const HEADER_BYTES = 5;

export interface Relayed {
  readonly rows: number;
  /** Of the COPY stream, without the framing of its messages. */
  readonly bytes: number;
}

const sourcesWords = new WeakSet<Error>();

/** Whether it was the source of a relay that has said so. */
export function isFromSource(error: unknown): boolean {
  return error instanceof Error && sourcesWords.has(error);
}

/**
 * Pipes COPY … TO STDOUT on one server into COPY … FROM STDIN on another. A CopyData message has the same form in both
 * directions, so the bytes go on as they were received: only the boundaries between messages are looked at, nothing is
 * copied or held, and reading stops while the target takes no more. `progress` gets what has passed so far. Throws what either
 * server said; then both connections must be closed, because nothing else ends a COPY midway.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
 */
export async function relayCopy(
  from: { readonly client: Client; readonly sql: string },
  to: { readonly client: Client; readonly sql: string },
  progress: (rows: number, bytes: number) => void,
): Promise<Relayed> {
  const sink = new CopyIn(to.client, to.sql);
  await sink.ready();
  const tap = new CopyTap(from.client, from.sql, to.client, progress);
  try {
    await Promise.race([tap.finished, sink.refused()]);
    await tap.finished;
  } catch (error) {
    tap.finished.catch(() => {});
    tap.stop();
    // In the middle of a message the target can be told nothing any more.
    if (tap.betweenMessages) await sink.fail('the source stopped');
    else destroySocket(to.client);
    throw error;
  }
  return { rows: await sink.end(), bytes: tap.bytes };
}

/** The source's side: takes the place of node-postgres's parser, which would make an object of every row. */
class CopyTap implements Submittable {
  /** Resolves when the source is ready for the next statement; rejects with what it said. */
  readonly finished: Promise<void>;
  #forwarded = 0;
  #stopped = false;
  /** One a row, and in binary one for the trailer. */
  #messages = 0;
  readonly #client: Client;
  readonly #sql: string;
  readonly #target: Client;
  readonly #progress: (rows: number, bytes: number) => void;
  #done: () => void = () => {};
  #failed: (error: Error) => void = () => {};
  #listeners: ((data: Buffer) => void)[] = [];
  /** Bytes of the CopyData message under way that are still to come. */
  #missing = 0;
  /** The beginning of a message that is no CopyData, or of a header. */
  #rest: Buffer | null = null;
  readonly #onData = (data: Buffer): void => this.#take(data);

  constructor(client: Client, sql: string, target: Client, progress: (rows: number, bytes: number) => void) {
    this.#client = client;
    this.#sql = sql;
    this.#target = target;
    this.#progress = progress;
    this.finished = new Promise((resolve, reject) => {
      this.#done = resolve;
      this.#failed = reject;
    });
    client.query(this);
  }

  get bytes(): number {
    return this.#forwarded - this.#messages * HEADER_BYTES;
  }

  get betweenMessages(): boolean {
    return this.#missing === 0;
  }

  /** Nothing more goes to the target: it is told of the end, or of the next statement. */
  stop(): void {
    this.#stopped = true;
  }

  submit(): void {
    const { connection } = this.#client;
    this.#listeners = connection.stream.listeners('data') as ((data: Buffer) => void)[];
    for (const listener of this.#listeners) connection.stream.off('data', listener);
    connection.stream.on('data', this.#onData);
    connection.query(this.#sql);
  }

  handleRowDescription(): void {}
  handleDataRow(): void {}
  handlePortalSuspended(): void {}
  handleEmptyQuery(): void {}
  handleCommandComplete(): void {}
  handleCopyData(): void {}

  handleCopyInResponse(): void {
    this.#client.connection.sendCopyFail('this statement must be COPY … TO STDOUT');
  }

  handleError(error: Error): void {
    sourcesWords.add(error);
    this.#failed(error);
  }

  handleReadyForQuery(): void {
    this.#done();
  }

  #take(received: Buffer): void {
    const data = this.#rest ? Buffer.concat([this.#rest, received]) : received;
    this.#rest = null;
    let from = 0;
    let at = 0;
    for (;;) {
      const passed = Math.min(this.#missing, data.length - at);
      this.#missing -= passed;
      at += passed;
      if (this.#missing > 0 || at + HEADER_BYTES > data.length) break;
      const length = 1 + data.readUInt32BE(at + 1);
      if (data[at] === COPY_DATA) {
        this.#missing = length;
        this.#messages++;
        continue;
      }
      this.#forward(data, from, at);
      from = at;
      if (at + length > data.length) break;
      this.#handBack(data.subarray(at, at + length));
      from = at += length;
    }
    this.#forward(data, from, at);
    if (at < data.length) this.#rest = Buffer.from(data.subarray(at));
  }

  #forward(data: Buffer, from: number, to: number): void {
    if (to === from || this.#stopped) return;
    const { stream } = this.#target.connection;
    stream.write(data.subarray(from, to));
    this.#forwarded += to - from;
    this.#progress(this.#messages, this.bytes);
    if (!stream.writableNeedDrain) return;
    const source = this.#client.connection.stream;
    source.pause();
    void drained(stream).then(() => source.resume());
  }

  // Everything else is node-postgres's own: errors, notices, and the end.
  #handBack(message: Buffer): void {
    if (message[0] === COPY_OUT_RESPONSE) return;
    const { stream } = this.#client.connection;
    if (message[0] === READY_FOR_QUERY) {
      stream.off('data', this.#onData);
      for (const listener of this.#listeners) stream.on('data', listener);
    }
    for (const listener of this.#listeners) listener.call(stream, message);
  }
}
