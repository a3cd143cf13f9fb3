import { expect, it } from 'vitest';
import { ago, bytesText, clock, duration, rate } from './format.ts';

it.each([
  [null, '–'],
  [0, '0 bytes'],
  [1023, '1,023 bytes'],
  [1024, '1 kB'],
  [1536, '1.5 kB'],
  [204_800, '200 kB'],
  [10 * 2 ** 30, '10 GB'],
  [2 ** 60, '1,024 PB'],
])('%s bytes are %s', (count, text) => {
  expect(bytesText(count)).toBe(text);
});

it.each([
  [null, '– '],
  [0.0401, '40 ms'],
  [2.14, '2.1 s'],
  [75, '75 s'],
  [600, '10 min'],
  [7300, '2.0 h'],
  [200_000, '2.3 days'],
])('%s s are %s', (seconds, text) => {
  const { value, unit } = duration(seconds);
  expect(`${value} ${unit}`).toBe(text);
});

it.each([
  [0, '0'],
  [0.4, '0.4'],
  [12_345.6, '12,346'],
])('%s a second are %s', (perSecond, text) => {
  expect(rate(perSecond)).toBe(text);
});

it('tells times near and far', () => {
  const nowMs = Date.parse('2026-01-02T03:04:05Z');
  expect(clock('2026-01-02T03:00:00.000Z', nowMs)).toBe('03:00:00');
  expect(clock('2026-01-01T23:59:59.000Z', nowMs)).toBe('2026-01-01 23:59:59');
  expect(ago('2026-01-02T03:04:03Z', nowMs)).toBe('just now');
  expect(ago('2026-01-02T03:03:48Z', nowMs)).toBe('15 s ago');
  expect(ago('2026-01-02T01:00:00Z', nowMs)).toBe('2 h ago');
  expect(ago('2026-01-01T01:00:00Z', nowMs)).toBe('1 day ago');
  expect(ago('2026-01-03T01:00:00Z', nowMs)).toBe('just now');
});
