import type { Client } from 'pg';
import type { Applier } from '../apply/applier.ts';
import type { Config } from '../config/schema.ts';
import { clearSpool } from '../metadata/spool.ts';
import { nextProgress } from '../metadata/table-state.ts';
import { connect, destroySocket, disconnect } from '../postgres/connect.ts';
import { quoteIdent, quoteRelation } from '../postgres/quote.ts';
import { describeError, isTransient } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';
import { CopyPool } from '../snapshot/copy-pool.ts';
import type { CopyObserver } from '../snapshot/copy-table.ts';
import { beginOnSnapshot } from '../snapshot/live-snapshot.ts';
import type { RecentXids } from '../spool/pg-snapshot.ts';
import { walEnd } from '../source/wal-position.ts';
import { writersGone } from '../source/writers.ts';
import type { Boundary } from './boundary.ts';
import { copyTask, rowsMixed } from './copy-task.ts';
import { saveTable, type FollowedTable } from './followed-tables.ts';

export interface LiveCopyOptions {
  readonly config: Config;
  readonly target: Client;
  readonly applier: Applier;
  readonly boundary: Boundary;
  readonly recent: RecentXids;
  /** When this process began to know what the stream has brought. */
  readonly since: Date;
  readonly versions: { readonly sourceVersion: number; readonly targetVersion: number };
  readonly observer: CopyObserver;
}

/**
 * Copies one table while the stream goes on: from a boundary between two batches its changes go to the spool, then
 * it is copied as of a plain snapshot, and of what the spool holds only the transactions count that the snapshot does not
 * see. No second slot, and nobody waits. Throws a Problem of this table, or what ended a connection.
 */
export async function liveCopy(table: FollowedTable, options: LiveCopyOptions, signal: AbortSignal): Promise<void> {
  const { config, boundary } = options;
  if (!table.target) return;
  const source = await connect({ role: 'source', url: config.source.url, purpose: `${config.name} copy` });
  const cut = (): void => destroySocket(source);
  signal.addEventListener('abort', cut, { once: true });
  try {
    signal.throwIfAborted();
    if (table.publishedNow) await afterOldWriters(table, source, config, signal);
    await streamPassed(table, boundary, signal);
    const arrived = await boundary.at(() => startSpooling(table, options));
    const point = await beginOnSnapshot(source, { arrived, since: options.since }, signal);
    const refused: Problem[] = [];
    const pool = new CopyPool({
      sourceUrl: config.source.url,
      targetUrl: config.target.url,
      marked: config.origin === 'none',
      pipeline: config.name,
      workers: config.snapshot.workers,
      signal,
      observer: { ...options.observer, failed: (_, problem) => refused.push(problem) },
    });
    if (table.ours && !table.partial && config.snapshot.existingRows === 'keep') throw rowsMixed(table);
    await pool.copy([copyTask(table, table.target, options)], point);
    if (refused[0]) throw refused[0];
    await boundary.at(async () => {
      table.progress = nextProgress(nextProgress(table.progress, { type: 'copy started' }), {
        type: table.unbuilt ? 'copied bare' : 'copied',
      });
      Object.assign(table, { hasRows: true, ours: true, partial: false, copiedAsOf: point.asOf, saved: '-' });
    });
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Problem) throw error;
    throw new Problem('COPY_FAILED', `Copying ${table.name} failed: ${describeError(error)}`, {
      table: table.name,
      cause: error,
      retry: isTransient(error) ? 'transient' : 'permanent',
      remedy: `Make ${quoteRelation(table.target)} on the target accept the rows of ${quoteRelation(table.source)}. It is tried again by itself.`,
    });
  } finally {
    signal.removeEventListener('abort', cut);
    cut();
    await disconnect(source);
  }
}

// What it wrote before the table was in the publication is not in the stream, so the copy waits for whoever was writing.
// Servers before 2025's minor releases may have cached "not published" while they decoded such a transaction: to set the
// publication's options again makes them look anew (https://www.postgresql.org/docs/release/17.5/).
async function afterOldWriters(table: FollowedTable, source: Client, config: Config, signal: AbortSignal): Promise<void> {
  const { rows } = await source.query<{ oid: number }>(
    'SELECT relid::oid AS oid FROM pg_catalog.pg_partition_tree($1::pg_catalog.oid::pg_catalog.regclass)',
    [table.source.oid],
  );
  if (await writersGone(source, [table.source.oid, ...rows.map((row) => row.oid)], signal)) {
    const name = config.publication.names[0] ?? config.name;
    if (config.publication.managed)
      await source.query(`ALTER PUBLICATION ${quoteIdent(name)} SET (publish = 'insert, update, delete, truncate')`);
    table.publishedAt = await walEnd(source, false);
  }
  table.publishedNow = false;
}

async function streamPassed(table: FollowedTable, boundary: Boundary, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    if (await boundary.at(async (applied) => applied >= table.publishedAt)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// Gives the transactions that have arrived so far: their changes are not in the spool.
async function startSpooling(table: FollowedTable, { config, target, applier, recent }: LiveCopyOptions): Promise<Uint32Array> {
  await clearSpool(target, config.name, table.mapping.source);
  table.progress = nextProgress(table.progress, { type: 'copy again' });
  Object.assign(table, { spooling: true, hasRows: false, copiedAsOf: null, spooledBytes: 0 });
  await saveTable(target, config.name, table);
  applier.reroute();
  return recent.copy();
}
