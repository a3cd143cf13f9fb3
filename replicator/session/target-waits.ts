import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { on } from './blame.ts';
import type { Stopwatch } from './stopwatch.ts';

/** A batch that takes this long is looked at; most never are, and an idle target is never asked. */
const LONG_MS = 300;
const LOOK_MS = 500;

/** A wait for a lock is told once it has lasted so long. */
export const LOCK_TOLD_MS = 5000;

/** Who holds the lock that a batch waits for. `application` is null where the role may not see it. */
export interface LockHolder {
  readonly pid: number;
  readonly application: string | null;
  /** How long the batch has been on its way, ms. */
  readonly waitedMs: number;
}

/** How that is told, with what ends it. */
export function lockedProblem({ pid, application }: LockHolder): { code: 'TARGET_LOCKED'; message: string; remedy: string } {
  const who = application ? `process ${pid} (${application})` : `process ${pid}`;
  return {
    code: 'TARGET_LOCKED',
    message: `The target cannot take changes: ${who} there holds a lock that they wait for.`,
    remedy: `SELECT pg_terminate_backend(${pid});  -- on the target, unless it ends by itself`,
  };
}

/** The server process of a connection, as pg_stat_activity names it. */
export async function backendPid(client: Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_catalog.pg_backend_pid() AS pid');
  return rows[0]?.pid ?? 0;
}

/**
 * Looks at the session that applies, while a batch takes long: time in which it waits for somebody's lock is booked as
 * that. `told` gets who holds it, and null once it is over.
 */
export async function watchTargetWaits(
  options: { target: Client; pid: number; watch: Stopwatch; told: (holder: LockHolder | null) => void },
  signal: AbortSignal,
): Promise<void> {
  const { watch, told } = options;
  let waiting = false;
  const over = (): void => {
    if (waiting) told(null);
    waiting = false;
  };
  while (!signal.aborted) {
    await sleep(LOOK_MS, null, { signal }).catch(() => {});
    const { turns } = watch;
    if (signal.aborted) break;
    if ((watch.activity !== 'apply' && watch.activity !== 'lock') || watch.elapsed < LONG_MS) {
      over();
      continue;
    }
    const holder = await on('target', lockHolder(options.target, options.pid));
    // Meanwhile that batch may be done.
    if (watch.turns !== turns) continue;
    watch.rename(holder ? 'lock' : 'apply');
    if (!holder) {
      over();
      continue;
    }
    waiting = true;
    told({ ...holder, waitedMs: watch.elapsed });
  }
  over();
}

// pg_blocking_pids takes every lock of the lock manager, so it is only asked where there is something to tell.
// https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SESSION
async function lockHolder(target: Client, pid: number): Promise<Omit<LockHolder, 'waitedMs'> | null> {
  const { rows } = await target.query<{ pid: number; application: string | null }>(
    `SELECT holder AS pid,
            (SELECT pg_catalog.min(other.application_name) FROM pg_catalog.pg_stat_activity AS other WHERE other.pid = holder) AS application
       FROM pg_catalog.pg_stat_activity AS ours,
            LATERAL pg_catalog.unnest(CASE WHEN ours.wait_event_type = 'Lock' THEN pg_catalog.pg_blocking_pids(ours.pid) END) AS holder
      WHERE ours.pid = $1
      LIMIT 1`,
    [pid],
  );
  return rows[0] ?? null;
}
