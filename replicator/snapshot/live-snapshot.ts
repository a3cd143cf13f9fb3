import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import type { CopiedAsOf } from '../metadata/table-states.ts';
import { parseLsn } from '../postgres/lsn.ts';
import type { CopyPoint } from './copy-round.ts';
import { LastingWait, unseenCommit, type KnownFrom, type UnseenCommit } from '../spool/old-commits.ts';
import { parseSnapshot, seesAll } from '../spool/pg-snapshot.ts';

/** A commit leaves the list of running transactions a moment after its record is written; later where it waits for a standby. */
const AGAIN_MS = 50;

/**
 * Begins a transaction of the source as of a plain snapshot, exported for as long as that lasts, and returns what is needed to
 * tell which transactions it contains. `arrived` are those whose commits the stream had brought before the table's changes were kept: one that the
 * snapshot does not see yet would be neither in the spool nor in the copy, and another snapshot is taken. It need not be
 * listed as running: the newest ones are not, they lie beyond xmax. What came before
 * `knownFrom` is not among `arrived`. All that it contains has been flushed: no crash of the source takes it back. `waits` hears what it waits for, where that lasts.
 * https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT
 */
export async function beginOnSnapshot(
  source: Client,
  options: { arrived: Uint32Array; knownFrom: KnownFrom; waits: (why: UnseenCommit | null) => void },
  signal: AbortSignal,
): Promise<CopyPoint & { asOf: CopiedAsOf }> {
  const wait = new LastingWait(options.waits);
  try {
    return await settledSnapshot(source, { ...options, wait }, signal);
  } finally {
    wait.over();
  }
}

async function settledSnapshot(
  source: Client,
  { arrived, knownFrom, wait }: { arrived: Uint32Array; knownFrom: KnownFrom; wait: LastingWait },
  signal: AbortSignal,
): Promise<CopyPoint & { asOf: CopiedAsOf }> {
  for (let waited = false; ; await sleep(AGAIN_MS, null, { signal })) {
    const why = await unseenCommit(knownFrom, async (query) => (await source.query(query)).rows[0]);
    if (why !== null) wait.still(why);
    // What has just stopped waiting is seen a moment later.
    const settled = why === null && !waited;
    waited = why !== null;
    if (!settled) continue;
    await source.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const { rows } = await source.query<{ snapshot: string; wal_end: string }>(
      `SELECT pg_catalog.pg_current_snapshot()::text AS snapshot, pg_catalog.pg_current_wal_insert_lsn()::text AS wal_end`,
    );
    const { snapshot = '', wal_end = '0/0' } = rows[0] ?? {};
    if (seesAll(parseSnapshot(snapshot), arrived)) {
      await flushed(source, wal_end, signal);
      const exported = await source.query<{ name: string }>('SELECT pg_catalog.pg_export_snapshot() AS name');
      return { snapshotName: exported.rows[0]?.name ?? '', asOf: { snapshot, walEnd: parseLsn(wal_end) } };
    }
    await source.query('ROLLBACK');
    wait.still('waits for a standby');
  }
}

// A snapshot sees commits that do not wait for the disk (synchronous_commit = off). Those that the source lost in a crash would stay on the
// target; the stream brings none before it is flushed, and the slot's own snapshot holds none. The WAL writer follows within a second.
// https://www.postgresql.org/docs/current/wal-async-commit.html
async function flushed(source: Client, end: string, signal: AbortSignal): Promise<void> {
  const sql = 'SELECT pg_catalog.pg_current_wal_flush_lsn() >= $1::pg_catalog.pg_lsn AS flushed';
  while (!(await source.query<{ flushed: boolean }>(sql, [end])).rows[0]?.flushed) await sleep(AGAIN_MS, null, { signal });
}
