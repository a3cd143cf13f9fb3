import { expect, test } from 'vitest';
import { RetryClock } from './retry-clock.ts';

test('from one second to one minute, at once on demand, and from the start after a success', () => {
  let now = 0;
  const clock = new RetryClock(() => now);
  const pause = (): number => {
    const from = now;
    clock.failed('t');
    while (!clock.due('t')) now += 500;
    return now - from;
  };
  expect(clock.due('t')).toBe(true);
  expect([pause(), pause(), pause(), pause(), pause(), pause(), pause(), pause()]).toEqual([
    1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000,
  ]);
  clock.failed('t');
  expect(clock.due('t')).toBe(false);
  expect(clock.due('another')).toBe(true);
  expect([clock.dueMs('t'), clock.dueMs('another')]).toEqual([now + 60_000, null]);
  clock.hurry('t');
  expect(clock.due('t')).toBe(true);
  clock.succeeded('t');
  expect(pause()).toBe(1000);
});

test('within other bounds', () => {
  const now = 0;
  const clock = new RetryClock(() => now, { firstMs: 10_000, mostMs: 30_000 });
  const dueIn = (): number => {
    clock.failed('t');
    return (clock.dueMs('t') ?? 0) - now;
  };
  expect([dueIn(), dueIn(), dueIn()]).toEqual([10_000, 20_000, 30_000]);
});
