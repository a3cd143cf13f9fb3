import { maxLsn, ZERO_LSN, type Lsn } from '../postgres/lsn.ts';

/** What a standby status update says. */
export interface StandbyPosition {
  readonly received: Lsn;
  /** The slot forgets everything up to here: at most what is durable on the target, and exactly an end LSN. */
  readonly flushed: Lsn;
  /** Asks for a keepalive, which says how far the source has got. */
  readonly replyRequested?: boolean;
}

const STATUS_UPDATE = 0x72;
const POSTGRES_EPOCH_MS = 946_684_800_000;

/**
 * A standby status update: 'r', int64 received, int64 flushed, int64 applied, int64 clock in µs since 2000,
 * int8 1 to ask for a reply.
 * Positions are "the last byte + 1": an end LSN as it stands. One more would skip a transaction that begins there.
 * https://www.postgresql.org/docs/current/protocol-replication.html
 */
export function standbyStatus(position: StandbyPosition, nowMs: number): Buffer {
  const message = Buffer.alloc(34);
  message[0] = STATUS_UPDATE;
  message.writeBigUInt64BE(maxLsn(position.received, position.flushed), 1);
  message.writeBigUInt64BE(position.flushed, 9);
  message.writeBigUInt64BE(position.flushed, 17);
  message.writeBigInt64BE(BigInt(Math.round((nowMs - POSTGRES_EPOCH_MS) * 1000)), 25);
  message[33] = position.replyRequested ? 1 : 0;
  return message;
}

/**
 * When may what be acknowledged? The target commits with synchronous_commit=off, so a checkpoint counts only once the
 * target's flush position has passed its commit. Positions never move back.
 */
export class Acknowledger {
  #confirmed = ZERO_LSN;
  /** Checkpoints in commit order: the source position, and a target WAL position that lies behind their commit. */
  #waiting: { source: Lsn; target: Lsn }[] = [];

  /** A checkpoint was committed; the target's WAL was at `target` after that. */
  committed(source: Lsn, target: Lsn): void {
    this.#waiting.push({ source, target });
  }

  /** The target has flushed its WAL up to here. */
  flushed(target: Lsn): void {
    let reached = 0;
    for (const entry of this.#waiting) {
      if (entry.target > target) break;
      this.#confirmed = maxLsn(this.#confirmed, entry.source);
      reached++;
    }
    if (reached > 0) this.#waiting.splice(0, reached);
  }

  /** Commits that wait for the target's disk. */
  get waiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** What the slot may be told. */
  get confirmed(): Lsn {
    return this.#confirmed;
  }
}
