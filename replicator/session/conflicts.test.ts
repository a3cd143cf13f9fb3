import { expect, test } from 'vitest';
import type { Conflict } from '../apply/run.ts';
import { ConflictTally } from './conflicts.ts';

function missing(count: number, kind: Conflict['kind'] = 'updateMissing', table = 'public.t'): Conflict[] {
  return Array.from({ length: count }, (_, n) => ({ table, kind, key: `id=${n + 1}` }));
}

test('one event a table and code, with the operation and key of each row', () => {
  const tally = new ConflictTally(() => 0);
  expect(
    tally.events([
      ...missing(1),
      ...missing(1, 'deleteMissing'),
      ...missing(1, 'insertExists'),
      ...missing(1, 'updateMissing', 's.u'),
    ]),
  ).toEqual([
    {
      level: 'warn',
      table: 'public.t',
      code: 'ROW_MISSING',
      message: '2 changes found no row on the target: UPDATE id=1; DELETE id=1.',
    },
    { level: 'warn', table: 'public.t', code: 'ROW_EXISTS', message: 'A row was on the target already: INSERT id=1.' },
    { level: 'warn', table: 's.u', code: 'ROW_MISSING', message: 'A change found no row on the target: UPDATE id=1.' },
  ]);
  expect(tally.events([])).toEqual([]);
});

test('repeats what it said for as long as the log folds events, then begins anew', () => {
  let now = 0;
  const tally = new ConflictTally(() => now);
  const message = (conflicts: Conflict[]): string => tally.events(conflicts)[0]?.message ?? '';
  expect(message(missing(1))).toBe('A change found no row on the target: UPDATE id=1.');
  now = 59_999;
  expect(message(missing(2))).toBe('3 changes found no row on the target: UPDATE id=1; UPDATE id=1; UPDATE id=2.');
  now = 60_000;
  expect(message(missing(1))).toBe('A change found no row on the target: UPDATE id=1.');
});

test('counts all rows, lists so many', () => {
  const tally = new ConflictTally(() => 0);
  const [event] = tally.events(missing(1000));
  expect(event?.message).toMatch(/^1000 changes found no row on the target: UPDATE id=1; .*; UPDATE id=20; and 980 more\.$/);
});
