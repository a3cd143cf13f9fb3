import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { connect, destroySocket, disconnect } from '../postgres/connect.ts';
import { readSlot, type SlotState } from '../source/slot.ts';
import { openUnless } from './together.ts';

const EVERY_MS = 5000;
/** After a start the slot becomes active within a moment: until then the first looks come sooner. */
const FIRST_MS = 1000;
const FIRST_LOOKS = 3;
/** Without a session the slot keeps WAL all the more, so it is looked at all the same, every so many turns of FIRST_MS. */
const ALONE_EVERY = 10;

export interface SlotWatchOptions {
  readonly url: string;
  readonly pipeline: string;
  readonly slot: string;
  /** The session's connection to the source, null while there is none to ask. */
  readonly source: () => Client | null;
  readonly report: (slot: SlotState | null) => void;
}

/**
 * Looks at the slot every few seconds until the signal aborts: what it keeps, and whether it is in danger. Also while the
 * target is away: then on a short connection of its own. What keeps it from looking is the session's to report.
 */
export async function watchSlot(options: SlotWatchOptions, signal: AbortSignal): Promise<void> {
  let asked: Client | null = null;
  for (let looks = 1, alone = 0; !signal.aborted; looks++) {
    const source = options.source();
    if (source !== asked) looks = 1;
    asked = source;
    alone = source ? 0 : alone + 1;
    let slot: SlotState | null = null;
    try {
      if (source || alone % ALONE_EVERY === 0) {
        slot = await (source ? readSlot(source, options.slot) : lookOnce(options, signal));
        options.report(slot);
      }
    } catch {
      // The next look comes.
    }
    const soon = !source || (looks <= FIRST_LOOKS && !slot?.active);
    await sleep(soon ? FIRST_MS : EVERY_MS, null, { signal }).catch(() => {});
  }
}

async function lookOnce({ url, pipeline, slot }: SlotWatchOptions, signal: AbortSignal): Promise<SlotState | null> {
  const connecting = connect({ role: 'source', url, purpose: `${pipeline} slot` });
  const client = await openUnless(signal, connecting, (late) => void disconnect(late));
  const cut = (): void => destroySocket(client);
  signal.addEventListener('abort', cut, { once: true });
  try {
    return await readSlot(client, slot);
  } finally {
    signal.removeEventListener('abort', cut);
    await disconnect(client);
  }
}
