import { expect, it } from 'vitest';
import { formatSeconds, summarize } from './summary.ts';
import type { SummaryInput } from './summary.ts';

const BASE: SummaryInput = {
  state: 'streaming',
  detail: null,
  lag: { seconds: 0.2, atLeast: false },
  sourceDatabase: 'pg_x',
  targetDatabase: 'pg_y',
  tables: { total: 3, pending: 0, copying: 0, indexing: 0, catching_up: 0, streaming: 3, error: 0 },
  firstProblem: null,
};

it.each<[Partial<SummaryInput>, string]>([
  [{}, 'Streaming. pg_y is 0.2 s behind pg_x.'],
  [{ targetDatabase: 'pg_x' }, 'Streaming. The target is 0.2 s behind the source.'],
  [{ sourceDatabase: null }, 'Streaming. The target is 0.2 s behind the source.'],
  [{ lag: { seconds: null, atLeast: false } }, 'Streaming.'],
  [{ lag: { seconds: 75, atLeast: true } }, 'Streaming. pg_y is at least 1 min 15 s behind pg_x.'],
  [{ state: 'starting', detail: 'connecting to the source' }, 'Starting: connecting to the source.'],
  [{ state: 'copying', tables: { ...BASE.tables, streaming: 1, copying: 2 } }, 'Copying. 1 of 3 tables copied.'],
  [
    { state: 'paused', lag: { seconds: 7300, atLeast: false } },
    'Paused. pg_y is 2 h 1 min behind pg_x. The source keeps what is needed to resume.',
  ],
  [
    { state: 'retrying', firstProblem: 'The target does not answer.' },
    'Retrying: The target does not answer. pg_y is 0.2 s behind pg_x.',
  ],
  [{ state: 'failed', firstProblem: 'The slot is gone' }, 'Stopped: The slot is gone.'],
  [{ tables: { ...BASE.tables, streaming: 2, error: 1 } }, 'Streaming. pg_y is 0.2 s behind pg_x. 1 table in error.'],
])('%j -> %s', (change, expected) => {
  expect(summarize({ ...BASE, ...change })).toBe(expected);
});

it.each([
  [0, '0 ms'],
  [0.0123, '12 ms'],
  [0.2, '0.2 s'],
  [9.94, '9.9 s'],
  [9.97, '10 s'],
  [59.7, '1 min'],
  [61, '1 min 1 s'],
  [3600, '1 h'],
  [90_000, '1 d 1 h'],
])('%f s is written %s', (seconds, text) => {
  expect(formatSeconds(seconds)).toBe(text);
});
