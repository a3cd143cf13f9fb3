import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { maxLsn, parseLsn, ZERO_LSN, type Lsn } from '../postgres/lsn.ts';
import { Acknowledger, type StandbyPosition } from '../source/standby-status.ts';
import { Bell } from './bell.ts';
import { on } from './blame.ts';
import type { TargetStandbys } from './target-standbys.ts';

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
  readonly standbys: TargetStandbys;
  /** wal_sender_timeout of the source in ms, 0 for none. */
  readonly walSenderTimeoutMs: number;
  readonly observer: { acknowledged(lsn: Lsn): void };
}

/** Tells the slot what is durable on the target, and that we are alive: whatever the target is doing, and while reading is held. */
export class Confirmer {
  /** A status goes out at least this often. */
  readonly intervalMs: number;
  readonly #options: ConfirmerOptions;
  readonly #acknowledger = new Acknowledger();
  readonly #committed = new Bell();
  #received: Lsn;
  #reported = ZERO_LSN;
  #sentAt = 0;
  /** How far the target's disk was when it was asked last. */
  #flushed = ZERO_LSN;

  constructor(options: ConfirmerOptions) {
    const { from, walSenderTimeoutMs: timeout } = options;
    this.#options = options;
    this.checkpointed(from);
    this.intervalMs = Math.min(MOST_STATUS_INTERVAL_MS, timeout > 0 ? timeout / 4 : MOST_STATUS_INTERVAL_MS);
    this.#received = from;
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

  /** A checkpoint is on the target's disk. Of its standbys nothing that was asked before tells whether they have it. */
  checkpointed(source: Lsn): void {
    this.committed(source, (this.#flushed + 1n) as Lsn);
  }

  /** Commits wait for the target's disk, or its standbys. */
  get waiting(): boolean {
    return this.#acknowledger.waiting;
  }

  /** Learns how far the target's disk has got, and its synchronous standbys if there are any, while commits wait for that. */
  async watchFlush(signal: AbortSignal): Promise<void> {
    const { standbys, target } = this.#options;
    const sql = `SELECT pg_catalog.pg_current_wal_flush_lsn()::text AS lsn,
      pg_catalog.current_setting('synchronous_standby_names') <> '' AS standbys`;
    while (!signal.aborted) {
      if (this.waiting) await sleep(FLUSH_LOOK_MS, null, { signal }).catch(() => {});
      else await this.#committed.heard(IDLE_LOOK_MS, signal);
      if (signal.aborted || !this.waiting) continue;
      const { rows } = await on('target', target.query<{ lsn: string; standbys: boolean }>(sql));
      if (!rows[0]) continue;
      const flushed = (this.#flushed = parseLsn(rows[0].lsn));
      if (!rows[0].standbys || (await standbys.reached(signal))) this.#acknowledger.flushed(flushed);
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
