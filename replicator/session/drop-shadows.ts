import type { Config } from '../config/schema.ts';
import { dropShadow } from '../metadata/shadows.ts';
import { connect, destroySocket, disconnect } from '../postgres/connect.ts';
import { openUnless } from './together.ts';

/** On a connection of its own: files of many GB may have to go. One that somebody reads stays for another time. */
export async function dropShadows(
  config: Config,
  shadows: readonly { readonly id: number }[],
  signal: AbortSignal,
): Promise<void> {
  const opening = connect({ role: 'target', url: config.target.url, purpose: `${config.name} copy` });
  const client = await openUnless(signal, opening, (late) => void disconnect(late));
  const cut = (): void => destroySocket(client);
  signal.addEventListener('abort', cut, { once: true });
  try {
    for (const { id } of shadows) await dropShadow(client, id);
  } finally {
    signal.removeEventListener('abort', cut);
    await disconnect(client);
  }
}
