import { beforeEach, expect, it } from 'vitest';
import { History, SERIES } from './history.ts';
import type { Sample } from './history.ts';

const START = Date.parse('2026-01-02T03:04:00Z');
const NOTHING = Object.fromEntries(SERIES.map((name) => [name, null])) as unknown as Sample;

let history: History;
beforeEach(() => {
  history = new History();
});

function add(part: Partial<Sample>, nowMs: number): void {
  history.add({ ...NOTHING, ...part }, nowMs);
}

it('keeps the last 15 minutes by the second, and no more', () => {
  for (let second = 0; second < 2000; second++) add({ lagSeconds: second }, START + second * 1000);
  const nowMs = START + 1_999_000;
  const { from, stepSeconds, series } = history.read('15m', nowMs);
  expect([from, stepSeconds]).toEqual([new Date(nowMs - 899_000).toISOString(), 1]);
  expect(series.lagSeconds).toHaveLength(900);
  expect([series.lagSeconds[0], series.lagSeconds.at(-1)]).toEqual([1100, 1999]);
  expect(series.lagBytes.every((value) => value === null)).toBe(true);
});

it('keeps minutes by their worst lag and their mean rate', () => {
  for (let second = 0; second < 60; second++)
    add({ lagSeconds: second === 30 ? 7 : 1, insertsPerSecond: second }, START + second * 1000);
  add({ lagSeconds: 2, insertsPerSecond: 100 }, START + 60_000);
  const { series, stepSeconds } = history.read('24h', START + 60_000);
  expect([stepSeconds, series.lagSeconds.length]).toEqual([60, 1440]);
  expect(series.lagSeconds.slice(-3)).toEqual([null, 7, 2]);
  expect(series.insertsPerSecond.at(-2)).toBeCloseTo(29.5);
  expect(series.insertsPerSecond.at(-1)).toBe(100);
});

it('forgets what is a day old', () => {
  add({ lagSeconds: 1 }, START);
  add({ lagSeconds: 2 }, START + 86_400_000);
  expect(history.read('24h', START + 86_400_000).series.lagSeconds.filter((value) => value !== null)).toEqual([2]);
  expect(history.read('24h', START + 3 * 86_400_000).series.lagSeconds.filter((value) => value !== null)).toEqual([]);
});

it('shows a gap where nothing was sampled', () => {
  add({ lagSeconds: 1 }, START);
  add({ lagSeconds: 2 }, START + 3000);
  expect(history.read('15m', START + 3000).series.lagSeconds.slice(-4)).toEqual([1, null, null, 2]);
});

it('goes on when the clock is set back', () => {
  add({ lagSeconds: 1 }, START + 120_000);
  add({ lagSeconds: 2 }, START);
  expect(history.read('15m', START).series.lagSeconds.at(-1)).toBe(2);
  expect(history.read('24h', START).series.lagSeconds.at(-1)).toBe(2);
});
