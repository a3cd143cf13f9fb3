import { setTimeout as sleep } from 'node:timers/promises';
import { Problem } from '../problem.ts';
import { isAtWork } from './at-work.ts';

const LONGEST_MS = 60_000;
const SHORTEST_MS = 5000;
/** What the sender has said in the moment in which it was looked at is heard by then. */
const LAST_CHANCE_MS = 1000;

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
    if (silent < limit || (await isAtWork({ role: 'source', ...options }, sender, signal))) continue;
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
