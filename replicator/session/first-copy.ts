import type { Client } from 'pg';
import type { Config } from '../config/schema.ts';
import { finishSnapshot, markPipeline, type PipelineRow } from '../metadata/pipeline-row.ts';
import { nextProgress } from '../metadata/table-state.ts';
import { storeCopied, storeProgress } from '../metadata/table-states.ts';
import { connect, destroySocket, disconnect } from '../postgres/connect.ts';
import { formatLsn, type Lsn } from '../postgres/lsn.ts';
import { Problem } from '../problem.ts';
import { CopyPool } from '../snapshot/copy-pool.ts';
import type { CopyObserver, CopyTask } from '../snapshot/copy-table.ts';
import {
  cancelSlotCreation,
  createSlot,
  dropSlot,
  readSlot,
  slotVerdict,
  slotWaitingProblem,
  waitingFor,
} from '../source/slot.ts';
import { on } from './blame.ts';
import { copyTask, rowsMixed } from './copy-task.ts';
import { failTable, type FollowedTable } from './followed-tables.ts';

/** How often it is looked at what the slot's creation waits for. */
const WAIT_LOOK_MS = 2000;
/** How long the source has to cancel the slot's creation before the connection is cut. */
const CANCEL_MS = 3000;

export interface FirstCopyOptions {
  readonly config: Config;
  readonly source: Client;
  readonly target: Client;
  readonly row: PipelineRow;
  readonly tables: readonly FollowedTable[];
  readonly versions: { readonly sourceVersion: number; readonly targetVersion: number };
  readonly sourceDatabase: string;
  readonly observer: CopyObserver & { waiting(problem: Problem | null): void };
}

/**
 * Creates the slot and copies every table as of its exported snapshot, so that the stream begins exactly where the
 * copies end. Returns that position. Begins anew after a crash: a slot of ours without a checkpoint is dropped, and
 * what its copies brought is replaced.
 */
export async function firstCopy(options: FirstCopyOptions, signal: AbortSignal): Promise<Lsn> {
  const { config, source, target } = options;
  await on('source', clearLeftover(options));
  await markPipeline(target, config.name, 'slot_created', true);
  const replication = await connect({
    role: 'source',
    url: config.source.url,
    purpose: `${config.name} slot`,
    replication: true,
  });
  try {
    const slot = await on('source', createWatched(replication, source, options, signal));
    if (config.snapshot.copy) await copyAll(options, slot.snapshotName, signal);
    else for (const table of options.tables) await takeAsIs(target, config.name, table);
    signal.throwIfAborted();
    await finishSnapshot(target, config.name, formatLsn(slot.consistentPoint));
    return slot.consistentPoint;
  } finally {
    await disconnect(replication);
  }
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

// The slot waits for every transaction that is older than it. Left alone that looks like a hang, so it is told for whom;
// and a stop must cancel the creation, or its backend would go on waiting with WAL pinned.
async function createWatched(
  replication: Client,
  source: Client,
  { config, target, versions, observer }: FirstCopyOptions,
  signal: AbortSignal,
): Promise<{ consistentPoint: Lsn; snapshotName: string }> {
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

async function copyAll(options: FirstCopyOptions, snapshotName: string, signal: AbortSignal): Promise<void> {
  const { config, target, observer, versions } = options;
  const byTask = new Map<CopyTask, FollowedTable>();
  const failed: FollowedTable[] = [];
  for (const table of options.tables) {
    if (table.progress.state === 'error' || !table.target) continue;
    const task = copyTask(table, table.target, { config, versions, first: true });
    // Rows that an interrupted first copy of ours has left are not the user's.
    if (table.ours && config.snapshot.existingRows === 'keep') {
      failTable(table, rowsMixed(table));
      failed.push(table);
      observer.failed(task, rowsMixed(table));
    } else {
      table.progress = nextProgress(table.progress, { type: 'copy again' });
      byTask.set(task, table);
    }
  }
  const pool = new CopyPool({
    sourceUrl: config.source.url,
    targetUrl: config.target.url,
    marked: config.origin === 'none',
    pipeline: config.name,
    workers: config.snapshot.workers,
    signal,
    observer: {
      ...observer,
      started(task) {
        const table = byTask.get(task);
        // Not so for one that is tried again.
        if (table?.progress.state === 'pending') table.progress = nextProgress(table.progress, { type: 'copy started' });
        observer.started(task);
      },
      finished(task, rows, bytes) {
        rowsAreIn(byTask.get(task));
        observer.finished(task, rows, bytes);
      },
      failed(task, problem) {
        const table = byTask.get(task);
        if (table) {
          failTable(table, problem);
          failed.push(table);
        }
        observer.failed(task, problem);
      },
    },
  });
  await pool.copy([...byTask.keys()], { snapshotName, asOf: null });
  for (const table of failed) await storeProgress(target, config.name, table.mapping.source, table.progress);
}

// The changes of a table that has no indexes yet go to its spool until they are built.
function rowsAreIn(table: FollowedTable | undefined): void {
  if (!table) return;
  table.progress = nextProgress(table.progress, { type: table.unbuilt ? 'copied bare' : 'copied' });
  table.hasRows = true;
  if (table.unbuilt) table.spooling = true;
}

// snapshot.copy: false. The data is there already, so the table counts as copied.
async function takeAsIs(target: Client, pipeline: string, table: FollowedTable): Promise<void> {
  if (table.progress.state === 'error') return;
  table.progress = nextProgress(table.progress, { type: 'copy again' });
  table.progress = nextProgress(table.progress, { type: 'copy started' });
  rowsAreIn(table);
  await storeProgress(target, pipeline, table.mapping.source, { state: 'copying' });
  await storeCopied(target, pipeline, table.mapping.source, { rows: 0, bytes: 0, asOf: null, bare: table.unbuilt });
}
