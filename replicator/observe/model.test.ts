import { beforeEach, describe, expect, it } from 'vitest';
import { parseLsn } from '../postgres/lsn.ts';
import { slotReading } from '../testing/slot-reading.ts';
import { StatusModel } from './model.ts';
import type { TableListing } from './table-book.ts';

const START = Date.parse('2026-01-02T03:04:05Z');
const listing: TableListing = { source: 'public.a', target: 'public.b', identity: 'full', state: 'pending', rowsEstimated: 10 };

const SLOT = slotReading({ retainedBytes: 7 });

let nowMs = START;
let model: StatusModel;
beforeEach(() => {
  nowMs = START;
  model = new StatusModel({ name: 'shop', version: '1.0.0', now: () => nowMs });
});

describe('status', () => {
  it('has the shape of the contract before anything is known', () => {
    expect(model.status()).toEqual({
      name: 'shop',
      version: '1.0.0',
      state: 'starting',
      since: '2026-01-02T03:04:05.000Z',
      summary: 'Starting.',
      source: { connected: false, serverVersion: null, database: null, walEnd: null },
      target: { connected: false, serverVersion: null, database: null },
      slot: null,
      position: { received: null, applied: null, acknowledged: null },
      lag: { seconds: null, bytes: null },
      rates: { rowsPerSecond: 0, transactionsPerSecond: 0 },
      totals: { insert: 0, update: 0, delete: 0, truncate: 0, transactions: 0 },
      work: {
        seconds: 0,
        shares: { source: 0, decode: 0, apply: 0, lock: 0, commit: 0, tables: 0, paused: 0 },
        queueFull: 0,
        bottleneck: null,
        summary: 'Nothing is followed yet, or not long enough to say.',
      },
      tables: { total: 0, pending: 0, copying: 0, indexing: 0, catching_up: 0, streaming: 0, error: 0 },
      copy: null,
      problems: [],
    });
  });

  it('follows a run', () => {
    model.database('source', { connected: true, serverVersion: '18.4', database: 'pg_x' });
    model.database('target', { connected: true, serverVersion: '17.9', database: 'pg_y' });
    model.followed.list([listing]);
    nowMs += 5000;
    model.setState('streaming');
    nowMs += 1000;
    model.setState('streaming');
    model.stream.sourceWalEnd(parseLsn('0/1000'));
    model.stream.received(parseLsn('0/F00'), 500);
    model.stream.applied(parseLsn('0/E00'));
    model.stream.acknowledged(parseLsn('0/D00'));
    model.stream.slot(SLOT);
    model.stream.heartbeatEmitted('a', nowMs - 200);
    model.stream.heartbeatApplied('a');
    const perTable = [['public.a', { insert: 20, update: 10, delete: 0, truncate: 0 }]] as const;
    model.batchApplied({ rows: 30, transactions: 3, durationMs: 4, perTable, at: nowMs });
    expect(model.status()).toMatchObject({
      state: 'streaming',
      since: '2026-01-02T03:04:10.000Z',
      summary: 'Streaming. pg_y is 0.2 s behind pg_x.',
      source: { connected: true, serverVersion: '18.4', database: 'pg_x', walEnd: '0/1000' },
      slot: { name: 'shop', active: true, walStatus: 'reserved', retainedBytes: 7, limitBytes: null },
      position: { received: '0/F00', applied: '0/E00', acknowledged: '0/D00' },
      lag: { seconds: 0.2, bytes: 0x200 },
      rates: { rowsPerSecond: 5, transactionsPerSecond: 0.5 },
      totals: { insert: 20, update: 10, delete: 0, truncate: 0, transactions: 3 },
      tables: { total: 1, pending: 1 },
    });
  });

  it('keeps what was known of a database that went away', () => {
    model.database('source', { connected: true, serverVersion: '18.4', database: 'pg_x' });
    model.database('source', { connected: false });
    expect(model.status().source).toMatchObject({ connected: false, serverVersion: '18.4', database: 'pg_x' });
  });

  it('shows no negative lag when the target is ahead of the last reading of the source', () => {
    model.stream.sourceWalEnd(parseLsn('0/1000'));
    model.stream.applied(parseLsn('0/2000'));
    expect(model.status().lag.bytes).toBe(0);
  });

  it('keeps a problem and its beginning until it is cleared, one for each code and table', () => {
    model.problem({ code: 'APPLY_FAILED', message: 'first', remedy: 'mend', table: 'public.a' });
    nowMs += 9000;
    model.problem({ code: 'APPLY_FAILED', message: 'second', remedy: 'mend', table: 'public.a' });
    model.problem({ code: 'APPLY_FAILED', message: 'other', remedy: 'mend', table: 'public.c' });
    expect(model.status().problems).toEqual([
      {
        code: 'APPLY_FAILED',
        message: 'second',
        remedy: 'mend',
        since: '2026-01-02T03:04:05.000Z',
        table: 'public.a',
        retryAt: null,
        occurrences: 1,
      },
      {
        code: 'APPLY_FAILED',
        message: 'other',
        remedy: 'mend',
        since: '2026-01-02T03:04:14.000Z',
        table: 'public.c',
        retryAt: null,
        occurrences: 1,
      },
    ]);
    model.clearProblem('APPLY_FAILED', 'public.a');
    model.clearProblem('SLOT_LOST');
    expect(model.status().problems).toHaveLength(1);
  });
});

describe('tables', () => {
  it('go through a copy', () => {
    model.followed.list([listing]);
    model.followed.state('public.a', 'copying');
    model.followed.copyStarted('public.a');
    model.followed.copyProgress('public.a', 4, 160);
    expect(model.table('public.a')?.snapshot).toEqual({
      rowsCopied: 4,
      rowsEstimated: 10,
      bytesCopied: 160,
      startedAt: '2026-01-02T03:04:05.000Z',
      finishedAt: null,
    });
    nowMs += 1000;
    model.followed.copyFinished('public.a', 10, 400);
    expect(model.table('public.a')?.snapshot).toMatchObject({
      rowsCopied: 10,
      bytesCopied: 400,
      finishedAt: '2026-01-02T03:04:06.000Z',
    });
  });

  it('count all copies together for metrics', () => {
    model.followed.list([listing]);
    model.followed.copyStarted('public.a');
    model.followed.copyFinished('public.a', 10, 400);
    model.followed.copyStarted('public.a');
    model.followed.copyProgress('public.a', 3, 120);
    expect(model.table('public.a')?.snapshot.rowsCopied).toBe(3);
    expect(model.followed.copiedTotals('public.a')).toEqual({ rows: 13, bytes: 520 });
  });

  it('keep the error only while in error, and its text when the state is repeated', () => {
    model.followed.list([listing]);
    const error = { code: 'APPLY_FAILED', message: 'no', remedy: 'mend' } as const;
    model.followed.state('public.a', 'error', error);
    model.followed.state('public.a', 'error');
    expect(model.table('public.a')?.error).toEqual(error);
    expect(model.status().tables).toMatchObject({ error: 1, pending: 0 });
    model.followed.state('public.a', 'streaming');
    expect(model.table('public.a')?.error).toBeNull();
  });

  it('keep their counters when the set changes, and what is not followed is ignored', () => {
    model.followed.list([listing]);
    const counts = { insert: 1, update: 0, delete: 0, truncate: 0 };
    model.batchApplied({
      rows: 2,
      transactions: 1,
      durationMs: 1,
      perTable: [
        ['public.a', counts],
        ['public.gone', counts],
      ],
      at: nowMs,
    });
    model.followed.conflict('public.a', 'updateMissing', 2);
    model.followed.conflict('public.gone', 'updateMissing', 2);
    model.followed.spooled('public.a', 99);
    model.followed.list([
      { ...listing, state: 'streaming' },
      { ...listing, source: 'public.c', rowsEstimated: -1 },
    ]);
    expect(model.tables().map((table) => table.source)).toEqual(['public.a', 'public.c']);
    expect(model.table('public.a')).toMatchObject({
      state: 'streaming',
      applied: counts,
      conflicts: { updateMissing: 2 },
      spooledBytes: 99,
      lastChangeAt: '2026-01-02T03:04:05.000Z',
    });
    expect(model.table('public.c')?.snapshot.rowsEstimated).toBeNull();
    model.followed.list([]);
    expect(model.table('public.a')).toBeUndefined();
  });

  it('cannot be changed by who reads them', () => {
    model.followed.list([listing]);
    model.tables()[0]!.applied.insert = 77;
    expect(model.table('public.a')?.applied.insert).toBe(0);
  });
});

it('tells when something is tried again, as long as that is to come', () => {
  const due = new Map<string | null, number>([['public.a', START + 5000]]);
  model = new StatusModel({
    name: 'shop',
    version: '1.0.0',
    now: () => nowMs,
    retriesOf: (table) => ({ nextMs: due.get(table) ?? null, failures: table === null ? 0 : 3 }),
  });
  model.problem({ code: 'COPY_FAILED', message: 'no', remedy: 'mend', table: 'public.a' });
  model.problem({ code: 'TARGET_LOCKED', message: 'no', remedy: 'mend' });
  expect(model.status().problems.map(({ retryAt }) => retryAt)).toEqual(['2026-01-02T03:04:10.000Z', null]);
  expect(model.status().problems.map(({ occurrences }) => occurrences)).toEqual([3, 1]);
  nowMs += 5000;
  expect(model.status().problems[0]?.retryAt).toBeNull();
});

it('remembers what it is asked to sample', () => {
  model.stream.slot(SLOT);
  model.sample();
  nowMs += 1000;
  const perTable = [['public.a', { insert: 20, update: 10, delete: 0, truncate: 0 }]] as const;
  model.batchApplied({ rows: 30, transactions: 3, durationMs: 4, perTable, at: nowMs });
  model.sample();
  const { series } = model.history('15m');
  expect(series.insertsPerSecond.slice(-2)).toEqual([null, 20]);
  expect(series.transactionsPerSecond.at(-1)).toBe(3);
  expect(series.retainedBytes.slice(-2)).toEqual([7, 7]);
});

it('says what is in the way once that is known', () => {
  expect(model.status().work).toMatchObject({ seconds: 0, bottleneck: null });
  model.stream.spent('lock', 9000);
  model.stream.spent('source', 1000);
  expect(model.status().work).toMatchObject({ seconds: 10, shares: { lock: 0.9, source: 0.1 }, bottleneck: 'lock' });
});

it('knows since when a table is in its state, and how busy it is', () => {
  model.followed.list([listing]);
  nowMs += 5000;
  model.followed.state('public.a', 'streaming');
  model.followed.state('public.a', 'streaming');
  for (let second = 0; second < 120; second++) {
    nowMs += 1000;
    const perTable = [['public.a', { insert: 50, update: 50, delete: 0, truncate: 0 }]] as const;
    model.batchApplied({ rows: 100, transactions: 1, durationMs: 4, perTable, at: nowMs });
  }
  expect(model.followed.facts('public.a').sinceMs).toBe(START + 5000);
  expect(model.followed.facts('public.a').rowsPerSecond).toBeCloseTo(105, 0);
  nowMs += 60_000;
  expect(model.followed.facts('public.a').rowsPerSecond).toBeLessThan(1);
});
