import { expect, test } from 'vitest';
import { parseLsn } from '../postgres/lsn.ts';
import { switchPoint } from './timeline.ts';

const HISTORY = '1\t0/3000158\tno recovery target specified\n\n# a word\n2\t1/50000A0\tbefore 2026-01-31 10:00:00+00\n';

test('where a timeline was left is in the history of those after it; what is not there was never followed', () => {
  expect(switchPoint(HISTORY, 1)).toBe(parseLsn('0/3000158'));
  expect(switchPoint(HISTORY, 2)).toBe(parseLsn('1/50000A0'));
  expect(switchPoint(HISTORY, 3)).toBe(0n);
  expect(switchPoint('', 1)).toBe(0n);
});
