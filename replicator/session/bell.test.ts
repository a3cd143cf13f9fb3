import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Bell } from './bell.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const never = new AbortController().signal;

function waitFor(bell: Bell, signal = never): { readonly over: () => boolean } {
  let over = false;
  void bell.heard(1000, signal).then(() => (over = true));
  return { over: () => over };
}

test('whoever waits hears it soon, and otherwise looks around in time', async () => {
  const bell = new Bell();
  const first = waitFor(bell);
  await vi.advanceTimersByTimeAsync(100);
  bell.ring();
  await vi.advanceTimersByTimeAsync(20);
  expect(first.over()).toBe(true);

  const second = waitFor(bell);
  await vi.advanceTimersByTimeAsync(999);
  expect(second.over()).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(second.over()).toBe(true);
});

test('what rang while nobody waited is heard, and a moment is left between two looks', async () => {
  const bell = new Bell();
  bell.ring();
  bell.ring();
  const waiting = waitFor(bell);
  await vi.advanceTimersByTimeAsync(19);
  expect(waiting.over()).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(waiting.over()).toBe(true);
});

test('it is over with the signal', async () => {
  const stop = new AbortController();
  const waiting = waitFor(new Bell(), stop.signal);
  stop.abort();
  await vi.advanceTimersByTimeAsync(0);
  expect(waiting.over()).toBe(true);
});
