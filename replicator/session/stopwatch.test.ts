import { beforeEach, expect, it } from 'vitest';
import { Stopwatch } from './stopwatch.ts';

let nowMs = 0;
let booked: Record<string, number> = {};
let watch: Stopwatch;
beforeEach(() => {
  nowMs = 1000;
  booked = {};
  watch = new Stopwatch(
    (activity, ms) => (booked[activity] = (booked[activity] ?? 0) + ms),
    () => nowMs,
  );
});

it('books every millisecond on one thing', () => {
  nowMs += 10;
  watch.turn('apply');
  nowMs += 5;
  watch.turn('source');
  nowMs += 1;
  watch.look();
  expect(booked).toEqual({ source: 11, apply: 5 });
});

it('shows a long batch while it lasts, and what it waits for', () => {
  watch.turn('apply');
  const { turns } = watch;
  nowMs += 300;
  watch.look();
  nowMs += 100;
  watch.rename('lock');
  nowMs += 1000;
  watch.look();
  expect(booked).toEqual({ apply: 400, lock: 1000 });
  expect([watch.elapsed, watch.turns]).toEqual([1400, turns]);
  watch.turn('source');
  expect([watch.elapsed, watch.turns]).toEqual([0, turns + 1]);
});

it('moves what was booked too early', () => {
  watch.turn('apply');
  nowMs += 10;
  watch.turn('source');
  watch.move('apply', 'commit', 3);
  watch.move('apply', 'commit', -1);
  expect(booked).toEqual({ apply: 7, commit: 3 });
});
