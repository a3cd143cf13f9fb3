import { describe, expect, test } from 'vitest';
import { fullXid, parseSnapshot, RecentXids, sees, seesAll } from './pg-snapshot.ts';

const EPOCH = 1n << 32n;

test('what pg_current_snapshot() prints', () => {
  expect(parseSnapshot('10:20:10,14,15')).toEqual({ xmin: 10n, xmax: 20n, running: new Set([10n, 14n, 15n]) });
  expect(parseSnapshot('7:7:')).toEqual({ xmin: 7n, xmax: 7n, running: new Set() });
  expect(() => parseSnapshot('7:7')).toThrow(RangeError);
});

describe('a committed transaction is in a copy as of the snapshot', () => {
  test.each([
    ['10:20:10,14,15', 9, true],
    ['10:20:10,14,15', 10, false],
    ['10:20:10,14,15', 11, true],
    ['10:20:10,14,15', 14, false],
    ['10:20:10,14,15', 19, true],
    ['10:20:10,14,15', 20, false],
    ['10:20:10,14,15', 21, false],
    // The same beyond the first 2^32 transactions: the stream has lost the epoch.
    [`${EPOCH + 10n}:${EPOCH + 20n}:${EPOCH + 10n}`, 9, true],
    [`${EPOCH + 10n}:${EPOCH + 20n}:${EPOCH + 10n}`, 10, false],
    [`${EPOCH + 10n}:${EPOCH + 20n}:${EPOCH + 10n}`, 25, false],
    // Around the turn of an epoch, on both sides.
    [`${EPOCH - 5n}:${EPOCH + 5n}:${EPOCH - 5n}`, 0xffff_fffa, true],
    [`${EPOCH - 5n}:${EPOCH + 5n}:${EPOCH - 5n}`, 0xffff_fffb, false],
    [`${EPOCH - 5n}:${EPOCH + 5n}:${EPOCH - 5n}`, 3, true],
    [`${EPOCH - 5n}:${EPOCH + 5n}:${EPOCH - 5n}`, 5, false],
    [`${EPOCH - 20n}:${EPOCH - 5n}:`, 3, false],
    [`${3n * EPOCH + 3n}:${3n * EPOCH + 3n}:`, 0xffff_ff00, true],
  ])('%s, %i: %s', (snapshot, xid, seen) => {
    expect(sees(parseSnapshot(snapshot), xid)).toBe(seen);
  });
});

test('a 32-bit transaction ID belongs to the nearest epoch', () => {
  expect(fullXid(5, EPOCH + 10n)).toBe(EPOCH + 5n);
  expect(fullXid(0xffff_ffff, EPOCH + 10n)).toBe(EPOCH - 1n);
  expect(fullXid(10, EPOCH - 10n)).toBe(EPOCH + 10n);
  expect(fullXid(0x7fff_fff0, 0x7fff_ffffn)).toBe(0x7fff_fff0n);
});

test.each([
  ['10:20:10,14', [9, 11, 19, 0], true],
  ['10:20:10,14', [9, 14], false],
  // Running with an ID that the snapshot does not know of: the newest one, waiting for a standby, is not listed.
  ['761:761:', [760], true],
  ['761:761:', [760, 761], false],
  [`${EPOCH + 5n}:${EPOCH + 5n}:`, [0xffff_ffff, 4], true],
  [`${EPOCH + 5n}:${EPOCH + 5n}:`, [0xffff_ffff, 5], false],
])('%s sees all of %j: %s', (snapshot, xids, seen) => {
  expect(seesAll(parseSnapshot(snapshot), Uint32Array.from(xids))).toBe(seen);
  expect(xids.every((xid) => xid === 0 || sees(parseSnapshot(snapshot), xid))).toBe(seen);
});

test('the last transactions are remembered, older ones give way', () => {
  const recent = new RecentXids(3);
  recent.add([1, 2]);
  const before = recent.copy();
  recent.add([3, 4]);
  expect([...before]).toEqual([1, 2, 0]);
  expect([...recent.copy()].sort((a, b) => a - b)).toEqual([2, 3, 4]);
});
