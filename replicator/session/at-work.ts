import type { Client } from 'pg';
import { connect, destroySocket, disconnect, type Role } from '../postgres/connect.ts';
import { sqlState } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';

/** A server that takes longer to be reached or to answer does not answer. */
const ANSWER_MS = 10_000;

/**
 * Whether a server process of ours is busy, seen over a connection of its own. One that waits for its client, or for something to do, is not; nor
 * is one that is gone, or whose server does not answer. https://www.postgresql.org/docs/current/monitoring-stats.html#WAIT-EVENT-TABLE
 */
export async function isAtWork(
  look: { readonly role: Role; readonly url: string; readonly purpose: string },
  pid: number,
  signal: AbortSignal,
): Promise<boolean> {
  let client: Client | null = null;
  const cut = (): void => void (client && destroySocket(client));
  const timer = setTimeout(cut, ANSWER_MS);
  signal.addEventListener('abort', cut, { once: true });
  try {
    client = await connect(look);
    const { rows } = await client.query<{ at_work: boolean }>(
      `SELECT coalesce(wait_event_type NOT IN ('Activity', 'Client'), true) AS at_work FROM pg_catalog.pg_stat_activity WHERE pid = $1`,
      [pid],
    );
    return rows[0]?.at_work ?? false;
  } catch (error) {
    // It has answered, if only that it has no connection to spare.
    return sqlState(error instanceof Problem ? error.cause : error) !== null;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', cut);
    if (client) await disconnect(client);
  }
}
