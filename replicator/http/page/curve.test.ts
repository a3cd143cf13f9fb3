import { expect, it } from 'vitest';
import type { Curves } from '../../observe/history.ts';
import { curve, mean, peak } from './curve.ts';

const at = (from: string): Curves => ({ range: '15m', stepSeconds: 1, from, series: {} as Curves['series'] });

it('takes steps together by the highest or the mean, and leaves gaps', () => {
  const values = Array.from({ length: 900 }, (_, i) => (i < 5 ? i : null));
  const most = curve(at('2026-01-02T03:00:00Z'), values, 'most');
  expect(most).toMatchObject({ stepSeconds: 5, endSeconds: Date.parse('2026-01-02T03:14:55Z') / 1000 });
  expect(most.values).toHaveLength(180);
  expect(most.values.slice(0, 3)).toEqual([4, null, null]);
  expect(curve(at('2026-01-02T03:00:00Z'), values, 'mean').values[0]).toBe(2);
});

it('cuts where the clock cuts, so that the curve only moves and does not change', () => {
  const second = (i: number): number => (i * 7919) % 101;
  const from = (start: number) =>
    curve(
      at(new Date(start * 1000).toISOString()),
      Array.from({ length: 900 }, (_, i) => second(start + i)),
      'most',
    );
  const before = from(1_000_000);
  const after = from(1_000_003);
  expect(after.values.slice(0, 178)).toEqual(before.values.slice(1, 179));
  expect(after.endSeconds).toBe(before.endSeconds + 5);
});

it('knows nothing of nothing', () => {
  expect([peak([]), peak([null]), mean([null]), peak([null, -1, null]), mean([1, null, 3])]).toEqual([null, null, null, -1, 2]);
});
