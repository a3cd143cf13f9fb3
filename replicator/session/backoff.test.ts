import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { backoffMs } from './backoff.ts';

test('doubles up to half a minute', () => {
  const none = (): number => 0;
  expect([1, 2, 3, 4, 5, 6, 7, 8, 9, 50, 5000].map((attempt) => backoffMs(attempt, none))).toEqual([
    250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000, 30_000,
  ]);
});

test('is at most a fifth shorter, and never waits not at all', () => {
  fc.assert(
    fc.property(fc.nat(10_000), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (attempt, random) => {
      const longest = backoffMs(attempt, () => 0);
      const ms = backoffMs(attempt, () => random);
      expect(Number.isInteger(ms)).toBe(true);
      expect(ms).toBeLessThanOrEqual(longest);
      expect(ms).toBeGreaterThanOrEqual(Math.floor(longest * 0.8));
      expect(ms).toBeGreaterThanOrEqual(200);
    }),
  );
});
