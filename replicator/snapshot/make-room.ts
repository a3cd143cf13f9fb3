import type { Client } from 'pg';
import { displayName } from '../catalog/relation.ts';
import { destroySocket, disconnect } from '../postgres/connect.ts';
import type { Oid } from '../postgres/oid.ts';
import { quoteRelation } from '../postgres/quote.ts';
import { SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';
import { openCopyTarget } from './copy-ends.ts';
import type { CopyTask } from './copy-table.ts';

/**
 * What snapshot.existingRows says for a target table that holds rows, in the transaction that copies. Throws
 * TARGET_TABLE_NOT_EMPTY where they must stay and are in the way.
 */
export async function makeRoom(
  target: Client,
  task: CopyTask,
  { checksForeignKeys }: { checksForeignKeys: boolean },
): Promise<void> {
  if (task.existingRows === 'keep' || !(await isFilled(target, task))) return;
  const name = displayName(task.mapping.target);
  const relation = targetOf(task);
  if (task.existingRows === 'error') {
    throw notEmpty(
      task,
      `${name} on the target already holds rows.`,
      `Empty it (TRUNCATE ${quoteRelation(task.target)};), or set snapshot.existingRows to truncate (its rows are replaced) or keep (they stay), ` +
        `or snapshot.copy to false when it holds the data already.`,
    );
  }
  await target.query('SAVEPOINT room');
  try {
    await target.query(`TRUNCATE ${relation}`);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    await target.query('ROLLBACK TO SAVEPOINT room');
    await deleteRows(target, task, checksForeignKeys);
  }
}

async function deleteRows(target: Client, task: CopyTask, checksForeignKeys: boolean): Promise<void> {
  if (checksForeignKeys && (await isReferredTo(target, task))) {
    throw rowsReferredTo(task);
  }
  await target.query(`DELETE FROM ${targetOf(task)}`);
}

/**
 * Where foreign keys are checked, tables that refer to each other can only be emptied all at once, and before any of them is
 * filled. What cannot be emptied here is left to makeRoom().
 */
export async function emptyTogether(
  tasks: readonly CopyTask[],
  options: { targetUrl: string; pipeline: string; marked: boolean; signal: AbortSignal },
): Promise<void> {
  const replaced = tasks.filter((task) => task.existingRows === 'truncate');
  if (replaced.length < 2) return;
  const { target, checksForeignKeys } = await openCopyTarget(options);
  const cut = (): void => destroySocket(target);
  options.signal.addEventListener('abort', cut, { once: true });
  try {
    options.signal.throwIfAborted();
    if (!checksForeignKeys) return;
    const alone = await withoutOutsiders(target, replaced);
    if (alone.length > 0) await target.query(`TRUNCATE ${alone.map(targetOf).join(', ')}`);
  } catch (error) {
    if (!isRefusal(error)) throw error;
  } finally {
    options.signal.removeEventListener('abort', cut);
    await disconnect(target);
  }
}

// TRUNCATE wants every table that refers to one of the group in the group.
async function withoutOutsiders(target: Client, tasks: readonly CopyTask[]): Promise<readonly CopyTask[]> {
  const { rows: references } = await target.query<{ from: Oid; to: Oid }>(
    `SELECT conrelid AS from, confrelid AS to FROM pg_catalog.pg_constraint WHERE contype = 'f' AND confrelid = ANY ($1)`,
    [tasks.map((task) => task.target.oid)],
  );
  let group = tasks;
  for (;;) {
    const members = new Set(group.map((task) => task.target.oid));
    const kept = group.filter((task) => references.every(({ from, to }) => to !== task.target.oid || members.has(from)));
    if (kept.length === group.length) return group;
    group = kept;
  }
}

/** The target's table as FROM item, without what inherits from it. */
export function targetOf({ target }: Pick<CopyTask, 'target'>): string {
  return `${target.kind === 'table' ? 'ONLY ' : ''}${quoteRelation(target)}`;
}

export async function isFilled(target: Client, task: CopyTask): Promise<boolean> {
  const { rows } = await target.query<{ filled: boolean }>(`SELECT EXISTS (SELECT FROM ${targetOf(task)}) AS filled`);
  return rows[0]?.filled ?? false;
}

/** Whether foreign keys of other tables, or its own, refer to the table's rows. */
export async function isReferredTo(target: Client, task: CopyTask): Promise<boolean> {
  const { rows } = await target.query<{ referred: boolean }>(
    `SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE contype = 'f' AND confrelid = $1) AS referred`,
    [task.target.oid],
  );
  return rows[0]?.referred ?? true;
}

/** A foreign key that refers to the table, or a role that may only DELETE. */
function isRefusal(error: unknown): boolean {
  const state = sqlState(error);
  return state === SQLSTATE.feature_not_supported || state === SQLSTATE.insufficient_privilege;
}

/** To delete them could delete rows of other tables. */
export function rowsReferredTo(task: CopyTask): Problem {
  return notEmpty(
    task,
    `${displayName(task.mapping.target)} on the target holds rows that other tables may refer to: to delete them could delete rows there.`,
    `Empty it together with the tables that refer to it, or let the role SET session_replication_role.`,
  );
}

function notEmpty(task: CopyTask, message: string, remedy: string): Problem {
  return new Problem('TARGET_TABLE_NOT_EMPTY', message, { table: displayName(task.mapping.source), remedy });
}
