import { RELATION, TYPE, type Decoder } from '../pgoutput/decoder.ts';
import type { StreamedMessage, StreamMessage } from '../pgoutput/messages.ts';
import { Problem } from '../problem.ts';
import type { CommitPoint } from './batcher.ts';
import { ChangeLog } from './change-log.ts';
import type { SpillSpace } from './spill-space.ts';

/** A transaction that comes in stretches while it is in progress on the source. */
export class StreamedTransaction {
  /** The top-level transaction's, as Begin would name it. */
  readonly xid: number;
  readonly log: ChangeLog;
  /** Where the first change of each subtransaction is, in the order of the log. */
  #firsts: { readonly subxid: number; readonly position: number }[] = [];
  readonly #known = new Set<number>();
  /** The relations that it described, and their types, still as bytes: they count from its commit on. */
  #descriptions: { readonly position: number; readonly bytes: Buffer }[] = [];
  /** Its commit, once that has come. */
  committed: CommitPoint | null = null;
  /** For whoever reads it while it is in progress: everything from this position on is cut off. */
  onCut: (position: number) => void = () => {};

  constructor(xid: number, space: SpillSpace) {
    this.xid = xid;
    this.log = new ChangeLog(space);
  }

  add({ subxid, code, data, start, end }: StreamedMessage): void {
    const position = this.log.end;
    if (subxid !== this.xid && !this.#known.has(subxid)) {
      this.#known.add(subxid);
      this.#firsts.push({ subxid, position });
    }
    if (code === RELATION || code === TYPE)
      this.#descriptions.push({ position, bytes: Buffer.from([code, ...data.subarray(start, end)]) });
    this.log.add(code, data, start, end);
  }

  /**
   * A subtransaction is undone: everything from its first change on is its own, or that of subtransactions inside it. One
   * that was never heard of has brought nothing, or was undone with what was around it.
   */
  undo(subxid: number): void {
    if (!this.#known.has(subxid)) return;
    for (let last = this.#firsts.pop(); last; last = this.#firsts.pop()) {
      this.#known.delete(last.subxid);
      if (last.subxid !== subxid) continue;
      const { position } = last;
      this.#descriptions = this.#descriptions.filter((described) => described.position < position);
      this.log.cut(position);
      this.onCut(position);
      return;
    }
  }

  /** Lets the decoder of the stream know the relations as this transaction leaves them behind. */
  describeTo(decoder: Decoder): void {
    for (const { bytes } of this.#descriptions) decoder.decode(bytes);
  }

  /** It is over, one way or the other. */
  close(): void {
    this.log.close();
    this.onCut(-1);
  }
}

/** The transactions in progress, of which any number may come in turns. */
export class StreamedTransactions {
  readonly #space: SpillSpace;
  readonly #open = new Map<number, StreamedTransaction>();
  /** The one whose stretch is under way. */
  #current: StreamedTransaction | null = null;

  constructor(space: SpillSpace) {
    this.#space = space;
  }

  /** In the order in which they were first heard of. */
  get open(): Iterable<StreamedTransaction> {
    return this.#open.values();
  }

  /** Takes the next message; gives the transaction that it commits, which is then no longer kept here. */
  push(message: StreamMessage): StreamedTransaction | null {
    switch (message.kind) {
      case 'stream start':
        this.#current = this.#open.get(message.xid) ?? this.#begin(message.xid);
        return null;
      case 'streamed':
        if (!this.#current) throw outOfOrder('a streamed change outside a stretch');
        this.#current.add(message);
        return null;
      case 'stream stop':
        this.#current = null;
        return null;
      case 'stream abort':
        this.#abort(message.xid, message.subxid);
        return null;
      case 'stream commit': {
        const transaction = this.#open.get(message.xid);
        if (!transaction) throw outOfOrder('the commit of a streamed transaction that never began');
        this.#open.delete(message.xid);
        transaction.committed = { endLsn: message.endLsn, committedAtMs: message.committedAtMs };
        return transaction;
      }
    }
  }

  #begin(xid: number): StreamedTransaction {
    const transaction = new StreamedTransaction(xid, this.#space);
    this.#open.set(xid, transaction);
    return transaction;
  }

  #abort(xid: number, subxid: number): void {
    const transaction = this.#open.get(xid);
    if (!transaction) return;
    if (subxid !== xid) return transaction.undo(subxid);
    this.#open.delete(xid);
    transaction.close();
  }
}

function outOfOrder(what: string): Problem {
  return new Problem('STREAM_INVALID', `The stream is out of order: ${what}.`, {
    remedy: 'Please report this; nothing was acknowledged.',
  });
}
