import { expect, it } from 'vitest';
import type { SlotReading } from '../../observe/readings.ts';
import { slotReading } from '../../testing/slot-reading.ts';
import { slotVerdict } from './slot-tile.ts';

const GB = 2 ** 30;
const SLOT = slotReading({ retainedBytes: GB, limitBytes: 10 * GB, safeBytes: 9 * GB });

it.each<[string, Partial<SlotReading>, number | null, string, string]>([
  ['a limit far away', {}, 100_000, 'of 10 GB, ≈ 26.8 h of WAL to go', 'good'],
  ['a source where nothing happens', {}, 1, 'of 10 GB, more than 30 days of WAL to go', 'good'],
  ['a rate that is not known', {}, null, 'of 10 GB', 'good'],
  ['less than an hour', {}, 10_000_000, 'of 10 GB, ≈ 16 min of WAL to go', 'warn'],
  ['four fifths used', { retainedBytes: 8.5 * GB, safeBytes: null }, 1000, 'of 10 GB, ≈ 18.6 days of WAL to go', 'warn'],
  ['nearly all used', { retainedBytes: 9.8 * GB, safeBytes: 0 }, 1000, 'of 10 GB, ≈ 0 ms of WAL to go', 'bad'],
  ['no limit', { limitBytes: null, safeBytes: null }, 1000, 'unbounded: it may fill the disk of the source', 'warn'],
  [
    'no limit and much kept',
    { limitBytes: null, retainedBytes: 30 * GB },
    1000,
    'unbounded: it may fill the disk of the source',
    'bad',
  ],
  [
    'a slot that is lost',
    { walStatus: 'lost', retainedBytes: null },
    1000,
    'lost: the source has removed WAL that was needed',
    'bad',
  ],
])('%s', (_, change, walPerSecond, note, tone) => {
  expect(slotVerdict({ ...SLOT, ...change }, walPerSecond)).toEqual({ note, tone });
});

it('has nothing to say without a slot', () => {
  expect(slotVerdict(null, 1)).toEqual({ note: 'no slot yet', tone: 'good' });
});
