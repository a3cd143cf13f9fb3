import type { Client } from 'pg';
import { needsCast } from '../catalog/casts.ts';
import type { ColumnPair } from '../catalog/match-target.ts';
import type { Relation, TableMapping } from '../catalog/relation.ts';
import { storeCopied, storeProgress, type CopiedAsOf } from '../metadata/table-states.ts';
import { CopyIn, CopyOut } from '../postgres/copy.ts';
import { quoteIdent, quoteRelation } from '../postgres/quote.ts';
import type { Problem } from '../problem.ts';
import { makeRoom } from './make-room.ts';

/** `replace`: as truncate, but readers see the old rows until the new ones are there. */
export type ExistingRows = 'error' | 'truncate' | 'keep' | 'replace';

/** One table to copy. */
export interface CopyTask {
  readonly mapping: TableMapping;
  readonly source: Relation;
  readonly target: Relation;
  readonly columns: readonly ColumnPair[];
  /** Both ends agree on the binary form of every column. */
  readonly binary: boolean;
  readonly existingRows: ExistingRows;
}

/** A connection to each side: the source in a transaction on the snapshot. */
export interface CopyEnds {
  readonly source: Client;
  readonly target: Client;
  /** The role may not set session_replication_role: foreign keys are checked, and what they cascade to is changed. */
  readonly checksForeignKeys: boolean;
}

/** What is shown of a copy under way. Row counts are about right until it is finished. */
export interface CopyObserver {
  started(task: CopyTask): void;
  progress(task: CopyTask, rows: number, bytes: number): void;
  finished(task: CopyTask, rows: number, bytes: number): void;
  failed(task: CopyTask, problem: Problem): void;
}

/**
 * COPY … TO STDOUT on the source. A row filter, a partitioned table, generated columns and casts need a query; a plain
 * table is named, which leaves tables that inherit from it alone.
 */
export function copyOutSql(task: Pick<CopyTask, 'mapping' | 'source' | 'columns' | 'binary'>): string {
  const relation = quoteRelation(task.source);
  const { where } = task.mapping;
  const needsQuery =
    where !== null ||
    task.source.kind === 'partitioned' ||
    task.columns.length === 0 ||
    task.columns.some((pair) => pair.source.generated !== 'no' || isCast(pair));
  const only = task.source.kind === 'table' ? 'ONLY ' : '';
  // A comment at the end of the filter ends with its line.
  const filter = where === null ? '' : ` WHERE (${where}\n)`;
  const names = task.columns.map(({ source }) => quoteIdent(source.name)).join(', ');
  const what = needsQuery
    ? `(SELECT ${task.columns.map(sent).join(', ')} FROM ${only}${relation}${filter})`
    : `${relation} (${names})`;
  return `COPY ${what} TO STDOUT (FORMAT ${task.binary ? 'binary' : 'text'})`;
}

// As in the stream (see mapRows): what the target's type does not read is cast, here where its name is the same.
function sent(pair: ColumnPair): string {
  const name = quoteIdent(pair.source.name);
  return isCast(pair) ? `${name}::${pair.target.type.sqlName}` : name;
}

function isCast({ source, target }: ColumnPair): boolean {
  return target.type.oid === target.type.baseOid && needsCast(source.type.baseOid, target.type.oid);
}

/** COPY … FROM STDIN on the target; it takes given values for identity columns as they are. */
export function copyInSql(task: Pick<CopyTask, 'target' | 'columns' | 'binary'>): string {
  const names = task.columns.map((pair) => quoteIdent(pair.target.name)).join(', ');
  return `COPY ${quoteRelation(task.target)}${names === '' ? '' : ` (${names})`} FROM STDIN (FORMAT ${task.binary ? 'binary' : 'text'})`;
}

/**
 * Copies one table: rows and the state that follows in one transaction of the target. `source` is in a transaction on
 * the snapshot. Throws what either server said; the target's transaction is rolled back then.
 */
export async function copyTable(
  task: CopyTask,
  ends: CopyEnds,
  options: { pipeline: string; observer: CopyObserver; signal: AbortSignal; asOf?: CopiedAsOf },
): Promise<void> {
  const { source, target } = ends;
  options.observer.started(task);
  await storeProgress(target, options.pipeline, task.mapping.source, { state: 'copying' });
  await target.query('BEGIN');
  try {
    await makeRoom(target, task, ends);
    // The savepoint lets go of the table's lock as soon as it is copied: nobody's ALTER TABLE waits for the others.
    await source.query('SAVEPOINT copy');
    const copied = await pipe(task, ends, options);
    await source.query('ROLLBACK TO SAVEPOINT copy');
    await storeCopied(target, options.pipeline, task.mapping.source, { ...copied, asOf: options.asOf ?? null });
    await target.query('COMMIT');
    options.observer.finished(task, copied.rows, copied.bytes);
  } catch (error) {
    await target.query('ROLLBACK').catch(() => {});
    throw error;
  }
}

async function pipe(
  task: CopyTask,
  { source, target }: CopyEnds,
  { observer, signal }: { observer: CopyObserver; signal: AbortSignal },
): Promise<{ rows: number; bytes: number }> {
  const out = new CopyOut(source, copyOutSql(task));
  const into = new CopyIn(target, copyInSql(task));
  let bytes = 0;
  try {
    for await (const piece of out) {
      signal.throwIfAborted();
      await into.write(piece);
      bytes += piece.length;
      observer.progress(task, out.messages, bytes);
    }
    return { rows: await into.end(), bytes };
  } catch (error) {
    await into.fail('the source stopped');
    throw error;
  }
}
