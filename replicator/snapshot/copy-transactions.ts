import type { Client } from 'pg';
import { displayName, type RelationName } from '../catalog/relation.ts';
import { claimChunk, forgetChunks, keepFromRestart } from '../metadata/copy-chunks.ts';
import { claimShadowChunk, shadowName } from '../metadata/shadows.ts';
import { isCopied, storeCopied, storeProgress, type CopiedAsOf } from '../metadata/table-states.ts';
import { relayCopy, type Relayed } from '../postgres/copy-relay.ts';
import { nameEventTrigger } from '../postgres/event-triggers.ts';
import { quoteRelation } from '../postgres/quote.ts';
import { isTransient, sqlState } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';
import { planChunks, type Chunk } from './chunks.ts';
import type { CopyEnds } from './copy-ends.ts';
import { copyInSql, copyOutSql, type CopyTask } from './copy-table.ts';
import { isFilled, makeRoom } from './make-room.ts';
import { makeShadow } from './merge-statements.ts';
import { refuseRewritten } from './rewritten.ts';
import { readStores } from './stores.ts';

type Progress = (rows: number, bytes: number) => void;

/** How a table is to be copied. */
export interface CopyPlan {
  /** None: it is copied whole, in a transaction that nobody sees before its end. */
  readonly chunks: readonly Chunk[];
  /** Where they go, to be merged from there; null is the table itself. */
  readonly shadow: number | null;
}

/** From here on it is looked beforehand, too, whether reading it is of any use. */
const LARGE_BYTES = 16 << 20;

const WHOLE: CopyPlan = { chunks: [], shadow: null };

/** Begins the copy of a table: a shadow is made for one that is read while it is copied again, or room for chunks. */
export async function beginCopy(
  task: CopyTask,
  ends: CopyEnds,
  { pipeline, workers }: { pipeline: string; workers: number },
): Promise<CopyPlan> {
  const { source, target } = ends;
  await storeProgress(target, pipeline, task.mapping.source, { state: 'copying' });
  const aside = task.existingRows === 'replace';
  // Rows may refer to rows of the same table: one COPY brings them together.
  if (ends.checksForeignKeys && !aside) return WHOLE;
  const chunks = planChunks(await lettingGo(source, () => readStores(source, task.source)), { workers });
  if (aside) return { chunks, shadow: await inTransaction(target, () => makeShadow(task, target, pipeline)) };
  if (chunks.length < 2 || (task.existingRows === 'keep' && (await isFilled(target, task)))) return WHOLE;
  await inTransaction(target, async () => {
    await makeRoom(target, task, ends);
    await forgetChunks(target, pipeline, task.mapping.source);
  });
  return { chunks, shadow: null };
}

/**
 * Copies a whole table: rows and the state that follows in one transaction of the target. `source` is in a transaction on
 * the snapshot. Null when an earlier attempt, whose answer was lost, has done so.
 */
export async function copyWhole(
  task: CopyTask,
  ends: CopyEnds,
  options: { pipeline: string; asOf: CopiedAsOf | null; again: boolean },
  progress: Progress,
): Promise<Relayed | null> {
  const { target } = ends;
  const { pipeline, asOf } = options;
  return inTransaction(target, async () => {
    if (options.again && (await isCopied(target, pipeline, task.mapping.source))) return null;
    await makeRoom(target, task, ends);
    const copied = await pipe(task, { chunk: null, into: task.target }, ends, progress);
    await finish(task, target, { ...copied, asOf }, pipeline);
    return copied;
  });
}

/** Copies a chunk: rows and the note that they are there in one transaction. Null when an earlier attempt has done so. */
export async function copyChunk(
  task: CopyTask,
  chunk: Chunk,
  ends: CopyEnds,
  { pipeline, shadow }: { pipeline: string; shadow: number | null },
  progress: Progress,
): Promise<Relayed | null> {
  const { target } = ends;
  return inTransaction(target, async () => {
    if (shadow !== null)
      return (await claimShadowChunk(target, shadow, chunk.number))
        ? pipe(task, { chunk, into: shadowName(shadow) }, ends, progress)
        : null;
    if (!(await claimChunk(target, pipeline, task.mapping.source, chunk.number))) return null;
    const copied = await pipe(task, { chunk, into: task.target }, ends, progress);
    await keepFromRestart(target, pipeline, task.mapping.source);
    return copied;
  });
}

/** All chunks are there: the state that follows. */
export async function finishChunks(
  { task, rows, bytes }: { task: CopyTask; rows: number; bytes: number },
  { target }: CopyEnds,
  { pipeline, asOf }: { pipeline: string; asOf: CopiedAsOf | null },
): Promise<void> {
  await finish(task, target, { rows, bytes, asOf }, pipeline);
}

/** Not before there are indexes. The rows are in and committed: statistics that cannot be had (an index over a function that fails) change nothing about that. */
export async function analyze({ target }: CopyEnds, task: CopyTask): Promise<void> {
  if (task.bare) return;
  await target.query(`ANALYZE ${quoteRelation(task.target)}`).catch((error: unknown) => {
    if (sqlState(error) === null || isTransient(error)) throw error;
  });
}

/** The rows are there: stores the state that follows, in the transaction that brings them. */
export async function finish(
  { mapping, bare }: CopyTask,
  target: Client,
  copied: Relayed & { asOf: CopiedAsOf | null },
  pipeline: string,
): Promise<void> {
  if (await storeCopied(target, pipeline, mapping.source, { ...copied, bare, after: 'copying' })) return;
  const table = displayName(mapping.source);
  const message = `${table} was removed while it was copied.`;
  throw new Problem('COPY_FAILED', message, { table, remedy: 'Nothing to do.', retry: 'transient' });
}

async function pipe(
  task: CopyTask,
  { chunk, into }: { chunk: Chunk | null; into: RelationName },
  ends: CopyEnds,
  progress: Progress,
): Promise<Relayed> {
  const { source, target } = ends;
  return lettingGo(source, async () => {
    if (task.source.bytes > LARGE_BYTES) await refuseRewritten(source, task, chunk);
    const copied = await relayCopy(
      { client: source, sql: copyOutSql(task, chunk) },
      { client: target, sql: copyInSql(task, into) },
      progress,
    );
    await refuseRewritten(source, task, chunk);
    return copied;
  });
}

// The savepoint lets go of the table's lock, and of its partitions', as soon as it was read: nobody's ALTER TABLE waits for
// the other tables, and nobody's writes for that.
async function lettingGo<T>(source: Client, read: () => Promise<T>): Promise<T> {
  await source.query('SAVEPOINT reading');
  const outcome = await read();
  await source.query('ROLLBACK TO SAVEPOINT reading');
  return outcome;
}

/** A transaction of the target; `how` as in BEGIN. */
export async function inTransaction<T>(client: Client, work: () => Promise<T>, how = ''): Promise<T> {
  await client.query(`BEGIN ${how}`);
  try {
    const outcome = await work();
    await client.query('COMMIT');
    return outcome;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    await nameEventTrigger(client, 'target', error);
    throw error;
  }
}
