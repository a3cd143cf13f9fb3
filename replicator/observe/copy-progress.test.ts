import { beforeEach, expect, it } from 'vitest';
import { sampleTable } from '../testing/cli-io.ts';
import { CopyWatch, share } from './copy-progress.ts';
import type { TableStatus } from './status.ts';

const START = Date.parse('2026-01-02T03:04:05Z');
let watch: CopyWatch;
beforeEach(() => {
  watch = new CopyWatch();
});

function table(
  state: TableStatus['state'],
  rowsCopied: number,
  rowsEstimated: number | null,
  finishedAt: string | null = null,
): TableStatus {
  return sampleTable({
    source: `s.${state}${rowsEstimated}`,
    state,
    snapshot: { rowsCopied, rowsEstimated, bytesCopied: rowsCopied * 100, startedAt: null, finishedAt },
  });
}

it('is nothing while nothing is copied', () => {
  watch.look([table('streaming', 10, 10)], START);
  expect(watch.progress).toBeNull();
});

it('forecasts from the pace of the last minute', () => {
  for (let second = 0; second <= 20; second++) watch.look([table('copying', second * 1000, 100_000)], START + second * 1000);
  expect(watch.progress).toMatchObject({
    startedAt: '2026-01-02T03:04:05.000Z',
    tables: 1,
    tablesDone: 0,
    rows: 20_000,
    rowsPerSecond: 1000,
    bytesPerSecond: 100_000,
    share: 0.2,
    secondsLeft: 80,
  });
  // It becomes ten times slower, which shows within minutes.
  for (let second = 21; second <= 320; second++)
    watch.look([table('copying', 20_000 + (second - 20) * 100, 100_000)], START + second * 1000);
  expect(watch.progress?.rowsPerSecond).toBeGreaterThanOrEqual(100);
  expect(watch.progress?.rowsPerSecond).toBeLessThan(115);
});

it('forecasts nothing before enough is done, or enough time has passed', () => {
  const at = (second: number): number | null => {
    watch.look([table('copying', second * 10, 100_000)], START + second * 1000);
    return watch.progress!.secondsLeft;
  };
  for (let second = 0; second < 30; second++) expect(at(second)).toBeNull();
  expect(at(30)).toBeGreaterThan(9000);
});

it.each<[string, TableStatus, number | null]>([
  ['an estimate that is missing', table('copying', 10, null), null],
  ['an estimate that was too low', table('copying', 101, 100), null],
  ['a table with its rows in and indexes to come', table('indexing', 150, 100), 1],
])('%s', (_, one, expected) => {
  watch.look([one], START);
  expect(watch.progress?.share).toBe(expected);
});

it('counts what was done since there was something to do, until nothing is left', () => {
  const before = table('streaming', 5, 5, '2026-01-02T03:00:00.000Z');
  watch.look([before, table('pending', 0, 100)], START);
  expect(watch.progress).toMatchObject({ tables: 1, tablesDone: 0, rows: 0 });
  const done = table('catching_up', 120, 100, '2026-01-02T03:05:00.000Z');
  watch.look([before, done, table('copying', 10, 50)], START + 60_000);
  expect(watch.progress).toMatchObject({ tables: 2, tablesDone: 1, rows: 130, rowsEstimated: 170 });
  watch.look([before, done], START + 70_000);
  expect(watch.progress).toBeNull();
});

it.each([
  [0, 10, 0],
  [5, 10, 0.5],
  [10, 10, 1],
  [11, 10, null],
  [0, 0, null],
  [1, null, null],
])('%d of %s is %s', (done, estimated, expected) => {
  expect(share(done, estimated)).toBe(expected);
});

it('remembers when the last copying began and was complete, also that of an earlier process', () => {
  const copied = table('streaming', 10, 10, '2026-01-02T03:00:00Z');
  copied.snapshot.startedAt = '2026-01-02T02:59:00Z';
  watch.look([table('streaming', 10, 10)], START);
  expect(watch.times).toEqual({ startedMs: null, finishedMs: null });
  watch.look([copied], START);
  expect(watch.times).toEqual({
    startedMs: Date.parse('2026-01-02T02:59:00Z'),
    finishedMs: Date.parse('2026-01-02T03:00:00Z'),
  });
  watch.look([table('copying', 1, 10)], START + 1000);
  watch.look([table('copying', 5, 10)], START + 2000);
  expect(watch.times).toEqual({ startedMs: START + 1000, finishedMs: null });
  watch.look([copied], START + 3000);
  watch.look([copied], START + 4000);
  expect(watch.times).toEqual({ startedMs: START + 1000, finishedMs: START + 3000 });
});
