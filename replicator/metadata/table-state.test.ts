import { describe, expect, test } from 'vitest';
import { Problem } from '../problem.ts';
import { nextProgress, takesChanges, type TableEvent, type TableProgress, type TableStateName } from './table-state.ts';

const error: TableProgress = { state: 'error', code: 'COPY_FAILED', message: 'it failed', remedy: 'mend it' };
const problem = new Problem('APPLY_FAILED', 'refused', { remedy: 'grant it' });

const FROM: Record<TableStateName, TableProgress> = {
  pending: { state: 'pending' },
  copying: { state: 'copying' },
  indexing: { state: 'indexing' },
  catching_up: { state: 'catching_up' },
  streaming: { state: 'streaming' },
  error,
};

const EVENTS: Record<TableEvent['type'], TableEvent> = {
  'copy started': { type: 'copy started' },
  copied: { type: 'copied' },
  'copied bare': { type: 'copied bare' },
  indexed: { type: 'indexed' },
  'index again': { type: 'index again' },
  'caught up': { type: 'caught up' },
  'copy again': { type: 'copy again' },
  mended: { type: 'mended' },
  failed: { type: 'failed', problem },
};

// Every state and every event; '-' is a fault in pgfollow.
const TABLE: Record<TableStateName, Record<TableEvent['type'], TableStateName | '-'>> = {
  pending: {
    'copy started': 'copying',
    copied: '-',
    'copied bare': '-',
    indexed: '-',
    'index again': '-',
    'caught up': '-',
    'copy again': 'pending',
    mended: '-',
    failed: 'error',
  },
  copying: {
    'copy started': '-',
    copied: 'catching_up',
    'copied bare': 'indexing',
    indexed: '-',
    'index again': '-',
    'caught up': '-',
    'copy again': 'pending',
    mended: '-',
    failed: 'error',
  },
  indexing: {
    'copy started': '-',
    copied: '-',
    'copied bare': '-',
    indexed: 'catching_up',
    'index again': '-',
    'caught up': '-',
    'copy again': 'pending',
    mended: '-',
    failed: 'error',
  },
  catching_up: {
    'copy started': '-',
    copied: '-',
    'copied bare': '-',
    indexed: '-',
    'index again': '-',
    'caught up': 'streaming',
    'copy again': 'pending',
    mended: '-',
    failed: 'error',
  },
  streaming: {
    'copy started': '-',
    copied: '-',
    'copied bare': '-',
    indexed: '-',
    'index again': '-',
    'caught up': 'streaming',
    'copy again': 'pending',
    mended: '-',
    failed: 'error',
  },
  error: {
    'copy started': '-',
    copied: '-',
    'copied bare': '-',
    indexed: '-',
    'index again': 'indexing',
    'caught up': '-',
    'copy again': 'pending',
    mended: 'catching_up',
    failed: 'error',
  },
};

const cases = Object.entries(TABLE).flatMap(([from, row]) =>
  Object.entries(row).map(([event, to]) => [from, event, to] as const),
);

describe('the whole transition table', () => {
  test.each(cases)('%s, %s: %s', (from, event, to) => {
    const step = (): TableProgress => nextProgress(FROM[from as TableStateName], EVENTS[event as TableEvent['type']]);
    if (to === '-') expect(step).toThrow(expect.objectContaining({ code: 'INTERNAL', message: expect.stringContaining(from) }));
    else expect(step().state).toBe(to);
  });
});

test('a failure brings its reason, a new copy forgets it', () => {
  expect(nextProgress({ state: 'streaming' }, EVENTS.failed)).toEqual({
    state: 'error',
    code: 'APPLY_FAILED',
    message: 'refused',
    remedy: 'grant it',
  });
  expect(nextProgress(error, EVENTS['copy again'])).toEqual({ state: 'pending' });
});

test('changes go to tables whose rows are there', () => {
  expect(Object.keys(FROM).filter((state) => takesChanges(state as TableStateName))).toEqual(['catching_up', 'streaming']);
});
