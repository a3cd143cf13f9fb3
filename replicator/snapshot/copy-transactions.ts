import type { Client } from 'pg';
import { displayName } from '../catalog/relation.ts';
import { claimChunk, forgetChunks, keepFromRestart } from '../metadata/copy-chunks.ts';
import { isCopied, storeCopied, storeProgress, type CopiedAsOf } from '../metadata/table-states.ts';
import { relayCopy, type Relayed } from '../postgres/copy-relay.ts';
import { quoteRelation } from '../postgres/quote.ts';
import { isTransient, sqlState } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';
import { planChunks, type Chunk } from './chunks.ts';
import type { CopyEnds } from './copy-ends.ts';
import { copyInSql, copyOutSql, type CopyTask } from './copy-table.ts';
import { isFilled, makeRoom } from './make-room.ts';

type Progress = (rows: number, bytes: number) => void;

/**
 * Begins the copy of a table. Gives the chunks in which it is to be copied, room for them made; none where it is to be copied whole,
 * in a transaction that nobody sees before its end: a small table, or one whose rows must stay until others are there.
 */
export async function beginCopy(
  task: CopyTask,
  ends: CopyEnds,
  { pipeline, workers }: { pipeline: string; workers: number },
): Promise<readonly Chunk[]> {
  const { target } = ends;
  await storeProgress(target, pipeline, task.mapping.source, { state: 'copying' });
  // Rows may refer to rows of the same table: one COPY brings them together.
  if (task.source.kind !== 'table' || task.existingRows === 'replace' || ends.checksForeignKeys) return [];
  const chunks = planChunks({ bytes: task.source.bytes, workers });
  if (chunks.length < 2 || (task.existingRows === 'keep' && (await isFilled(target, task)))) return [];
  await inTransaction(target, async () => {
    await makeRoom(target, task, ends);
    await forgetChunks(target, pipeline, task.mapping.source);
  });
  return chunks;
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
    const copied = await pipe(task, null, ends, progress);
    await finish(task, target, { ...copied, asOf }, pipeline);
    return copied;
  });
}

/** Copies a chunk: rows and the note that they are there in one transaction. Null when an earlier attempt has done so. */
export async function copyChunk(
  task: CopyTask,
  chunk: Chunk,
  ends: CopyEnds,
  { pipeline }: { pipeline: string },
  progress: Progress,
): Promise<Relayed | null> {
  const { target } = ends;
  return inTransaction(target, async () => {
    if (!(await claimChunk(target, pipeline, task.mapping.source, chunk.number))) return null;
    const copied = await pipe(task, chunk, ends, progress);
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

async function finish(
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

async function pipe(task: CopyTask, chunk: Chunk | null, ends: CopyEnds, progress: Progress): Promise<Relayed> {
  const { source, target } = ends;
  // The savepoint lets go of the table's lock as soon as it is copied: nobody's ALTER TABLE waits for the others.
  await source.query('SAVEPOINT copy');
  const copied = await relayCopy(
    { client: source, sql: copyOutSql(task, chunk) },
    { client: target, sql: copyInSql(task) },
    progress,
  );
  await source.query('ROLLBACK TO SAVEPOINT copy');
  return copied;
}

async function inTransaction<T>(client: Client, work: () => Promise<T>): Promise<T> {
  await client.query('BEGIN');
  try {
    const outcome = await work();
    await client.query('COMMIT');
    return outcome;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  }
}
