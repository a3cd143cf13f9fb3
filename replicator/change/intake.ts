import { Decoder } from '../pgoutput/decoder.ts';
import type { Lsn } from '../postgres/lsn.ts';
import { Batcher } from './batcher.ts';
import { PieceReader } from './piece-reader.ts';
import { SpillSpace, type SpillOptions } from './spill-space.ts';
import { StreamedTransactions, type StreamedTransaction } from './streamed-transactions.ts';

export interface IntakeOptions {
  /** Most bytes of a batch, and of a piece of a transaction that is larger. */
  readonly maxBytes: number;
  /** What a decoded change takes beside its bytes: rows of a few bytes must not fill the memory by their number. */
  readonly changeOverheadBytes: number;
  readonly heartbeatPrefix: string;
  readonly spill: SpillOptions;
}

/**
 * Where the stream's messages go. Those of committed transactions are decoded and queued; those of transactions still in
 * progress are kept as bytes until their commit puts them into the queue, at its place, or their end is another one.
 */
export class Intake {
  readonly batcher: Batcher;
  readonly space: SpillSpace;
  readonly #options: IntakeOptions;
  readonly #decoder = new Decoder();
  readonly #streamed: StreamedTransactions;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.batcher = new Batcher(options);
    this.space = new SpillSpace(options.spill);
    this.#streamed = new StreamedTransactions(this.space);
  }

  /** Takes one message, data[start, end). Gives the end of the transaction that it commits. */
  push(data: Buffer, start: number, end: number): Lsn | null {
    const message = this.#decoder.decode(data, start, end);
    switch (message.kind) {
      case 'stream start':
      case 'streamed':
        this.#streamed.push(message);
        return null;
      case 'stream stop':
      case 'stream abort':
        this.#streamed.push(message);
        // For whoever reads transactions in progress.
        this.batcher.wake();
        return null;
      case 'stream commit':
        this.#commit(this.#streamed.push(message));
        return message.endLsn;
      default:
        this.batcher.push(message, end - start + this.#options.changeOverheadBytes);
        return message.kind === 'commit' ? message.endLsn : null;
    }
  }

  /** The transactions in progress. */
  get open(): Iterable<StreamedTransaction> {
    return this.#streamed.open;
  }

  /** Reads a streamed transaction from its beginning. */
  read(transaction: StreamedTransaction): PieceReader {
    return new PieceReader(transaction, { ...this.#options, decoder: this.#decoder });
  }

  /** Nothing of all this is needed any more. */
  [Symbol.dispose](): void {
    this.space.close();
  }

  // The relations count for what comes after it, which is decoded before this transaction is read.
  #commit(transaction: StreamedTransaction | null): void {
    if (!transaction) return;
    transaction.describeTo(this.#decoder);
    this.batcher.pushStreamed(transaction);
  }
}
