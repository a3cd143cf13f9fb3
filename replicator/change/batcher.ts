import type { Lsn } from '../postgres/lsn.ts';
import type { Change, WholeMessage } from '../pgoutput/messages.ts';
import { Problem } from '../problem.ts';
import { StreamedTransaction } from './streamed-transactions.ts';

/** Where a batch ends: at a commit of the source. */
export interface CommitPoint {
  readonly endLsn: Lsn;
  readonly committedAtMs: number;
}

/**
 * What goes to the target in one go: whole source transactions, or a piece of one that is larger than the bound.
 * `end` is null for a piece: the target's transaction stays open until the piece with the commit has come.
 */
export interface Batch {
  readonly changes: readonly Change[];
  readonly bytes: number;
  readonly transactions: number;
  readonly end: CommitPoint | null;
  /** The newest of our own logical messages whose transactions end in this batch: those before it have come too. */
  readonly heartbeat: string | null;
  /** The source transactions that brought the changes, as Begin names them (32 bits), and where in `changes` each starts. */
  readonly xids: readonly number[];
  readonly starts: readonly number[];
}

interface Segment {
  changes: Change[];
  bytes: number;
  transactions: number;
  end: CommitPoint | null;
  heartbeat: string | null;
  xids: number[];
  starts: number[];
}

/** Transactions smaller than this share a segment: a flood of tiny ones costs no bookkeeping each. */
const SEGMENT_BYTES = 1 << 16;

/**
 * Gathers changes while the applier works. take() hands over what has gathered, cut at a commit: no timer, a lone
 * transaction leaves at once and a flood leaves in large batches. Holds nothing but what was pushed and not taken;
 * `queuedBytes` is for the backpressure of whoever pushes.
 */
export class Batcher {
  readonly #maxBytes: number;
  readonly #heartbeatPrefix: string;
  #queue: (Segment | StreamedTransaction)[] = [];
  /** The transaction that is being received; not in #queue yet. */
  #current: Segment | null = null;
  #queuedBytes = 0;
  #wake: (() => void) | null = null;

  constructor(options: { maxBytes: number; heartbeatPrefix: string }) {
    this.#maxBytes = options.maxBytes;
    this.#heartbeatPrefix = options.heartbeatPrefix;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Nothing is queued and no transaction is being received: a keepalive's position may be taken over. */
  get idle(): boolean {
    return this.#current === null && this.#queue.length === 0;
  }

  /** Nothing is queued. */
  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  /** Adds one message; `bytes` is its size on the wire. Throws STREAM_INVALID when transactions do not nest as they must. */
  push(message: WholeMessage, bytes: number): void {
    switch (message.kind) {
      case 'begin':
        if (this.#current) throw outOfOrder('a transaction begins inside another');
        this.#current = newSegment(message.xid, null);
        break;
      case 'commit':
        this.#commit({ endLsn: message.endLsn, committedAtMs: message.committedAtMs });
        break;
      case 'message':
        if (this.#current && message.transactional && message.prefix === this.#heartbeatPrefix)
          this.#current.heartbeat = message.content;
        break;
      case 'insert':
      case 'update':
      case 'delete':
      case 'truncate':
        this.#change(message, bytes);
        break;
      case 'origin':
      case 'description':
        break;
    }
  }

  /** Adds a transaction that came in stretches and is committed now. What it brought stays in its log. */
  pushStreamed(transaction: StreamedTransaction): void {
    if (this.#current) throw outOfOrder('a streamed transaction commits inside another');
    this.#queue.push(transaction);
    this.#wake?.();
  }

  /** The streamed transaction whose turn it is, if it is one's. Whoever takes it reads it. */
  takeStreamed(): StreamedTransaction | null {
    const first = this.#queue[0];
    if (!(first instanceof StreamedTransaction)) return null;
    this.#queue.shift();
    return first;
  }

  /**
   * What has gathered, or null. Not a piece of a transaction behind whole ones: those become visible first. Nothing where
   * it is a streamed transaction's turn.
   */
  take(): Batch | null {
    const first = this.#queue[0];
    if (!first || first instanceof StreamedTransaction) return null;
    const taken = [first];
    let bytes = first.bytes;
    if (first.end !== null) {
      for (const next of this.#queue.slice(1)) {
        if (next instanceof StreamedTransaction || next.end === null || bytes + next.bytes > this.#maxBytes) break;
        bytes += next.bytes;
        taken.push(next);
      }
    }
    this.#queue.splice(0, taken.length);
    this.#queuedBytes -= bytes;
    return {
      changes: taken.length === 1 ? first.changes : ([] as Change[]).concat(...taken.map((segment) => segment.changes)),
      bytes,
      transactions: taken.reduce((sum, segment) => sum + segment.transactions, 0),
      end: taken.at(-1)?.end ?? null,
      heartbeat: taken.reduce<string | null>((newest, segment) => segment.heartbeat ?? newest, null),
      xids: taken.length === 1 ? first.xids : taken.flatMap((segment) => segment.xids),
      starts: taken.length === 1 ? first.starts : joinStarts(taken),
    };
  }

  /** Lets whoever waits in available() look around. */
  wake(): void {
    this.#wake?.();
  }

  /** Resolves once take() will give something, wake() is called, or the signal aborts. */
  async available(signal: AbortSignal): Promise<void> {
    if (this.#queue.length > 0 || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake);
        this.#wake = null;
        resolve();
      };
      this.#wake = wake;
      signal.addEventListener('abort', wake, { once: true });
    });
  }

  #change(change: Change, bytes: number): void {
    const current = this.#current;
    if (!current) throw outOfOrder('a row outside a transaction');
    current.changes.push(change);
    current.bytes += bytes;
    this.#queuedBytes += bytes;
    if (current.bytes >= this.#maxBytes) {
      // Larger than the bound: its pieces go to the target as they come, inside one open transaction.
      this.#queue.push(current);
      this.#current = newSegment(current.xids[0] ?? 0, current.heartbeat);
      current.heartbeat = null;
      this.#wake?.();
    }
  }

  #commit(end: CommitPoint): void {
    const current = this.#current;
    if (!current) throw outOfOrder('a commit without a begin');
    this.#current = null;
    const last = this.#queue.at(-1);
    if (last && !(last instanceof StreamedTransaction) && last.end !== null && last.bytes + current.bytes <= SEGMENT_BYTES) {
      if (current.changes.length > 0) {
        last.xids.push(current.xids[0] ?? 0);
        last.starts.push(last.changes.length);
      }
      for (const change of current.changes) last.changes.push(change);
      last.bytes += current.bytes;
      last.transactions++;
      last.end = end;
      last.heartbeat = current.heartbeat ?? last.heartbeat;
    } else {
      current.transactions = 1;
      current.end = end;
      this.#queue.push(current);
    }
    this.#wake?.();
  }
}

function newSegment(xid: number, heartbeat: string | null): Segment {
  return { changes: [], bytes: 0, transactions: 0, end: null, heartbeat, xids: [xid], starts: [0] };
}

function joinStarts(segments: readonly Segment[]): number[] {
  const joined: number[] = [];
  let before = 0;
  for (const { changes, starts } of segments) {
    for (const start of starts) joined.push(before + start);
    before += changes.length;
  }
  return joined;
}

function outOfOrder(what: string): Problem {
  return new Problem('STREAM_INVALID', `The stream is out of order: ${what}.`, {
    remedy: 'Please report this; nothing was acknowledged.',
  });
}
