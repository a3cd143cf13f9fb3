import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import type { CopiedAsOf } from '../metadata/table-states.ts';
import { parseLsn } from '../postgres/lsn.ts';
import { parseSnapshot } from '../spool/pg-snapshot.ts';

/** A commit leaves the list of running transactions a moment after its record is written; later where it waits for a standby. */
const AGAIN_MS = 50;

/**
 * Begins a transaction of the source as of a plain snapshot, and returns what is needed to tell which transactions it
 * contains. Its list of running transactions may still hold one whose commit the stream has brought already, which then
 * is neither in the spool nor in the copy: `arrived` knows such, and another snapshot is taken.
 * https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT
 */
export async function beginOnSnapshot(
  source: Client,
  options: { arrived: (running: Iterable<bigint>) => boolean; since: Date },
  signal: AbortSignal,
): Promise<CopiedAsOf> {
  for (;;) {
    await source.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const { rows } = await source.query<{ snapshot: string; wal_end: string }>(
      `SELECT pg_catalog.pg_current_snapshot()::text AS snapshot, pg_catalog.pg_current_wal_insert_lsn()::text AS wal_end`,
    );
    const { snapshot = '', wal_end = '0/0' } = rows[0] ?? {};
    const { running } = parseSnapshot(snapshot);
    if (!options.arrived(running) && !(await oldCommitWaits(source, running, options.since)))
      return { snapshot, walEnd: parseLsn(wal_end) };
    await source.query('ROLLBACK');
    await sleep(AGAIN_MS, null, { signal });
  }
}

// What an earlier process has received is not known to this one. Where such a commit still waits for a standby, its
// session says so.
async function oldCommitWaits(source: Client, running: ReadonlySet<bigint>, since: Date): Promise<boolean> {
  if (running.size === 0) return false;
  const { rows } = await source.query(
    `SELECT FROM pg_catalog.pg_stat_activity WHERE wait_event = 'SyncRep' AND xact_start < $1 AND backend_xid::text = ANY ($2) LIMIT 1`,
    [since.toISOString(), Array.from(running, (xid) => BigInt.asUintN(32, xid).toString())],
  );
  return rows.length > 0;
}
