import type { Config } from '../config/schema.ts';
import type { Bell } from './bell.ts';
import { openBuildTarget } from './build-lines.ts';
import { ClientPool } from './client-pool.ts';

const LOOK_MS = 200;
/** With nothing left to be made. */
const IDLE_LOOK_MS = 2000;

/** What makes something of tables that we have created. */
export interface BuildWork {
  /** Makes what is due, or begins with it. Does not throw what the end of the session brings. */
  look(): Promise<void>;
  /** Nothing is left to be made, as far as is known. */
  readonly idle: boolean;
  /** What look() has begun and not awaited. */
  readonly underWay?: { readonly size: number; values(): Iterable<Promise<void>> };
}

/**
 * Looks for something to be made until the signal aborts: at once when the bell rings, else every now and then. There are so many
 * connections to the target at most, opened when they are needed; when it is over what runs there is cut off.
 */
export async function buildLoop(
  { config, bell, connections }: { readonly config: Config; readonly bell: Bell; readonly connections: number },
  begin: (pool: ClientPool) => BuildWork,
  signal: AbortSignal,
): Promise<void> {
  const pool = new ClientPool(connections, () => openBuildTarget(config));
  const cut = (): void => pool.cut();
  signal.addEventListener('abort', cut, { once: true });
  const work = begin(pool);
  try {
    while (!signal.aborted) {
      await work.look();
      if (!work.underWay?.size) await pool.rest();
      await bell.heard(work.idle ? IDLE_LOOK_MS : LOOK_MS, signal);
    }
  } finally {
    signal.removeEventListener('abort', cut);
    if (work.underWay?.size) pool.cut();
    await Promise.allSettled(work.underWay?.values() ?? []);
    await pool.rest();
  }
}
