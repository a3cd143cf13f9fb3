import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { parseLsn, type Lsn } from '../postgres/lsn.ts';
import { quoteLiteral } from '../postgres/quote.ts';
import { walEnd } from '../source/wal-position.ts';
import { on } from './blame.ts';
import type { FollowObserver } from './follow-observer.ts';

/** Prefix of our logical messages; other pipelines on the same database use it too, so contents carry a run's own id. */
export const HEARTBEAT_PREFIX = 'pgfollow';

/** Positions of a standby remembered while none is reached: more would tell nothing new. */
const MOST_MARKS = 3600;

export interface HeartbeatOptions {
  readonly client: Client;
  readonly intervalMs: number;
  /** A standby takes no writes: there what it has replayed stands in for them. */
  readonly standby: boolean;
}

/** A tiny transaction on the source a second: it measures the lag and moves the slot of an idle database. */
export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #observer: FollowObserver;
  readonly #askPosition: () => void;
  /** Positions of a standby that have not been reached, oldest first. */
  readonly #marks: { readonly id: string; readonly lsn: Lsn }[] = [];
  #applied: Lsn;

  /** `applied`: how far the target is. `askPosition` has the source say how far it has sent everything. */
  constructor(options: HeartbeatOptions & { observer: FollowObserver; applied: Lsn; askPosition: () => void }) {
    this.#options = options;
    this.#observer = options.observer;
    this.#applied = options.applied;
    this.#askPosition = options.askPosition;
  }

  /** Beats until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { client, intervalMs, standby } = this.#options;
    const run = randomBytes(4).toString('hex');
    for (let n = 1; !signal.aborted; n++) {
      const id = `${run}:${n}`;
      if (standby) {
        await this.#mark(id);
      } else {
        this.#observer.heartbeatEmitted(id, Date.now());
        const sql = `SELECT pg_catalog.pg_logical_emit_message(true, '${HEARTBEAT_PREFIX}', ${quoteLiteral(id)})::text AS lsn`;
        const { rows } = await on('source', client.query<{ lsn: string }>(sql));
        if (rows[0]) this.#observer.sourceWalEnd(parseLsn(rows[0].lsn));
      }
      await sleep(intervalMs, null, { signal }).catch(() => {});
    }
  }

  /** The target has got so far. */
  reached(applied: Lsn): void {
    this.#applied = applied;
    for (let mark = this.#marks[0]; mark && mark.lsn <= applied; mark = this.#marks[0]) {
      this.#marks.shift();
      this.#observer.heartbeatApplied(mark.id);
    }
  }

  // Of a standby: once the target has reached what is replayed now, it has arrived.
  async #mark(id: string): Promise<void> {
    const atMs = Date.now();
    const lsn = await on('source', walEnd(this.#options.client, true));
    this.#observer.heartbeatEmitted(id, atMs);
    this.#observer.sourceWalEnd(lsn);
    if (this.#marks.length < MOST_MARKS) this.#marks.push({ id, lsn });
    this.reached(this.#applied);
    // Where nothing happens the position only comes when asked for.
    this.#askPosition();
  }
}
