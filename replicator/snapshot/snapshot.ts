import type { Client } from 'pg';
import { useReplicaRole } from '../apply/target-session.ts';
import { displayName } from '../catalog/relation.ts';
import { joinPipeline } from '../metadata/pipeline-row.ts';
import { storeProgress } from '../metadata/table-states.ts';
import { connect, destroySocket, disconnect } from '../postgres/connect.ts';
import { noticeLostClient } from '../postgres/lost-client.ts';
import { quoteLiteral, quoteRelation } from '../postgres/quote.ts';
import { describeError, isTransient, SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';
import { copyTable, type CopyEnds, type CopyObserver, type CopyTask } from './copy-table.ts';
import { emptyTogether } from './make-room.ts';

export interface SnapshotOptions {
  readonly sourceUrl: string;
  readonly targetUrl: string;
  readonly pipeline: string;
  /** Exported by the slot's creation; alive as long as that connection runs no other command. */
  readonly snapshotName: string;
  readonly tasks: readonly CopyTask[];
  readonly workers: number;
  readonly observer: CopyObserver;
  readonly signal: AbortSignal;
}

/**
 * Copies tables side by side, largest first, all as of one exported snapshot. A table that one of the servers refuses
 * goes to `error` and the others go on; a lost connection ends the whole, to be begun again. Where foreign keys are checked
 * (a role that may not set session_replication_role), a table waits for those that it refers to.
 */
export async function copySnapshot(options: SnapshotOptions): Promise<void> {
  let tasks = [...options.tasks].sort((a, b) => b.source.bytes - a.source.bytes);
  await emptyTogether(tasks, options);
  while (tasks.length > 0) {
    const { copied, waiting } = await copyRound(tasks, options);
    if (copied === 0) for (const { task, error } of waiting) await fail(task, error, options);
    tasks = copied === 0 ? [] : waiting.map(({ task }) => task);
  }
}

interface Round {
  readonly queue: CopyTask[];
  copied: number;
  /** Tables whose rows refer to rows that are not there yet. */
  readonly waiting: { readonly task: CopyTask; readonly error: unknown }[];
}

async function copyRound(tasks: readonly CopyTask[], options: SnapshotOptions): Promise<Round> {
  const round: Round = { queue: [...tasks], copied: 0, waiting: [] };
  const abort = new AbortController();
  const signal = AbortSignal.any([options.signal, abort.signal]);
  const workers = Array.from({ length: Math.min(options.workers, tasks.length) }, async () => {
    try {
      await work(round, { ...options, signal });
    } catch (error) {
      abort.abort(error);
      throw error;
    }
  });
  const results = await Promise.allSettled(workers);
  options.signal.throwIfAborted();
  // The first failure is the cause; the other workers were stopped because of it.
  if (abort.signal.aborted) throw abort.signal.reason;
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
  return round;
}

// One worker: a connection to each side, renewed after a table that failed, because nothing else ends a COPY midway.
async function work(round: Round, options: SnapshotOptions): Promise<void> {
  let ends: CopyEnds | null = null;
  const cut = (): void => {
    if (ends) for (const client of [ends.source, ends.target]) destroySocket(client);
  };
  options.signal.addEventListener('abort', cut, { once: true });
  try {
    for (let task = round.queue.shift(); task; task = round.queue.shift()) {
      options.signal.throwIfAborted();
      ends ??= await openEnds(options);
      try {
        await copyTable(task, ends, options);
        round.copied++;
        await analyze(ends.target, task);
      } catch (error) {
        await closeEnds(ends);
        ends = null;
        options.signal.throwIfAborted();
        if (isTransient(error)) throw error;
        if (sqlState(error) === SQLSTATE.foreign_key_violation) round.waiting.push({ task, error });
        else await fail(task, error, options);
      }
    }
  } finally {
    options.signal.removeEventListener('abort', cut);
    if (ends) await closeEnds(ends);
  }
}

// The rows are in and committed: statistics that cannot be had (an index over a function that fails) change nothing about that.
async function analyze(target: Client, task: CopyTask): Promise<void> {
  await target.query(`ANALYZE ${quoteRelation(task.target)}`).catch((error: unknown) => {
    if (sqlState(error) === null || isTransient(error)) throw error;
  });
}

async function fail(task: CopyTask, error: unknown, options: SnapshotOptions): Promise<void> {
  const table = displayName(task.mapping.source);
  const problem =
    error instanceof Problem
      ? error
      : new Problem('COPY_FAILED', `Copying ${table} failed: ${describeError(error)}`, {
          table,
          cause: error,
          remedy: remedyFor(task, sqlState(error)),
        });
  const client = await connect({ role: 'target', url: options.targetUrl, purpose: `${options.pipeline} copy` });
  try {
    await storeProgress(client, options.pipeline, task.mapping.source, {
      state: 'error',
      code: problem.code,
      message: problem.message,
      remedy: problem.remedy,
    });
  } finally {
    await disconnect(client);
  }
  options.observer.failed(task, problem);
}

function remedyFor({ source, target }: CopyTask, state: string | null): string {
  if (state === SQLSTATE.insufficient_privilege)
    return `Grant the role SELECT on ${quoteRelation(source)} (source), INSERT on ${quoteRelation(target)} (target).`;
  const accept = `Make ${quoteRelation(target)} on the target accept the rows of ${quoteRelation(source)}.`;
  if (state !== SQLSTATE.foreign_key_violation) return accept;
  return `${accept} Foreign keys are not checked where the role may SET session_replication_role (PostgreSQL 15 and newer: GRANT SET ON PARAMETER session_replication_role TO …).`;
}

async function openEnds(options: SnapshotOptions): Promise<CopyEnds> {
  const source = await connect({ role: 'source', url: options.sourceUrl, purpose: `${options.pipeline} copy` });
  try {
    await source.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    await source.query(`SET TRANSACTION SNAPSHOT ${quoteLiteral(options.snapshotName)}`);
    const target = await connect({
      role: 'target',
      url: options.targetUrl,
      purpose: `${options.pipeline} copy`,
      settings: { synchronous_commit: 'off' },
    });
    try {
      const checksForeignKeys = (await useReplicaRole(target)) !== null;
      await noticeLostClient(target);
      await joinPipeline(target, options.pipeline);
      return { source, target, checksForeignKeys };
    } catch (error) {
      await disconnect(target);
      throw error;
    }
  } catch (error) {
    await disconnect(source);
    throw error;
  }
}

async function closeEnds(ends: CopyEnds): Promise<void> {
  // A COPY that is half read has no end to wait for.
  destroySocket(ends.source);
  await Promise.all([disconnect(ends.source), disconnect(ends.target)]);
}
