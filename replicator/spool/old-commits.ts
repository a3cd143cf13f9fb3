import type { Client } from 'pg';

/**
 * The stream brings a commit before other sessions of the source see it: a moment, or for as long as it waits for a standby. Which
 * ones have come is known of this process's time, of the newest so many (RecentXids holds twice as many). Of older transactions that
 * still run nobody can tell by their ID whether their commit has come.
 */
const KNOWN_BY_ID = 1 << 15;

/** The ID that the source's next transaction gets: what has come before that is older. Ask before the stream begins. */
export async function nextXid(source: Client): Promise<string> {
  const { rows } = await source.query<{ xmax: string }>(
    'SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text AS xmax',
  );
  return String(BigInt.asUintN(32, BigInt(rows[0]?.xmax ?? '0')));
}

// An ID's age counts those that were given since. COMMIT PREPARED waits in a session that has none.
const OLD = `> LEAST(pg_catalog.age($1::pg_catalog.xid), ${KNOWN_BY_ID})`;

/**
 * SQL for the source that gives one row, whether such a commit may still wait for a standby. $1 is nextXid(), asked when this
 * process began. A role without pg_read_all_stats does not see who waits: then, where commits wait for standbys at all, every old
 * transaction of somebody else may be one. Ask before the snapshot that is to see what has come: it sees those that have gone meanwhile.
 */
export const OLD_COMMIT_WAITS = `SELECT EXISTS (
    SELECT FROM pg_catalog.pg_stat_activity
     WHERE datname = pg_catalog.current_database() AND wait_event = 'SyncRep'
       AND (backend_xid IS NULL OR pg_catalog.age(backend_xid) ${OLD}))
  OR pg_catalog.current_setting('synchronous_standby_names') <> '' AND (EXISTS (
    SELECT FROM pg_catalog.pg_stat_activity
     WHERE datname = pg_catalog.current_database() AND query = '<insufficient privilege>' AND pg_catalog.age(backend_xid) ${OLD})
  OR NOT pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AND EXISTS (
    SELECT FROM pg_catalog.pg_prepared_xacts
     WHERE database = pg_catalog.current_database() AND pg_catalog.age(transaction) ${OLD})) AS waits`;
