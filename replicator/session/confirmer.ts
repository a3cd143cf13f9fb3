import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { maxLsn, parseLsn, type Lsn } from '../postgres/lsn.ts';
import { Acknowledger, type StandbyPosition } from '../source/standby-status.ts';
import { Bell } from './bell.ts';
import { on } from './blame.ts';

/** A status goes out at least this often; wal_sender_timeout is 60 s by default. */
const MOST_STATUS_INTERVAL_MS = 10_000;
/** The target is asked so often how far its disk is, and only while commits wait for that. */
const FLUSH_LOOK_MS = 100;
const IDLE_LOOK_MS = 10_000;

export interface ConfirmerOptions {
  readonly stream: { status(position: StandbyPosition): boolean };
  /** A second connection to the target, to ask for its flush position while the first one applies. */
  readonly target: Client;
  readonly from: Lsn;
  /** wal_sender_timeout of the source in ms, 0 for none. */
  readonly walSenderTimeoutMs: number;
  readonly observer: { acknowledged(lsn: Lsn): void };
}

/** Tells the slot what is durable on the target, and that we are alive: whatever the target is doing, and while reading is held. */
export class Confirmer {
  /** A status goes out at least this often. */
  readonly intervalMs: number;
  readonly #options: ConfirmerOptions;
  readonly #acknowledger: Acknowledger;
  readonly #committed = new Bell();
  #received: Lsn;
  #reported: Lsn;
  #sentAt = 0;

  constructor(options: ConfirmerOptions) {
    const { from, walSenderTimeoutMs: timeout } = options;
    this.#options = options;
    this.#acknowledger = new Acknowledger(from);
    this.intervalMs = Math.min(MOST_STATUS_INTERVAL_MS, timeout > 0 ? timeout / 4 : MOST_STATUS_INTERVAL_MS);
    this.#received = from;
    this.#reported = from;
  }

  /** How far the stream has come. */
  get received(): Lsn {
    return this.#received;
  }

  /** The stream has come so far. */
  receivedUpTo(lsn: Lsn): void {
    this.#received = maxLsn(this.#received, lsn);
  }

  /** A checkpoint was committed; see Acknowledger. */
  committed(source: Lsn, target: Lsn): void {
    this.#acknowledger.committed(source, target);
    this.#committed.ring();
  }

  /** A checkpoint is on the target's disk. */
  durable(source: Lsn): void {
    this.#acknowledger.durable(source);
  }

  /** Commits wait for the target's disk. */
  get waiting(): boolean {
    return this.#acknowledger.waiting;
  }

  /** Learns how far the target's disk has got, while commits wait for that. */
  async watchFlush(signal: AbortSignal): Promise<void> {
    const sql = 'SELECT pg_catalog.pg_current_wal_flush_lsn()::text AS lsn';
    while (!signal.aborted) {
      if (this.waiting) await sleep(FLUSH_LOOK_MS, null, { signal }).catch(() => {});
      else await this.#committed.heard(IDLE_LOOK_MS, signal);
      if (signal.aborted || !this.waiting) continue;
      const { rows } = await on('target', this.#options.target.query<{ lsn: string }>(sql));
      if (rows[0]) this.#acknowledger.flushed(parseLsn(rows[0].lsn));
    }
  }

  /** Sends a status if there is news, or it is time. */
  sendIfDue(): void {
    const news = this.#acknowledger.confirmed > this.#reported;
    if (news || Date.now() - this.#sentAt >= this.intervalMs) this.send();
  }

  /** Sends a status; `replyRequested` has the source say how far it has got. */
  send(replyRequested = false): void {
    const { stream, observer } = this.#options;
    const flushed = this.#acknowledger.confirmed;
    if (!stream.status({ received: this.#received, flushed, replyRequested })) return;
    this.#sentAt = Date.now();
    this.#reported = flushed;
    observer.acknowledged(flushed);
  }
}
