import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { readSlot, type SlotState } from '../source/slot.ts';
import { on } from './blame.ts';

const EVERY_MS = 5000;
/** After a start the slot becomes active within a moment: the first looks come sooner. */
const FIRST_MS = 1000;
const FIRST_LOOKS = 3;

/** Looks at the slot every few seconds until the signal aborts: what it keeps, and whether it is in danger. */
export async function watchSlot(
  options: { source: Client; slot: string; report: (slot: SlotState | null) => void },
  signal: AbortSignal,
): Promise<void> {
  for (let looks = 1; !signal.aborted; looks++) {
    options.report(await on('source', readSlot(options.source, options.slot)));
    await sleep(looks <= FIRST_LOOKS ? FIRST_MS : EVERY_MS, null, { signal }).catch(() => {});
  }
}
