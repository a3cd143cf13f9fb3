import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { connect, destroySocket, disconnect } from '../postgres/connect.ts';
import { sqlState } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';

const LONGEST_MS = 60_000;
const SHORTEST_MS = 5000;
/** What the sender has said in the moment in which it was looked at is heard by then. */
const LAST_CHANCE_MS = 1000;
const ANSWER_MS = 10_000;

export interface SilenceOptions {
  readonly url: string;
  /** Shown in pg_stat_activity. */
  readonly purpose: string;
  /** wal_sender_timeout of the source in ms, 0 for none. */
  readonly walSenderTimeoutMs: number;
  /** The sender's process, null before it is known. */
  readonly pid: () => number | null;
  /** When something came from it last, or might have been read but was not wanted; ms of performance.now(). */
  readonly heardAt: () => number;
  /** Has the sender say how far it is. */
  readonly ask: () => void;
}

/**
 * Throws when the stream is silent although the source has nothing else to do than to send: a firewall or a proxy has lost the connection, and
 * nobody was told. Whoever decodes a large transaction is silent for long and is left to it.
 */
export async function watchSilence(options: SilenceOptions, signal: AbortSignal): Promise<void> {
  const { heardAt, ask, pid, walSenderTimeoutMs: timeout } = options;
  const limit = timeout > 0 ? Math.max(SHORTEST_MS, Math.min(2 * timeout, LONGEST_MS)) : LONGEST_MS;
  while (!signal.aborted) {
    await sleep(limit / 4, null, { signal }).catch(() => {});
    const at = heardAt();
    const silent = performance.now() - at;
    const sender = pid();
    if (signal.aborted || silent < limit / 2 || sender === null) continue;
    ask();
    if (silent < limit || (await isAtWork(options, sender, signal))) continue;
    await sleep(LAST_CHANCE_MS, null, { signal }).catch(() => {});
    if (!signal.aborted && heardAt() === at) throw lost(silent);
  }
}

function lost(silentMs: number): Problem {
  return new Problem(
    'SOURCE_UNREACHABLE',
    `Nothing has come from the source for ${Math.round(silentMs / 1000)} s, though it waits for work: the connection is lost, and nobody has told.`,
    {
      retry: 'transient',
      remedy:
        'It is made anew by itself. If that happens often, look for a firewall or a proxy between here and the source that forgets connections.',
    },
  );
}

// A sender that waits for WAL, or for us to read, is not at work. https://www.postgresql.org/docs/current/monitoring-stats.html#WAIT-EVENT-TABLE
async function isAtWork({ url, purpose }: SilenceOptions, pid: number, signal: AbortSignal): Promise<boolean> {
  let client: Client | null = null;
  const cut = (): void => void (client && destroySocket(client));
  const timer = setTimeout(cut, ANSWER_MS);
  signal.addEventListener('abort', cut, { once: true });
  try {
    client = await connect({ role: 'source', url, purpose });
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
