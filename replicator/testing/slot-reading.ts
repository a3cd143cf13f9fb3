import type { SlotReading } from '../observe/readings.ts';

/** Of a slot that is well, without a limit. */
export function slotReading(change: Partial<SlotReading> = {}): SlotReading {
  return {
    name: 'shop',
    active: true,
    walStatus: 'reserved',
    retainedBytes: 4096,
    limitBytes: null,
    safeBytes: null,
    oldestTransactionMs: null,
    spilledBytes: 0,
    clockAheadMs: 0,
    readAtMs: 0,
    ...change,
  };
}
