import type { Client } from 'pg';
import type { RelationName } from '../catalog/relation.ts';
import { storePart } from '../metadata/created-tables.ts';
import { nameEventTrigger } from '../postgres/event-triggers.ts';
import { quoteIdent, quoteRelation } from '../postgres/quote.ts';
import { describeError, isTransient, SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import type { Refusal } from './build-steps.ts';
import type { ForeignKey } from './foreign-keys.ts';
import { isEnough, readStandingKeys, type StandingKey } from './standing-keys.ts';

/** The stream waits behind this lock, so it is not waited for long. */
const LOCK_TIMEOUT = '2s';

/** A foreign key that was not made. */
export interface KeyRefusal extends Refusal {
  /** The same reason is not written down already. */
  readonly isNews: boolean;
  /** By what is configured or granted it cannot be made: to try it again is of no use. */
  readonly isLasting: boolean;
}

export interface Linked {
  /** Those that were refused before and are there now. */
  readonly mended: readonly string[];
  readonly refusals: readonly KeyRefusal[];
}

/**
 * Makes foreign keys of one table, one after the other: first for what comes, then proven for what is there, while the
 * stream goes on writing. One that the rows do not hold to is taken away again, one that somebody else has made is left as it is. Throws
 * what passes by itself. `checked`: the target checks them for replicated rows too, so none is made.
 */
export async function addForeignKeys(
  target: Client,
  pipeline: string,
  table: RelationName,
  { keys, checked }: { keys: readonly ForeignKey[]; checked: boolean },
): Promise<Linked> {
  const mended: string[] = [];
  const refusals: KeyRefusal[] = [];
  for (const key of keys) {
    const refusal = await addUnless(target, key, key.impossible ?? (checked ? NOT_WHERE_CHECKED : null));
    const reason = refusal?.reason ?? null;
    if (reason === null || reason !== key.refused) await storePart(target, pipeline, table, { part: key.part, refused: reason });
    if (refusal) refusals.push({ part: key.part, isKey: false, isNews: refusal.reason !== key.refused, ...refusal });
    else if (key.refused !== null) mended.push(key.part);
  }
  return { mended, refusals };
}

const NOT_WHERE_CHECKED =
  'the role may not set session_replication_role, so it would be checked for every replicated row, in an order that the source did not have';

async function addUnless(
  target: Client,
  key: ForeignKey,
  impossible: string | null,
): Promise<Pick<KeyRefusal, 'reason' | 'sql' | 'isLasting'> | null> {
  const standing = (await readStandingKeys(target, [key])).get(key.part) ?? null;
  if (standing && isEnough(key, standing)) return null;
  const sql = standing ? [validateSql(key, standing)] : [...key.add, ...key.validate];
  if (impossible !== null) return { reason: impossible, sql, isLasting: true };
  const error = standing ? await proveKey(target, sql) : await addKey(target, key);
  if (!error) return null;
  await nameEventTrigger(target, 'target', error);
  const reason = `${standing ? 'it is there, but not valid: ' : ''}${describeError(error)}`;
  return { reason, sql, isLasting: key.refersToSome && sqlState(error) === SQLSTATE.foreign_key_violation };
}

function validateSql({ shape }: ForeignKey, { name }: StandingKey): string {
  return shape ? `ALTER TABLE ${quoteRelation(shape.table)} VALIDATE CONSTRAINT ${quoteIdent(name)}` : '';
}

// What is not ours stays: after a crash it may be ours, and does no harm.
async function proveKey(target: Client, sql: readonly string[]): Promise<unknown> {
  return await refused(async () => {
    for (const each of sql) await target.query(each);
  });
}

async function addKey(target: Client, { add, validate, drop }: ForeignKey): Promise<unknown> {
  const unlocked = `SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'`;
  const error = await refused(() => target.query([unlocked, ...add].join(';\n')));
  if (error) return error;
  const doubt = await refused(async () => {
    for (const sql of validate) await target.query(sql);
  });
  if (doubt) await target.query([unlocked, ...drop].join(';\n'));
  return doubt;
}

// Null where it went well.
async function refused(work: () => Promise<unknown>): Promise<unknown> {
  try {
    await work();
    return null;
  } catch (error) {
    if (sqlState(error) === null || isTransient(error)) throw error;
    return error;
  }
}
