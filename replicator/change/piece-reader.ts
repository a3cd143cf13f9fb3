import { Decoder } from '../pgoutput/decoder.ts';
import type { Change } from '../pgoutput/messages.ts';
import type { Batch } from './batcher.ts';
import type { StreamedTransaction } from './streamed-transactions.ts';

/** So much of a log is read in one go, and decoded before anything else has its turn. */
const READ_BYTES = 1 << 18;
/** int32 length of the record that follows. */
const LENGTH_BYTES = 4;

export interface PieceOptions {
  /** Most bytes of changes in a piece, each with its share of `changeOverheadBytes`. */
  readonly maxBytes: number;
  readonly changeOverheadBytes: number;
  readonly heartbeatPrefix: string;
  /** The decoder of the stream: relations that both know alike are the same objects. */
  readonly decoder: Decoder;
}

/** Reads a streamed transaction from its beginning, in pieces, as a large one that had come whole would come. */
export class PieceReader {
  readonly #transaction: StreamedTransaction;
  readonly #options: PieceOptions;
  readonly #decoder: Decoder;
  /** Up to here the log is read. */
  #position = 0;
  /** Up to here it may be read already. */
  #reach = 0;
  #valid = true;
  /** Read, but not decoded: less than a record, or what did not fit into the piece before. */
  #rest: Buffer = Buffer.alloc(0);
  #changes: Change[] = [];
  #bytes = 0;
  #heartbeat: string | null = null;

  constructor(transaction: StreamedTransaction, options: PieceOptions) {
    this.#transaction = transaction;
    this.#options = options;
    this.#decoder = new Decoder(options.decoder);
    transaction.onCut = (position) => {
      if (position < this.#reach) this.#valid = false;
    };
  }

  /** Nothing that was read has been cut off since. */
  get valid(): boolean {
    return this.#valid;
  }

  /** The next full piece, or the last one, with the commit; null as long as neither has come, up to `limit` in its log. */
  async next(limit = Infinity): Promise<Batch | null> {
    for (;;) {
      if (this.#decode()) return this.#piece(null);
      const { log } = this.#transaction;
      // Asked before the log is read: what comes meanwhile is for the next turn.
      const { committed } = this.#transaction;
      const most = Math.min(this.#wanted(Math.min(limit, log.end)), limit - this.#position);
      this.#reach = Math.min(this.#position + most, log.end);
      const read = await log.read(this.#position, most);
      this.#position += read.length;
      this.#reach = this.#position;
      if (read.length > 0) this.#rest = this.#rest.length > 0 ? Buffer.concat([this.#rest, read]) : read;
      else if (committed && this.#position === log.end) return this.#piece(committed);
      else return null;
    }
  }

  // How much to read next. A large record of which a part is there, all of it before `limit`, is read again from its beginning: into memory
  // of its size, where otherwise it would be there twice.
  #wanted(limit: number): number {
    if (this.#rest.length < LENGTH_BYTES) return READ_BYTES;
    const record = LENGTH_BYTES + this.#rest.readInt32BE(0);
    const start = this.#position - this.#rest.length;
    if (record < 2 * READ_BYTES || start + record > limit) return Math.max(READ_BYTES, record - this.#rest.length);
    this.#position = start;
    this.#rest = Buffer.alloc(0);
    return record;
  }

  /** Decodes what is there; true once there is a full piece. */
  #decode(): boolean {
    const { maxBytes, changeOverheadBytes, heartbeatPrefix } = this.#options;
    const rest = this.#rest;
    let at = 0;
    while (this.#bytes < maxBytes && rest.length - at >= LENGTH_BYTES) {
      const start = at + LENGTH_BYTES;
      const end = start + rest.readInt32BE(at);
      if (end > rest.length) break;
      at = end;
      const message = this.#decoder.decode(rest, start, end);
      switch (message.kind) {
        case 'insert':
        case 'update':
        case 'delete':
        case 'truncate':
          this.#changes.push(message);
          this.#bytes += end - start + changeOverheadBytes;
          break;
        case 'message':
          if (message.transactional && message.prefix === heartbeatPrefix) this.#heartbeat = message.content;
          break;
        default:
          break;
      }
    }
    this.#rest = rest.subarray(at);
    return this.#bytes >= maxBytes;
  }

  #piece(end: Batch['end']): Batch {
    const piece: Batch = {
      changes: this.#changes,
      bytes: this.#bytes,
      transactions: end ? 1 : 0,
      end,
      heartbeat: end ? this.#heartbeat : null,
      xids: [this.#transaction.xid],
      starts: [0],
    };
    this.#changes = [];
    this.#bytes = 0;
    return piece;
  }
}
