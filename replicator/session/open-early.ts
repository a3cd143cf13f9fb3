import type { Client } from 'pg';
import type { Applier } from '../apply/applier.ts';
import { openEarlySession } from '../apply/early-session.ts';
import { disconnect } from '../postgres/connect.ts';
import type { EarlySession } from './early.ts';
import type { Ends } from './ends.ts';
import { backendPid } from './target-waits.ts';

/**
 * A second connection to the target that belongs to these ends, for EarlyApplier; null where it may not do all that the
 * first one does, or the session is over.
 */
export async function openEarly(
  ends: Ends,
  applierOn: (client: Client) => Applier,
  signal: AbortSignal,
): Promise<EarlySession | null> {
  const { target, name } = ends.config;
  const marked = !ends.limits.some((limit) => limit.code === 'ORIGIN_REFUSED');
  const client = await openEarlySession({ url: target.url, pipeline: name, marked });
  if (!client) return null;
  if (signal.aborted) {
    await disconnect(client);
    return null;
  }
  ends.adopt(client);
  return { applier: applierOn(client), pid: await backendPid(client) };
}
