import { expect, it } from 'vitest';
import { formatDuration, formatSize, parseDuration, parseSize } from './units.ts';

it.each([
  ['500ms', 500],
  ['1s', 1000],
  ['1.5 min', 90_000],
  ['5m', 300_000],
  ['2h', 7_200_000],
  ['1d', 86_400_000],
  ['0s', 0],
  ['1', null],
  ['s', null],
  ['-1s', null],
  ['1 fortnight', null],
  ['1constructor', null],
])('duration %s', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

it.each([
  ['64kB', 65_536],
  ['64KB', 65_536],
  ['16MB', 16_777_216],
  ['1.5GB', 1_610_612_736],
  ['1TB', 1_099_511_627_776],
  ['123B', 123],
  ['65536', 65_536],
  ['16MiB', null],
  ['99999999999TB', null],
  ['', null],
])('size %s', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

it('prints what reads back as the same', () => {
  for (const ms of [0, 1, 500, 1000, 1500, 60_000, 90_000, 3_600_000, 86_400_000]) {
    expect(parseDuration(formatDuration(ms))).toBe(ms);
  }
  for (const bytes of [0, 1, 1023, 1024, 65_536, 16_777_216, 1024 ** 3 + 1]) expect(parseSize(formatSize(bytes))).toBe(bytes);
  expect([formatDuration(1000), formatDuration(90_000), formatSize(65_536), formatSize(16_777_216)]).toEqual([
    '1s',
    '90s',
    '64kB',
    '16MB',
  ]);
});
