import type { Client } from 'pg';
import replication from 'pg-logical-replication';
import { clientConfig, settleSession } from '../postgres/connect.ts';
import { formatLsn, type Lsn } from '../postgres/lsn.ts';
import { quoteIdent, quoteLiteral } from '../postgres/quote.ts';
import { describeError, SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';
import { COPY_ALL_AGAIN } from './slot-verdict.ts';
import { standbyStatus, type StandbyPosition } from './standby-status.ts';
import { CopyDataFrames, type FrameHandlers } from './copy-data-frames.ts';
import { biteReads, type ReadBites } from './read-bites.ts';

// The package is CommonJS; AbstractPlugin is not exported at run time, so PgoutputPlugin is what can be extended.
const { LogicalReplicationService, PgoutputPlugin } = replication;

export interface WalStreamOptions {
  readonly url: string;
  /** Whether the server takes TLS, as another connection of this URL has found (sslmode=prefer). */
  readonly encrypted: boolean;
  readonly slot: string;
  readonly publications: readonly string[];
  /** Where to start: the checkpoint. The server skips transactions whose commit ends at or before it. */
  readonly from: Lsn;
  readonly binary: boolean;
  /** Large transactions come in stretches while they are in progress on the source. */
  readonly streaming: boolean;
  /** 'none' leaves out what came to the source by replication (source 16+). */
  readonly origin: 'any' | 'none';
  readonly purpose: string;
}

export interface WalStreamHandlers {
  /** The slot is ours from now on: nobody else can read from it or move it. */
  onStart(): void;
  /** One pgoutput message: data[start, end), which stays as it is for as long as somebody holds it. */
  onMessage(data: Buffer, start: number, end: number): void;
  /** The source has decoded and sent everything up to here. */
  onKeepalive(walEnd: Lsn, replyRequested: boolean): void;
  /** One read from the socket is dealt with, all its messages, in so many ms. */
  onRead?(ms: number): void;
}

/** Most kB that the source decodes of transactions in progress before it sends the largest of them. */
const DECODING_KB = 16 * 1024;

const XLOG_DATA = 0x77;
const KEEPALIVE = 0x6b;
/** 'w', int64 start, int64 end, int64 clock; then the output plugin's bytes. */
const XLOG_DATA_HEADER_BYTES = 25;

// Starts with options that the package's own plugin does not know, and takes the stream's data off the wire before
// node-postgres makes an object, a text LSN and an event of every row.
class RawPgoutput extends PgoutputPlugin {
  readonly #options: WalStreamOptions;
  client: Client | null = null;
  /** Why there is nothing to start any more: the end came while the connection was being made. */
  ended: { readonly reason: unknown } | null = null;
  onCopyData: (data: Buffer, start: number, end: number) => void = () => {};
  onRead: (ms: number) => void = () => {};

  constructor(options: WalStreamOptions) {
    super({ protoVersion: 2, publicationNames: [...options.publications] });
    this.#options = options;
  }

  override async start(client: Client, slot: string, from: string): Promise<never> {
    if (this.ended) throw this.ended.reason;
    this.client = client;
    await settleSession(client);
    if (this.#options.streaming) await sendPartsSoon(client);
    // The connection is idle, so the parser holds no part of a message.
    takeCopyData(
      client,
      (data, start, end) => this.onCopyData(data, start, end),
      (ms) => this.onRead(ms),
    );
    return client.query(startReplication(slot, from, this.#options)) as Promise<never>;
  }
}

// Of a transaction that fits into this memory nothing is sent before its commit is decoded, and then all at once: a large
// one that has been committed already keeps everybody waiting meanwhile. Measured with one UPDATE of 500,000 rows: the
// first of them came a second sooner. https://www.postgresql.org/docs/current/runtime-config-resource.html
async function sendPartsSoon(client: Client): Promise<void> {
  await client.query(
    `SELECT pg_catalog.set_config('logical_decoding_work_mem', '${DECODING_KB}', false)
      WHERE pg_catalog.pg_size_bytes(pg_catalog.current_setting('logical_decoding_work_mem')) > ${DECODING_KB * 1024}`,
  );
}

// node-postgres goes on parsing everything else, message by message.
function takeCopyData(client: Client, onCopyData: FrameHandlers['onCopyData'], onRead: (ms: number) => void): void {
  const { stream } = client.connection;
  const parsers = stream.listeners('data');
  const frames = new CopyDataFrames({
    onCopyData,
    onOther: (message) => {
      for (const parse of parsers) Reflect.apply(parse, stream, [message]);
    },
  });
  stream.removeAllListeners('data');
  stream.on('data', (chunk: Buffer) => {
    const startedAt = performance.now();
    frames.push(chunk);
    onRead(performance.now() - startedAt);
  });
}

/**
 * The stream of one slot over pg-logical-replication, from START_REPLICATION to the end of the connection.
 * Its automatic acknowledgements are off: they would report what was received, and one byte too much. Positions are
 * reported by status() alone.
 */
export class WalStream {
  readonly #service: InstanceType<typeof LogicalReplicationService>;
  readonly #plugin: RawPgoutput;
  readonly #options: WalStreamOptions;
  #reads: ReadBites | null = null;

  constructor(options: WalStreamOptions) {
    this.#options = options;
    this.#plugin = new RawPgoutput(options);
    const config = clientConfig({ role: 'source', url: options.url, purpose: options.purpose, replication: true });
    this.#service = new LogicalReplicationService(options.encrypted ? config : { ...config, ssl: false }, {
      acknowledge: { auto: false, timeoutSeconds: 0 },
    });
  }

  /**
   * Streams until the signal aborts (then resolves) or the connection ends (then rejects with its error).
   * A handler that throws ends the stream with its error.
   */
  async run(handlers: WalStreamHandlers, signal: AbortSignal): Promise<void> {
    const stop = (error: unknown): void => {
      this.#plugin.ended ??= { reason: error };
      this.#plugin.client?.connection.stream.destroy();
    };
    this.#service.on('error', (error) => stop(error));
    this.#plugin.onCopyData = (data, start, end): void => {
      if (this.#plugin.ended) return;
      try {
        if (data[start] === XLOG_DATA) handlers.onMessage(data, start + XLOG_DATA_HEADER_BYTES, end);
        // 'k', int64 end of what was sent, int64 clock, int8 reply requested.
        else if (data[start] === KEEPALIVE) handlers.onKeepalive(data.readBigUInt64BE(start + 1) as Lsn, data[start + 17] === 1);
      } catch (error) {
        stop(error);
      }
    };
    this.#plugin.onRead = (ms): void => handlers.onRead?.(ms);
    this.#service.on('start', () => {
      if (this.#plugin.client) this.#reads = biteReads(this.#plugin.client.connection.stream);
      handlers.onStart();
    });
    const onAbort = (): void => stop(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      signal.throwIfAborted();
      await this.#service.subscribe(this.#plugin, this.#options.slot, formatLsn(this.#options.from));
      throw new Error('Connection terminated: the source ended the stream');
    } catch (error) {
      if (signal.aborted) return;
      throw (
        this.#plugin.ended?.reason ?? (this.#reads && sqlState(error) === SQLSTATE.undefined_object ? notPublished(error) : error)
      );
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#reads?.stop();
      // After an error of the decoder the connection is still there; where its reading rests, a farewell would wait for ever for what is not read.
      this.#plugin.client?.connection.stream.destroy();
      await this.#service.destroy().catch(() => {});
    }
  }

  /** The server process that sends; null before the stream is started. */
  get pid(): number | null {
    return this.#plugin.client?.processID ?? null;
  }

  /** Reports positions; returns false when there is no stream to report on. */
  status(position: StandbyPosition): boolean {
    const connection = this.#plugin.client?.connection;
    if (!this.#reads || !connection || connection.stream.destroyed) return false;
    connection.sendCopyFromChunk(standbyStatus(position, Date.now()));
    return true;
  }

  /** Stops reading; keepalives can still be sent, and the source waits (backpressure). */
  pause(): void {
    this.#reads?.pause();
  }

  resume(): void {
    this.#reads?.resume();
  }
}

// The decoder looks publications up as of the change; a server before 18 ends where there was none.
function notPublished(cause: unknown): Problem {
  return new Problem(
    'PUBLICATION_MISSING',
    `Changes that are still to be sent were written while a publication did not exist, so the source cannot decode them, also where it exists again: ${describeError(cause)}`,
    { retry: 'transient', cause, remedy: `To copy everything again: ${COPY_ALL_AGAIN}` },
  );
}

/** https://www.postgresql.org/docs/current/protocol-logical-replication.html#PROTOCOL-LOGICAL-REPLICATION-PARAMS */
function startReplication(
  slot: string,
  from: string,
  options: Pick<WalStreamOptions, 'publications' | 'binary' | 'streaming' | 'origin'>,
): string {
  const parameters = [
    `proto_version '${options.streaming ? 2 : 1}'`,
    `publication_names ${quoteLiteral(options.publications.map(quoteIdent).join(','))}`,
    `messages 'true'`,
  ];
  if (options.binary) parameters.push(`binary 'true'`);
  if (options.streaming) parameters.push(`streaming 'on'`);
  if (options.origin === 'none') parameters.push(`origin 'none'`);
  return `START_REPLICATION SLOT ${quoteIdent(slot)} LOGICAL ${from} (${parameters.join(', ')})`;
}
