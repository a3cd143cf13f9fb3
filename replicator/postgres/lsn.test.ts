import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatLsn, maxLsn, parseLsn, tryParseLsn, type Lsn } from './lsn.ts';

test.each([
  ['0/0', 0n],
  ['0/1', 1n],
  ['0/FFFFFFFF', 0xffffffffn],
  ['1/0', 0x1_00000000n],
  ['16/B374D848', 0x16_b374d848n],
  ['7FFFFFFF/FFFFFFFF', 0x7fffffff_ffffffffn],
  ['80000000/0', 0x80000000_00000000n],
  ['FFFFFFFF/FFFFFFFF', 0xffffffff_ffffffffn],
])('%s', (text, lsn) => {
  expect(parseLsn(text)).toBe(lsn);
  expect(formatLsn(lsn as Lsn)).toBe(text);
});

test('lower case and leading zeros are read, and written as PostgreSQL does', () => {
  expect(formatLsn(parseLsn('0000000a/00ff'))).toBe('A/FF');
});

test.each(['', '0', '/', '0/', '/0', '0/0/0', '100000000/0', '0/100000000', 'G/0', ' 0/0', '0/0 ', '-1/0', '0x1/0'])(
  '"%s" is no LSN',
  (text) => {
    expect(tryParseLsn(text)).toBeNull();
    expect(() => parseLsn(text)).toThrow(RangeError);
  },
);

test('text and number say the same, and order by number', () => {
  const lsn = fc.bigInt({ min: 0n, max: 0xffffffff_ffffffffn }) as fc.Arbitrary<Lsn>;
  fc.assert(
    fc.property(lsn, lsn, (a, b) => {
      expect(parseLsn(formatLsn(a))).toBe(a);
      expect(maxLsn(a, b)).toBe(a > b ? a : b);
    }),
  );
});
