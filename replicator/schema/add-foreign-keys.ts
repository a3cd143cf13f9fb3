import type { Client } from 'pg';
import type { RelationName } from '../catalog/relation.ts';
import { storePart } from '../metadata/created-tables.ts';
import { describeError, isTransient, sqlState } from '../postgres/sqlstate.ts';
import type { Refusal } from './build-steps.ts';
import type { ForeignKey } from './foreign-keys.ts';

/** The stream waits behind this lock, so it is not waited for long. */
const LOCK_TIMEOUT = '2s';

/**
 * Makes foreign keys of one table, one after the other: first for what comes, then proven for what is there, while the
 * stream goes on writing. One that the rows do not hold to is taken away again. Resolves with what was refused; throws
 * what passes by itself. `checked`: the target checks them for replicated rows too, so none is made.
 */
export async function addForeignKeys(
  target: Client,
  pipeline: string,
  table: RelationName,
  { keys, checked }: { keys: readonly ForeignKey[]; checked: boolean },
): Promise<Refusal[]> {
  const refusals: Refusal[] = [];
  for (const key of keys) {
    const reason = key.impossible ?? (checked ? NOT_WHERE_CHECKED : await addForeignKey(target, key));
    await storePart(target, pipeline, table, { part: key.part, refused: reason });
    if (reason !== null) refusals.push({ part: key.part, isKey: false, reason, sql: [...key.add, ...key.validate] });
  }
  return refusals;
}

const NOT_WHERE_CHECKED =
  'the role may not set session_replication_role, so it would be checked for every replicated row, in an order that the source did not have';

async function addForeignKey(target: Client, { add, validate, drop }: ForeignKey): Promise<string | null> {
  try {
    // One that was added before a crash, and not written down.
    await target.query([`SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'`, ...drop, ...add].join(';\n'));
    for (const sql of validate) await target.query(sql);
    return null;
  } catch (error) {
    if (sqlState(error) === null || isTransient(error)) throw error;
    await target.query([`SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'`, ...drop].join(';\n'));
    return describeError(error);
  }
}
