import { expect, it } from 'vitest';
import type { CopyProgress, TableStatus } from '../observe/status.ts';
import { sampleTable } from '../testing/cli-io.ts';
import { describeCopy, FinishedTables, Milestones } from './copy-view.ts';

const COPY: CopyProgress = {
  startedAt: '2026-01-02T03:04:05.000Z',
  tables: 7,
  tablesDone: 3,
  rows: 1200,
  rowsEstimated: 2400,
  bytes: 2048,
  rowsPerSecond: 400,
  bytesPerSecond: 700,
  share: 0.456,
  secondsLeft: 180,
};

it.each<[parts: Partial<CopyProgress>, said: string]>([
  [{}, '45 %, 3 of 7 tables, 1 200 rows, 2.0 kB, 400 rows/s, 3 min left'],
  [{ share: 1, secondsLeft: 0, tables: 1, tablesDone: 0 }, '99 %, 0 of 1 table, 1 200 rows, 2.0 kB, 400 rows/s, 0 ms left'],
  [{ share: null, secondsLeft: null, rowsPerSecond: 0 }, '3 of 7 tables, 1 200 rows, 2.0 kB'],
])('%j is said as %s', (parts, said) => expect(describeCopy({ ...COPY, ...parts })).toBe(said));

it('a log hears of a copy every 10 s, or every 5 %', () => {
  const milestones = new Milestones(0);
  const looks: [now: number, share: number | null, due: boolean][] = [
    [1000, 0.04, false],
    [1100, 0.05, true],
    [1200, 0.09, false],
    [11_000, 0.09, false],
    [11_100, 0.09, true],
    [11_200, null, false],
    [11_300, 0.5, true],
    // The next copy.
    [11_400, 0.01, false],
    [11_500, 0.07, true],
    [21_500, null, true],
  ];
  for (const [now, share, due] of looks) expect([now, milestones.due(now, share)]).toEqual([now, due]);
});

it('each table that is done is told once', () => {
  const table = (source: string, state: TableStatus['state']): TableStatus =>
    sampleTable({
      source,
      state,
      snapshot: {
        rowsCopied: 1000,
        rowsEstimated: 900,
        bytesCopied: 2048,
        startedAt: '2026-01-02T03:04:05.000Z',
        finishedAt: '2026-01-02T03:04:08.500Z',
      },
    });
  const finished = new FinishedTables();
  expect(finished.look([table('a', 'copying'), table('b', 'indexing'), table('c', 'streaming'), table('d', 'copying')])).toEqual(
    [],
  );
  expect(
    finished.look([table('a', 'indexing'), table('b', 'catching_up'), table('c', 'streaming'), table('d', 'error')]),
  ).toEqual(['b copied: 1 000 rows, 2.0 kB in 3.5 s']);
  expect(finished.look([table('a', 'streaming'), table('b', 'streaming')])).toEqual(['a copied: 1 000 rows, 2.0 kB in 3.5 s']);
  expect(finished.look([table('a', 'streaming'), table('b', 'streaming')])).toEqual([]);
});
