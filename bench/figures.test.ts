import { expect, test } from 'vitest';
import { delays, markdownTable, median, megabytes, milliseconds, percentile, seconds } from './figures.mjs';

test('the median is the middle, or between the two middle ones', () => {
  expect(median([9, 1, 5])).toBe(5);
  expect(median([1, 10, 2, 4])).toBe(3);
  expect(median([7])).toBe(7);
  expect(median([])).toBeNaN();
});

test('a percentile is one of the numbers', () => {
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
  expect(percentile(hundred, 0.5)).toBe(50);
  expect(percentile(hundred, 0.99)).toBe(99);
  expect(percentile([3], 0.99)).toBe(3);
  expect(percentile([], 0.5)).toBeNaN();
});

test('figures have the digits that mean something, and a dash where there is none', () => {
  expect([seconds(4321), seconds(87), seconds(NaN)]).toEqual(['4.3 s', '0.09 s', '–']);
  expect([milliseconds(1.26), milliseconds(41.7), milliseconds(NaN)]).toEqual(['1.3 ms', '42 ms', '–']);
  expect(megabytes(150_400_000)).toBe('150 MB');
});

test('a table is one that people can read as it is', () => {
  expect(
    markdownTable([
      ['work', 'time'],
      ['copy', '4.3 s'],
      ['drain – all', '–'],
    ]),
  ).toBe(['| work        |  time |', '|-------------|------:|', '| copy        | 4.3 s |', '| drain – all |     – |'].join('\n'));
});

test('a delay ends with the first look that shows the row or a later one', () => {
  const looks = [
    { id: 10, at: 105 },
    { id: 12, at: 108 },
    { id: 13, at: 120 },
  ];
  expect(delays([101, 103, 107, 110], looks, 10)).toEqual([4, 5, 1, 10]);
});
