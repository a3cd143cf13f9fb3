import { setTimeout as sleep } from 'node:timers/promises';
import { parseLsn, type Lsn } from '../postgres/lsn.ts';
import { LastingWait, unseenCommit, type KnownFrom, type UnseenCommit } from '../spool/old-commits.ts';
import { parseSnapshot, seesAll } from '../spool/pg-snapshot.ts';
import type { Side } from './side.ts';

/** What is known of the stream that brings the source's changes. */
export interface StreamView {
  /** Resolves once the target shows every transaction that ended at or before this position. */
  reached(position: Lsn, signal: AbortSignal): Promise<void>;
  /** Transactions that the target may show by now, the newest ones; 0 is none. */
  arrived(): Uint32Array;
  /** UPDATEs, DELETEs and TRUNCATEs of a table that have been applied; a transaction counts before `reached` tells of it. */
  removals(table: string): number;
}

const AGAIN_MS = 50;
/** So long a commit may wait for a standby before the rows that differ are given up as changing. */
const PATIENCE_MS = 5000;

/**
 * Orders what is read on the source and on the target.
 *
 * What a statement on the source saw was in the WAL before the statement ended: all of it ends at or before a
 * position that is asked for afterwards. What the target shows was in the WAL too, but a commit comes out of the source's WAL before
 * other sessions there see it: a moment, or for as long as it waits for a standby (FACTS 46). So the source is
 * asked for a snapshot until that sees all that has arrived here; statements that begin later see it as well.
 */
export class SourceClock {
  readonly #side: Side;
  readonly #stream: StreamView;
  readonly #standby: boolean;
  readonly #knownFrom: KnownFrom;
  readonly #signal: AbortSignal;

  readonly #wait: LastingWait;

  constructor(options: {
    side: Side;
    stream: StreamView;
    standby: boolean;
    knownFrom: KnownFrom;
    /** What it waits for, where that lasts. */
    waits: (why: UnseenCommit | null) => void;
    signal: AbortSignal;
  }) {
    this.#wait = new LastingWait(options.waits);
    this.#side = options.side;
    this.#stream = options.stream;
    this.#standby = options.standby;
    this.#knownFrom = options.knownFrom;
    this.#signal = options.signal;
  }

  /** Once it resolves, the target shows all that statements on the source have seen so far. */
  async targetShowsSource(): Promise<void> {
    // On a standby a commit is seen a moment before it counts as replayed, but never before it was received.
    const position = this.#standby
      ? 'GREATEST(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn())'
      : 'pg_catalog.pg_current_wal_insert_lsn()';
    const { lsn } = await this.#side.row<{ lsn: string }>({ text: `SELECT ${position}::text AS lsn`, values: [] });
    await this.#stream.reached(parseLsn(lsn), this.#signal);
  }

  /** Once it resolves with true, statements on the source see all that the target shows by now; false: it takes too long. */
  async sourceShowsTarget(): Promise<boolean> {
    // A standby sends nothing that it has not replayed, and so shows.
    if (this.#standby) return true;
    const arrived = this.#stream.arrived();
    let waited = false;
    for (const patience = Date.now() + PATIENCE_MS; Date.now() < patience;) {
      const why = await unseenCommit(this.#knownFrom, (query) => this.#side.row(query));
      if (why !== null) this.#wait.still(why);
      // What has just stopped waiting is seen a moment later.
      const settled = why === null && !waited;
      waited = why !== null;
      // Asked after that, so that it sees those that have gone meanwhile.
      const { snapshot } = await this.#side.row<{ snapshot: string }>({ text: SNAPSHOT, values: [] });
      if (settled && seesAll(parseSnapshot(snapshot), arrived)) {
        this.#wait.over();
        return true;
      }
      if (settled) this.#wait.still('waits for a standby');
      await sleep(AGAIN_MS, null, { signal: this.#signal });
    }
    return false;
  }
}

const SNAPSHOT = 'SELECT pg_catalog.pg_current_snapshot()::text AS snapshot';
