import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import type { Oid } from '../postgres/oid.ts';

const LOOK_MS = 200;

/**
 * Waits until every transaction that is writing to one of these tables now has ended. What such a transaction wrote
 * before its table was published is not sent, what it writes later is: only a copy that begins after it has all.
 * False when there was none.
 */
export async function writersGone(source: Client, tables: readonly Oid[], signal: AbortSignal): Promise<boolean> {
  const writers = await writersOf(source, tables);
  const waited = writers.size > 0;
  while (writers.size > 0) {
    await sleep(LOOK_MS, null, { signal });
    const now = await writersOf(source, tables);
    for (const writer of writers) if (!now.has(writer)) writers.delete(writer);
  }
  return waited;
}

// A prepared transaction holds its locks too.
async function writersOf(source: Client, tables: readonly Oid[]): Promise<Set<string>> {
  const { rows } = await source.query<{ id: string }>(
    `SELECT DISTINCT l.virtualtransaction AS id FROM pg_catalog.pg_locks l
      WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
        AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
        AND l.relation = ANY ($1) AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')`,
    [tables],
  );
  return new Set(rows.map((row) => row.id));
}
