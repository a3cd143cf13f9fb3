import { expect, it } from 'vitest';
import { Rate } from './rates.ts';

it('is what came in the last ten seconds, divided by them', () => {
  const rate = new Rate({ windowMs: 10_000, nowMs: 0 });
  for (let at = 0; at < 60_000; at += 100) rate.add(5, at);
  expect(rate.perSecond(59_999)).toBe(50);
  expect(rate.perSecond(64_999)).toBe(25);
  expect(rate.perSecond(75_000)).toBe(0);
});

it('does not make the first seconds look slow, nor the first millisecond fast', () => {
  const rate = new Rate({ windowMs: 10_000, nowMs: 1_000_000 });
  rate.add(100, 1_000_001);
  expect(rate.perSecond(1_000_001)).toBe(100);
  expect(rate.perSecond(1_002_000)).toBe(50);
  expect(rate.perSecond(1_009_400)).toBeCloseTo(100 / 9.4);
});

it('forgets what a bucket held a window ago', () => {
  const rate = new Rate({ windowMs: 10_000, nowMs: 0 });
  rate.add(1000, 100);
  rate.add(10, 10_100);
  expect(rate.perSecond(10_200)).toBe(1);
});
