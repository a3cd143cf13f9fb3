import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { readSlot, type SlotState } from '../source/slot.ts';
import { on } from './blame.ts';

const EVERY_MS = 5000;

/** Looks at the slot every few seconds until the signal aborts: what it keeps, and whether it is in danger. */
export async function watchSlot(
  options: { source: Client; slot: string; report: (slot: SlotState | null) => void },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    options.report(await on('source', readSlot(options.source, options.slot)));
    await sleep(EVERY_MS, null, { signal }).catch(() => {});
  }
}
