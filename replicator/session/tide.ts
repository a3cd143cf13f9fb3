import type { Client } from 'pg';
import type { Applied } from '../apply/run.ts';
import type { Lsn } from '../postgres/lsn.ts';
import type { RecentXids } from '../spool/pg-snapshot.ts';
import type { StreamView } from '../validate/source-clock.ts';
import { openUnless } from './together.ts';

/** How far the stream has brought the target, for whoever waits for that. */
export class Tide implements StreamView {
  readonly #recent: RecentXids;
  readonly #source: Client | null;
  readonly #removals = new Map<string, number>();
  #position: Lsn;
  #waiting: { readonly position: Lsn; readonly resolve: () => void }[] = [];

  /** `source`: where a message in the WAL moves the stream on, so that nobody waits for a heartbeat; null on a standby. */
  constructor({ from, recent, source }: { from: Lsn; recent: RecentXids; source: Client | null }) {
    this.#position = from;
    this.#recent = recent;
    this.#source = source;
  }

  /** The target has got so far. */
  applied(position: Lsn): void {
    this.#position = position;
    for (const { resolve } of this.#waiting.filter((each) => each.position <= position)) resolve();
    this.#waiting = this.#waiting.filter((each) => each.position > position);
  }

  /** After every batch. */
  batch({ perTable }: Applied): void {
    for (const [table, counts] of perTable) {
      const removed = counts.update + counts.delete + counts.truncate;
      if (removed > 0) this.#removals.set(table, this.removals(table) + removed);
    }
  }

  async reached(position: Lsn, signal: AbortSignal): Promise<void> {
    if (this.#position >= position) return;
    const reached = new Promise<void>((resolve) => {
      this.#waiting.push({ position, resolve });
    });
    // Where the role may not, the next heartbeat does the same.
    this.#source?.query(`SELECT pg_catalog.pg_logical_emit_message(true, 'pgfollow', 'validate')`).catch(() => {});
    await openUnless(signal, reached, () => {});
  }

  arrived(): Uint32Array {
    return this.#recent.copy();
  }

  removals(table: string): number {
    return this.#removals.get(table) ?? 0;
  }
}
