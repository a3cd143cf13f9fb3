import type { Client } from 'pg';
import type { Config } from '../config/schema.ts';
import { storeSpooling, storeTakenAsIs } from '../metadata/many-tables.ts';
import { markPipeline, startCheckpoint, type PipelineRow } from '../metadata/pipeline-row.ts';
import { nextProgress } from '../metadata/table-state.ts';
import { connect, destroySocket, disconnect } from '../postgres/connect.ts';
import { formatLsn, type Lsn } from '../postgres/lsn.ts';
import { Problem } from '../problem.ts';
import { cancelSlotCreation, createSlot, slotWaitingProblem, waitingFor, type CreatedSlot } from '../source/create-slot.ts';
import { dropSlot, readSlot } from '../source/slot.ts';
import { slotVerdict } from '../source/slot-verdict.ts';
import { changedSince, nextXid } from '../source/untracked-ddl.ts';
import { on } from './blame.ts';
import type { FollowedTable } from './followed-table.ts';
import { noteSaved } from './store-tables.ts';
import type { HeldPoint } from './held-point.ts';

/** How often it is looked at what the slot's creation waits for. */
const WAIT_LOOK_MS = 2000;
/** How long the source has to cancel the slot's creation before the connection is cut. */
const CANCEL_MS = 3000;
/** So many slots are created, one after the other, before it is said why none of them will do. */
const MOST_SLOTS = 5;

export interface FirstCopyOptions {
  readonly config: Config;
  readonly source: Client;
  readonly target: Client;
  readonly row: PipelineRow;
  readonly tables: readonly FollowedTable[];
  readonly versions: { readonly sourceVersion: number };
  readonly sourceDatabase: string;
  readonly observer: { waiting(problem: Problem | null): void };
}

/** Where the stream begins, and what tables are copied as of; null where nothing is to be copied. */
export interface FirstPlace {
  readonly from: Lsn;
  readonly point: HeldPoint | null;
}

/**
 * Creates the slot, so that the stream begins exactly where its exported snapshot ends. From there on the changes of all tables
 * go to their spools, until they are copied as of that snapshot. Begins anew after a crash in here: a slot of ours without a
 * checkpoint is dropped.
 */
export async function takePlace(options: FirstCopyOptions, signal: AbortSignal): Promise<FirstPlace> {
  const { config, source, target } = options;
  await on('source', clearLeftover(options));
  await markPipeline(target, config.name, 'slot_created', true);
  const holder = await connect({ role: 'source', url: config.source.url, purpose: `${config.name} slot`, replication: true });
  let kept = false;
  try {
    const slot = await on('source', createTracked(holder, source, options, signal));
    const tables = options.tables.filter((table) => table.progress.state !== 'error');
    const sources = tables.map((table) => table.mapping.source);
    const bare = tables.filter((table) => table.unbuilt).map((table) => table.mapping.source);
    const note = config.snapshot.copy ? storeSpooling : storeTakenAsIs;
    const start = { position: formatLsn(slot.consistentPoint), firstCopyDone: !config.snapshot.copy };
    await on(
      'target',
      startCheckpoint(target, config.name, start, () => note(target, config.name, sources, bare)),
    );
    for (const table of tables) stand(table, config.snapshot.copy);
    kept = config.snapshot.copy;
    // As long as this connection does nothing else, whoever comes can take up the snapshot.
    const point: HeldPoint = {
      snapshotName: slot.snapshotName,
      asOf: null,
      [Symbol.asyncDispose]: () => disconnect(holder),
    };
    return { from: slot.consistentPoint, point: kept ? point : null };
  } finally {
    if (!kept) await disconnect(holder);
  }
}

// As it was just stored. With snapshot.copy: false the data is there already, so the table counts as copied.
function stand(table: FollowedTable, toBeCopied: boolean): void {
  table.progress = nextProgress(table.progress, { type: 'copy again' });
  Object.assign(table, { spooling: toBeCopied || table.unbuilt, hasRows: !toBeCopied, copiedAsOf: null, spooledBytes: 0 });
  const steps = toBeCopied ? [] : (['copy started', table.unbuilt ? 'copied bare' : 'copied'] as const);
  for (const type of steps) table.progress = nextProgress(table.progress, { type });
  noteSaved(table);
}

async function clearLeftover({ config, source, row, sourceDatabase }: FirstCopyOptions): Promise<void> {
  const slot = await readSlot(source, config.slot.name);
  if (!slot) return;
  if (!row.slotCreated) {
    const verdict = slotVerdict(slot, { checkpoint: null, database: sourceDatabase });
    if (verdict !== 'ok') throw verdict;
  }
  // Of a replicator that was killed while the slot's creation waited: its walsender would go on waiting, with WAL pinned.
  await source.query(
    `SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
      WHERE pid = $1 AND pg_catalog.starts_with(application_name, pg_catalog.left($2, 63))`,
    [slot.activePid, `pgfollow ${config.name}`],
  );
  await dropSlot(source, config.slot.name);
}

// A slot during whose creation relations were changed may not know that: there is another one, until none were.
async function createTracked(
  replication: Client,
  source: Client,
  options: FirstCopyOptions,
  signal: AbortSignal,
): Promise<CreatedSlot> {
  for (let tries = 1; ; tries++) {
    const before = await nextXid(source);
    const slot = await createWatched(replication, source, options, signal);
    signal.throwIfAborted();
    if (!(await changedSince(source, before))) return slot;
    await dropSlot(source, options.config.slot.name);
    if (tries === MOST_SLOTS) throw unsettled(options.config.slot.name);
  }
}

function unsettled(name: string): Problem {
  return new Problem(
    'SLOT_UNSETTLED',
    `Relations of the source (tables, indexes, types, publications) were changed, or tables truncated, during each of ${MOST_SLOTS} creations of the slot ${name}. ` +
      'Such a slot may decode what follows by the catalog of before, so it was dropped; nothing was copied yet.',
    {
      retry: 'transient',
      remedy:
        'Let DDL and TRUNCATE rest until the slot is there, also of tables that are not followed. It is tried again by itself; the creation takes as long as the oldest transaction: ' +
        'SELECT pid, xact_start, query FROM pg_stat_activity WHERE backend_xid IS NOT NULL ORDER BY xact_start;',
    },
  );
}

// The slot waits for every transaction that is older than it. Left alone that looks like a hang, so it is told for whom;
// and a stop must cancel the creation, or its backend would go on waiting with WAL pinned.
async function createWatched(
  replication: Client,
  source: Client,
  { config, target, versions, observer }: FirstCopyOptions,
  signal: AbortSignal,
): Promise<CreatedSlot> {
  const { rows } = await replication.query<{ pid: number }>('SELECT pg_catalog.pg_backend_pid() AS pid');
  const pid = rows[0]?.pid ?? 0;
  const look = async (): Promise<void> => {
    const waiting = await waitingFor(source, pid);
    if (waiting.length > 0) observer.waiting(slotWaitingProblem(config.slot.name, waiting));
  };
  const timer = setInterval(() => void look().catch(() => {}), WAIT_LOOK_MS);
  const cancel = (): void => {
    cancelSlotCreation(source, pid).catch(() => {});
    // Where the source no longer answers, nothing can be cancelled.
    late = setTimeout(() => destroySocket(replication), CANCEL_MS);
  };
  let late: NodeJS.Timeout | undefined;
  signal.addEventListener('abort', cancel, { once: true });
  try {
    return await createSlot(replication, config.slot.name, {
      failover: config.slot.failover,
      sourceVersion: versions.sourceVersion,
    });
  } catch (error) {
    // Somebody else was faster with a slot of this name: it is not ours to drop the next time.
    if (error instanceof Problem && error.code === 'SLOT_FOREIGN')
      await on('target', markPipeline(target, config.name, 'slot_created', false));
    throw error;
  } finally {
    clearInterval(timer);
    clearTimeout(late);
    signal.removeEventListener('abort', cancel);
    observer.waiting(null);
  }
}
