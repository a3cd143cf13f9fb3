import type { Client } from 'pg';
import type { Applier } from '../apply/applier.ts';
import type { Config } from '../config/schema.ts';
import { storeSpooling } from '../metadata/many-tables.ts';
import { nextProgress } from '../metadata/table-state.ts';
import { connect, destroySocket, disconnect } from '../postgres/connect.ts';
import { quoteIdent } from '../postgres/quote.ts';
import { beginOnSnapshot } from '../snapshot/live-snapshot.ts';
import { walEnd } from '../source/wal-position.ts';
import { writersGone } from '../source/writers.ts';
import type { KnownFrom, UnseenCommit } from '../spool/old-commits.ts';
import type { RecentXids } from '../spool/pg-snapshot.ts';
import { on } from './blame.ts';
import type { Boundary } from './boundary.ts';
import type { FollowedTable } from './followed-table.ts';
import { noteSaved } from './store-tables.ts';
import type { HeldPoint } from './held-point.ts';

export interface LivePointOptions {
  readonly config: Config;
  /** Of the target, for everything but rows. */
  readonly control: Client;
  readonly applier: Applier;
  readonly boundary: Boundary;
  readonly recent: RecentXids;
  readonly knownFrom: KnownFrom;
  /** Tables for which the snapshot waits for commits, where that lasts; null when that is over. */
  readonly waits: (tables: readonly FollowedTable[], why: UnseenCommit | null) => void;
}

/**
 * A point to copy these tables as of while the stream goes on: from a boundary between two batches their changes go to the spool,
 * then a plain snapshot is taken, and of what the spool holds only the transactions count that the snapshot does not
 * see. No second slot, and nobody waits. Tables that are superseded by then have no spool: they are not to be copied.
 */
export async function livePoint(
  tables: readonly FollowedTable[],
  options: LivePointOptions,
  signal: AbortSignal,
): Promise<HeldPoint> {
  const { config, boundary } = options;
  const holder = await connect({ role: 'source', url: config.source.url, purpose: `${config.name} snapshot` });
  const cut = (): void => destroySocket(holder);
  signal.addEventListener('abort', cut, { once: true });
  try {
    signal.throwIfAborted();
    await on('source', afterOldWriters(tables, holder, config, signal));
    await streamPassed(tables, boundary, signal);
    const arrived = await boundary.at(() => startSpooling(tables, options));
    const { knownFrom } = options;
    const waits = (why: UnseenCommit | null): void => options.waits(tables, why);
    const point = await on('source', beginOnSnapshot(holder, { arrived, knownFrom, waits }, signal));
    return { ...point, [Symbol.asyncDispose]: () => disconnect(holder) };
  } catch (error) {
    await disconnect(holder);
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', cut);
  }
}

// What they wrote before a table was in the publication is not in the stream, so the copy waits for whoever was writing.
// Servers before 2025's minor releases may have cached "not published" while they decoded such a transaction: to set the
// publication's options again makes them look anew (https://www.postgresql.org/docs/release/17.5/).
async function afterOldWriters(
  tables: readonly FollowedTable[],
  source: Client,
  config: Config,
  signal: AbortSignal,
): Promise<void> {
  const fresh = tables.filter(({ published }) => published !== 'before');
  if (fresh.length === 0) return;
  const { rows } = await source.query<{ oid: number }>(
    `SELECT DISTINCT p.relid::oid AS oid FROM unnest($1::pg_catalog.oid[]) t,
            LATERAL pg_catalog.pg_partition_tree(t::pg_catalog.regclass) p`,
    [fresh.map((table) => table.source.oid)],
  );
  const oids = [...fresh.map((table) => table.source.oid), ...rows.map((row) => row.oid)];
  const waited = await writersGone(source, oids, signal);
  // Up to 14 nothing else makes them see a partition where they have known a table of its own.
  if (waited || fresh.some(({ published }) => published === 'anew')) {
    const name = config.publication.names[0] ?? config.name;
    if (config.publication.managed)
      await source.query(`ALTER PUBLICATION ${quoteIdent(name)} SET (publish = 'insert, update, delete, truncate')`);
    const position = await walEnd(source, false);
    for (const table of fresh) table.publishedAt = position;
  }
  for (const table of fresh) table.published = 'before';
}

async function streamPassed(tables: readonly FollowedTable[], boundary: Boundary, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    if (await boundary.at(async (applied) => tables.every((table) => applied >= table.publishedAt))) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// Gives the transactions that have arrived so far: their changes are not in the spool.
async function startSpooling(
  all: readonly FollowedTable[],
  { config, control, applier, recent }: LivePointOptions,
): Promise<Uint32Array> {
  const tables = all.filter((table) => !table.superseded);
  const sources = tables.map((table) => table.mapping.source);
  await on('target', storeSpooling(control, config.name, sources));
  for (const table of tables) {
    table.progress = nextProgress(table.progress, { type: 'copy again' });
    Object.assign(table, { spooling: true, hasRows: false, copiedAsOf: null, spooledBytes: 0 });
    noteSaved(table);
  }
  applier.reroute();
  return recent.copy();
}
