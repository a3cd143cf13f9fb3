import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';

/** Pauses before another attempt, ms; whoever queued behind us gets through meanwhile. */
const PAUSES = [50, 150, 400, 1000];

/**
 * Runs `work` in a transaction whose every wait for a lock ends after lockTimeoutMs, so that nobody queues behind us for
 * longer, and tries again a few times. Throws what the last attempt threw; by then all is rolled back.
 */
export async function patientTransaction<T>(
  client: Client,
  lockTimeoutMs: number,
  work: (rollback: () => Promise<void>) => Promise<T>,
): Promise<T> {
  for (const pause of PAUSES) {
    try {
      return await transaction(client, lockTimeoutMs, work);
    } catch (error) {
      // internal_error is what "tuple concurrently updated" comes as: another change of the same publication.
      if (!isLockTrouble(error) && sqlState(error) !== 'XX000') throw error;
    }
    await sleep(pause);
  }
  return transaction(client, lockTimeoutMs, work);
}

/** Runs `work` in a transaction whose every wait for a lock ends after lockTimeoutMs. Throws what `work` threw, rolled back. */
export async function transaction<T>(
  client: Client,
  lockTimeoutMs: number,
  work: (rollback: () => Promise<void>) => Promise<T>,
): Promise<T> {
  await client.query(`BEGIN; SET LOCAL lock_timeout = ${Math.max(1, Math.round(lockTimeoutMs))}`);
  let open = true;
  const rollback = async (): Promise<void> => {
    open = false;
    await client.query('ROLLBACK');
  };
  try {
    const result = await work(rollback);
    if (open) await client.query('COMMIT');
    return result;
  } catch (error) {
    if (open && !isBroken(error)) await rollback();
    throw error;
  }
}

/** Nobody answered, so nothing was decided: the connection is of no more use. */
export function isBroken(error: unknown): boolean {
  if (error instanceof Problem) return false;
  const state = sqlState(error);
  return state === null || state.startsWith('08') || state.startsWith('57P');
}

/** Somebody else's lock stood in the way for too long (or a deadlock was resolved at our cost). */
export function isLockTrouble(error: unknown): boolean {
  const state = sqlState(error);
  return state === SQLSTATE.lock_not_available || state === '40P01';
}
