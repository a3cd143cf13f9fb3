import type { Client } from 'pg';
import { readRelations } from '../catalog/read-relations.ts';
import { displayName, type Column } from '../catalog/relation.ts';
import { isShadowComplete, readDifference, shadowName, storeDifference, type Difference } from '../metadata/shadows.ts';
import type { CopiedAsOf } from '../metadata/table-states.ts';
import { quoteRelation } from '../postgres/quote.ts';
import { SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';
import type { CopyEnds } from './copy-ends.ts';
import type { CopyTask } from './copy-table.ts';
import { finish, inTransaction } from './copy-transactions.ts';
import { isFilled, isReferredTo, rowsReferredTo } from './make-room.ts';
import { mergeKey, mergeStatements, shadowKeySql, type MergeStatements } from './merge-statements.ts';

/** A table whose rows are all in its shadow. */
interface Shadowed {
  readonly task: CopyTask;
  readonly shadow: number | null;
  readonly chunks: number;
  readonly rows: number;
  readonly bytes: number;
}

/** The type of a key has no operators by default, or none that tables can be joined by: then images alone are compared. */
const NO_JOIN: ReadonlySet<string | null> = new Set([
  SQLSTATE.feature_not_supported,
  SQLSTATE.undefined_object,
  SQLSTATE.undefined_function,
]);

/** For the joins of a merge, which is one session at a time. */
const WORK_MEM = '64MB';

/**
 * Makes the target's table equal to its shadow, in one transaction with the state that follows: what is the same is not touched,
 * and whoever reads sees the rows as they were before it or as they are after it. Resolves with what an earlier attempt, whose
 * answer was lost, has found.
 */
export async function mergeShadow(
  shadowed: Shadowed,
  ends: CopyEnds,
  options: { pipeline: string; asOf: CopiedAsOf | null },
): Promise<Difference> {
  // The table may have got its key since it was looked at.
  const { task } = shadowed;
  const [now = task.target] = await readRelations(ends.target, { names: [task.target] });
  const key = mergeKey({ ...task, target: now });
  try {
    return await merge(shadowed, key, ends, options);
  } catch (error) {
    if (key === null || !NO_JOIN.has(sqlState(error))) throw error;
    return await merge(shadowed, null, ends, options);
  }
}

async function merge(
  { task, shadow, chunks, rows, bytes }: Shadowed,
  key: readonly Column[] | null,
  ends: CopyEnds,
  { pipeline, asOf }: { pipeline: string; asOf: CopiedAsOf | null },
): Promise<Difference> {
  const { target } = ends;
  const id = shadow ?? 0;
  const name = shadowName(id);
  // An attempt before this one may still be at work. It takes no snapshot to wait for it.
  const lock = `LOCK TABLE ${quoteRelation(name)} IN SHARE UPDATE EXCLUSIVE MODE`;
  await inTransaction(target, async () => {
    await target.query(lock);
    if (key) await target.query(shadowKeySql(name, key));
    await target.query(`ANALYZE ${quoteRelation(name)}`);
  });
  // With one snapshot the places of rows stay what they are: whoever changes one of them meanwhile makes this fail, and come again.
  return inTransaction(
    target,
    async () => {
      await target.query(lock);
      const earlier = await readDifference(target, id);
      if (earlier) return earlier;
      if (!(await isShadowComplete(target, id, chunks))) throw shadowLost(task);
      await target.query(`SET LOCAL work_mem = '${WORK_MEM}'`);
      const statements = mergeStatements(task, id, key);
      const found = (await isFilled(target, task)) ? await change(task, ends, statements) : await fill(target, statements);
      await storeDifference(target, id, found);
      await finish(task, target, { rows, bytes, asOf }, pipeline);
      return found;
    },
    'ISOLATION LEVEL REPEATABLE READ',
  );
}

async function fill(target: Client, { fill: sql }: MergeStatements): Promise<Difference> {
  const { rowCount } = await target.query(sql);
  return { missing: rowCount ?? 0, extra: 0, different: 0 };
}

async function change(task: CopyTask, ends: CopyEnds, statements: MergeStatements): Promise<Difference> {
  const { target, checksForeignKeys } = ends;
  await target.query(statements.compare);
  const { rows } = await target.query<Record<keyof Difference, string>>(statements.count);
  const [counts] = rows;
  const found = {
    missing: Number(counts?.missing ?? 0),
    extra: Number(counts?.extra ?? 0),
    different: Number(counts?.different ?? 0),
  };
  if (found.extra > 0) {
    if (checksForeignKeys && (await isReferredTo(target, task))) throw rowsReferredTo(task);
    await target.query(statements.deleteExtra);
  }
  if (found.different > 0) await bringDifferent(task, ends, statements);
  if (found.missing > 0) await target.query(statements.insertMissing);
  await target.query(statements.forget);
  return found;
}

// Two rows may have swapped what is unique: one at a time they cannot be changed.
async function bringDifferent(
  task: CopyTask,
  { target, checksForeignKeys }: CopyEnds,
  statements: MergeStatements,
): Promise<void> {
  const { update, replace } = statements;
  if (update !== null) {
    await target.query('SAVEPOINT merge');
    try {
      await target.query(update);
      return;
    } catch (error) {
      const state = sqlState(error);
      if (state !== SQLSTATE.unique_violation && state !== SQLSTATE.exclusion_violation) throw error;
      await target.query('ROLLBACK TO SAVEPOINT merge');
    }
  }
  if (checksForeignKeys && (await isReferredTo(target, task))) throw rowsReferredTo(task);
  for (const sql of replace) await target.query(sql);
}

function shadowLost({ mapping }: CopyTask): Problem {
  const table = displayName(mapping.source);
  return new Problem('COPY_FAILED', `The target has crashed since rows of ${table} were copied, which is begun anew.`, {
    table,
    remedy: 'Nothing to do.',
    retry: 'transient',
  });
}
