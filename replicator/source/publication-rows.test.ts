import { expect, test } from 'vitest';
import { isAltered } from './publication-rows.ts';

test.each([
  { what: 'nothing new', before: ['1:7', '2:8'], now: ['1:7', '2:8'], altered: false },
  { what: 'one was altered', before: ['1:7', '2:8'], now: ['1:7', '2:9'], altered: true },
  { what: 'one was made anew', before: ['1:7'], now: ['3:9'], altered: false },
  { what: 'one is gone', before: ['1:7', '2:8'], now: ['1:7'], altered: false },
])('$what', ({ before, now, altered }) => {
  expect(isAltered(before, now)).toBe(altered);
});
