import type { Config } from '../config/schema.ts';
import { dropShadow } from '../metadata/shadows.ts';
import { connect, destroySocket, disconnect } from '../postgres/connect.ts';
import { openUnless } from './together.ts';

/** A stop takes no longer because of this: backends that copied notice within two seconds that nobody is there. */
const STOP_MS = 4000;

/** On a connection of its own: files of many GB may have to go. One that somebody reads stays for another time. */
export async function dropShadows(
  config: Config,
  shadows: readonly { readonly id: number }[],
  signal: AbortSignal,
): Promise<void> {
  await drop(
    config,
    shadows.map(({ id }) => id),
    { signal, insist: false },
  );
}

/**
 * After a stop in the middle of a copy: what it has left would stay on the target until the next start, which begins that
 * copy anew. Where this fails, the next start and a teardown drop it.
 */
export async function dropLeftShadows(config: Config, ids: readonly number[]): Promise<void> {
  if (ids.length === 0) return;
  await drop(config, ids, { signal: AbortSignal.timeout(STOP_MS), insist: true }).catch(() => {});
}

// `insist`: until the signal aborts those that are locked are tried again.
async function drop(
  config: Config,
  ids: readonly number[],
  { signal, insist }: { signal: AbortSignal; insist: boolean },
): Promise<void> {
  const opening = connect({
    role: 'target',
    url: config.target.url,
    purpose: `${config.name} copy`,
    settings: { synchronous_commit: 'local' },
  });
  const client = await openUnless(signal, opening, (late) => void disconnect(late));
  const cut = (): void => destroySocket(client);
  signal.addEventListener('abort', cut, { once: true });
  try {
    for (const id of ids) {
      let left = await dropShadow(client, id);
      if (insist) while (left?.locked && !signal.aborted) left = await dropShadow(client, id);
    }
  } finally {
    signal.removeEventListener('abort', cut);
    await disconnect(client);
  }
}
