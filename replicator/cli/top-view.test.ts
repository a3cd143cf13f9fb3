import { expect, it } from 'vitest';
import type { TableStatus } from '../observe/status.ts';
import { sampleStatus, sampleTable } from '../testing/cli-io.ts';
import { renderTop, type TopOptions, type TopSample } from './top-view.ts';

const NOW = Date.parse('2026-01-02T04:04:05.000Z');
const OPTIONS: TopOptions = { color: false, now: NOW, columns: 100, rows: 30, stale: null };

const table = (source: string, insert: number, parts: Partial<TableStatus> = {}): TableStatus =>
  sampleTable({ source, applied: { insert, update: 0, delete: 0, truncate: 0 }, ...parts });
const sample = (at: number, tables: TableStatus[]): TopSample => ({ status: sampleStatus(), tables, at });

const BEFORE = sample(0, [table('a.quiet', 500), table('a.busy', 100), table('a.reset', 900)]);
const TABLES = [
  table('a.quiet', 500),
  table('a.busy', 300),
  table('a.reset', 5),
  table('a.new', 7),
  table('a.bad', 1, { state: 'error', error: { code: 'COPY_FAILED', message: 'two\nlines', remedy: 'Mend.' } }),
  table('a.copied', 0, {
    state: 'copying',
    snapshot: { rowsCopied: 5, rowsEstimated: 1000, bytesCopied: 1, startedAt: null, finishedAt: null },
  }),
];

it('is the status, and the tables: failing first, then those on their way, then by what changes', () => {
  const lines = renderTop(sample(2000, TABLES), BEFORE, OPTIONS).split('\n');
  const at = lines.findIndex((line) => line.startsWith('TABLE'));
  expect(lines[0]).toBe('shop  streaming for 1 h  pgfollow 1.0.0');
  expect(lines.slice(at)).toEqual([
    'TABLE     STATE      APPLIED  PER SECOND',
    'a.bad     error            1           -  COPY_FAILED: two lines',
    'a.copied  copying          0           -  5 of about 1 000 rows copied',
    'a.busy    streaming      300         100',
    'a.quiet   streaming      500           0',
    'a.new     streaming        7           -',
    'a.reset   streaming        5           -',
    'q ends this',
  ]);
});

it('never has more lines than the terminal', () => {
  const many = Array.from({ length: 5000 }, (_, at) => table(`a.t${at}`, at));
  for (const rows of [5, 16, 17, 24, 60]) {
    const lines = renderTop(sample(0, many), null, { ...OPTIONS, rows }).split('\n');
    expect(lines.length).toBeLessThanOrEqual(Math.max(rows, 13));
  }
  expect(renderTop(sample(0, many), null, { ...OPTIONS, rows: 24 })).toMatch(/\nand 4 991 more; q ends this$/);
});

it('is whole at 80 columns: what is longer goes on below', () => {
  const status = sampleStatus({
    position: { received: 'FFFFFFFF/FFFFFFFF', applied: 'FFFFFFFF/FFFFFFF0', acknowledged: 'FFFFFFFF/FFFFFF00' },
    problems: [
      {
        code: 'APPLY_FAILED',
        message: 'The target refused a change that the source had accepted, '.repeat(3).trim(),
        remedy: 'Mend it.',
        since: '2026-01-02T04:04:00.000Z',
        table: 'a.bad',
        retryAt: null,
        occurrences: 4,
      },
    ],
  });
  const lines = renderTop({ status, tables: [], at: 0 }, null, { ...OPTIONS, columns: 80, rows: 24 }).split('\n');
  expect(lines.filter((line) => line.length > 80)).toEqual([]);
  const at = lines.findIndex((line) => line.startsWith('position'));
  expect(lines.slice(at, at + 2)).toEqual([
    'position  applied FFFFFFFF/FFFFFFF0, received FFFFFFFF/FFFFFFFF, acknowledged',
    expect.stringMatching(/^ {10}FFFFFFFF\/FFFFFF00, source at /),
  ]);
  expect(lines).toContain('APPLY_FAILED a.bad  since 2026-01-02T04:04:00.000Z, 4 times so far');
});

it('says how old it is while no answer comes', () => {
  const text = renderTop(sample(0, TABLES), null, { ...OPTIONS, stale: 'No answer for 5 s.' });
  expect(text.split('\n').slice(0, 2)).toEqual(['No answer for 5 s.', 'shop  streaming for 1 h  pgfollow 1.0.0']);
});
