import type { Client } from 'pg';

/**
 * The stream brings a commit before other sessions of the source see it: a moment, or for as long as it waits for a standby. Which
 * ones have come is known of this process's time, of the newest so many (RecentXids holds twice as many). Of older transactions that
 * still run nobody can tell by their ID whether their commit has come.
 */
const KNOWN_BY_ID = 1 << 15;

/** From when on this process knows what the stream has brought. */
export interface KnownFrom {
  /** The ID that the source's next transaction got then: what has come before that is older. */
  readonly xid: string;
  /** Commits have waited for standbys then or since: some may do so still, a moment after the setting is gone. */
  standbys: boolean;
}

/**
 * A commit that has come before may not be seen yet by other sessions: it waits for a standby, or nobody can tell because the
 * role does not see who waits.
 */
export type UnseenCommit = 'waits for a standby' | 'cannot be told';

const STANDBYS = `pg_catalog.current_setting('synchronous_standby_names') <> ''`;

/** Ask before the stream begins. */
export async function knownFromHere(source: Client): Promise<KnownFrom> {
  const { rows } = await source.query<{ xmax: string; standbys: boolean }>(
    `SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text AS xmax, ${STANDBYS} AS standbys`,
  );
  const { xmax = '0', standbys = false } = rows[0] ?? {};
  return { xid: String(BigInt.asUintN(32, BigInt(xmax))), standbys };
}

/** Whether a commit that has come before may still wait for a standby. Ask before the snapshot that is to see what has come: it sees those that have gone meanwhile. */
export async function unseenCommit(
  known: KnownFrom,
  ask: (query: {
    text: string;
    values: unknown[];
  }) => Promise<{ waits: boolean; hidden: boolean; standbys: boolean } | undefined>,
): Promise<UnseenCommit | null> {
  const found = await ask({ text: OLD_COMMIT_WAITS, values: [known.xid, known.standbys] });
  known.standbys ||= found?.standbys ?? false;
  if (found?.waits) return 'waits for a standby';
  return found?.hidden ? 'cannot be told' : null;
}

/** Less is not worth a word. */
const LASTING_MS = 1000;

/** Tells of a wait for commits that lasts, whenever its reason is another one, and of its end (null). */
export class LastingWait {
  readonly #tell: (why: UnseenCommit | null) => void;
  #sinceMs = Infinity;
  #told: UnseenCommit | null = null;

  constructor(tell: (why: UnseenCommit | null) => void) {
    this.#tell = tell;
  }

  still(why: UnseenCommit): void {
    this.#sinceMs = Math.min(this.#sinceMs, Date.now());
    if (why === this.#told || Date.now() - this.#sinceMs < LASTING_MS) return;
    this.#told = why;
    this.#tell(why);
  }

  over(): void {
    this.#sinceMs = Infinity;
    if (this.#told !== null) this.#tell(null);
    this.#told = null;
  }
}

// An ID's age counts those that were given since. COMMIT PREPARED waits in a session that has none.
const OLD = `> LEAST(pg_catalog.age($1::pg_catalog.xid), ${KNOWN_BY_ID})`;

// A role without pg_read_all_stats does not see who waits: then, where commits wait for standbys at all, every old transaction of
// somebody else may be one. $1 and $2 as in KnownFrom.
const OLD_COMMIT_WAITS = `SELECT EXISTS (
    SELECT FROM pg_catalog.pg_stat_activity
     WHERE datname = pg_catalog.current_database() AND wait_event = 'SyncRep'
       AND (backend_xid IS NULL OR pg_catalog.age(backend_xid) ${OLD})) AS waits,
  ($2::pg_catalog.bool OR ${STANDBYS}) AND (EXISTS (
    SELECT FROM pg_catalog.pg_stat_activity
     WHERE datname = pg_catalog.current_database() AND query = '<insufficient privilege>' AND pg_catalog.age(backend_xid) ${OLD})
  OR NOT pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AND EXISTS (
    SELECT FROM pg_catalog.pg_prepared_xacts
     WHERE database = pg_catalog.current_database() AND pg_catalog.age(transaction) ${OLD})) AS hidden, ${STANDBYS} AS standbys`;
