// What the lag says when it matters: on real servers, as /metrics gives it.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { parseLsn } from '../postgres/lsn.ts';
import { sql, testDatabases, value, type Session, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline, type RunningPipeline } from '../testing/run-pipeline.ts';
import { startProxy } from '../testing/tcp-proxy.ts';

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY)';
const QUICK = { heartbeat: { interval: '200ms' } };

async function withTables(): Promise<TestDatabases> {
  const db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, TABLE);
  return db;
}

/** Nothing can be applied to t, or copied into it, until the session ends. */
async function locked(db: TestDatabases): Promise<Session> {
  const session = await db.target.session();
  await session.query('BEGIN; LOCK TABLE t');
  return session;
}

/** A series of /metrics; undefined where it is absent. It was read between `from` and `to`, in seconds since 1970. */
interface Reading {
  readonly value: number | undefined;
  readonly from: number;
  readonly to: number;
}

async function metric(running: RunningPipeline, name: string): Promise<Reading> {
  const from = Date.now() / 1000;
  const text = await running.pipeline.metrics.text();
  const line = text.split('\n').find((each) => each.startsWith(`pgfollow_${name} `));
  return { value: line === undefined ? undefined : Number(line.split(' ')[1]), from, to: Date.now() / 1000 };
}

const lagOf = (running: RunningPipeline): Promise<Reading> => metric(running, 'replication_lag_seconds');

/** By a second a second: what is behind stays behind, whatever else goes on. */
async function growsSteadily(running: RunningPipeline): Promise<void> {
  const before = await lagOf(running);
  await sleep(1500);
  const after = await lagOf(running);
  const grown = (after.value ?? NaN) - (before.value ?? NaN);
  expect(grown).toBeGreaterThan(after.from - before.to - 0.1);
  expect(grown).toBeLessThan(after.to - before.from + 0.1);
}

const backToNearZero = (running: RunningPipeline): Promise<void> =>
  eventually(async () => expect((await lagOf(running)).value).toBeLessThan(1));

// First, since it takes the longest.
test.concurrent('the target is away: what the source keeps for the slot is still measured, and nobody is said to read it', async () => {
  await using db = await withTables();
  await using proxy = await startProxy(db.target.url);
  await using running = startPipeline(db, { ...QUICK, target: { url: proxy.url } });
  await running.caughtUp();
  await eventually(async () => expect((await metric(running, 'slot_active')).value).toBe(1));
  proxy.open = false;
  proxy.cutAll();
  await eventually(async () => expect((await metric(running, 'slot_active')).value).toBe(0));
  const kept = (await metric(running, 'slot_retained_wal_bytes')).value ?? NaN;
  await sql(db.source, `SELECT pg_logical_emit_message(false, 'test', repeat('x', 1000000)) FROM generate_series(1, 3)`);
  await eventually(
    async () => expect((await metric(running, 'slot_retained_wal_bytes')).value).toBeGreaterThan(kept + 3_000_000),
    { timeout: 40_000 },
  );
  const reconnects = async (): Promise<number | undefined> => (await metric(running, 'reconnects_total{role="target"}')).value;
  // Attempts are none.
  expect(await reconnects()).toBe(0);
  proxy.open = true;
  await eventually(async () => expect((await metric(running, 'slot_active')).value).toBe(1), { timeout: 60_000 });
  expect(await reconnects()).toBe(1);
  await backToNearZero(running);
});

test.concurrent('idle: near zero, the heartbeat moves, and so does the slot while only other tables are written', async () => {
  await using db = await withTables();
  await sql(db.source, 'CREATE TABLE other (filler text)');
  await using running = startPipeline(db, { ...QUICK, tables: { include: ['public.t'] } });
  await running.caughtUp();
  await backToNearZero(running);
  const slot = `SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '${db.name}'`;
  const confirmed = parseLsn((await value(db.source, slot)) ?? '');
  const shown = await metric(running, 'heartbeat_applied_timestamp_seconds');
  await sql(db.source, `INSERT INTO other SELECT repeat('x', 1000) FROM generate_series(1, 1000)`);
  await eventually(async () => {
    expect(parseLsn((await value(db.source, slot)) ?? '')).toBeGreaterThan(confirmed + 1_000_000n);
    expect((await metric(running, 'heartbeat_applied_timestamp_seconds')).value).toBeGreaterThan((shown.value ?? NaN) + 1);
    // Not the position that was confirmed, which is far behind on purpose: what the target does not show.
    expect((await metric(running, 'replication_lag_bytes')).value).toBeLessThan(100_000);
  });
  await backToNearZero(running);
});

test.concurrent('stuck: grows by a second a second while keepalives and heartbeats keep coming, and ends with the cause', async () => {
  await using db = await withTables();
  await using running = startPipeline(db, QUICK);
  await running.caughtUp();
  await backToNearZero(running);
  await using lock = await locked(db);
  await sql(db.source, 'INSERT INTO t VALUES (1)');
  await eventually(async () => expect((await lagOf(running)).value).toBeGreaterThan(1));
  await growsSteadily(running);
  expect((await metric(running, 'replication_lag_bytes')).value).toBeGreaterThan(0);
  await lock.query('ROLLBACK');
  await backToNearZero(running);
});

test.concurrent('cut off from the source: grows, and is not near zero again before what was written meanwhile has come', async () => {
  await using db = await withTables();
  await using proxy = await startProxy(db.source.url);
  await using running = startPipeline(db, { ...QUICK, source: { url: proxy.url } });
  await running.caughtUp();
  await backToNearZero(running);
  proxy.open = false;
  proxy.cutAll();
  await eventually(async () => expect((await lagOf(running)).value).toBeGreaterThan(1));
  await growsSteadily(running);
  await using lock = await locked(db);
  await sql(db.source, 'INSERT INTO t VALUES (1)');
  proxy.open = true;
  await eventually(() => running.pipeline.model.status().source.connected && running.pipeline.model.state !== 'retrying', {
    timeout: 60_000,
  });
  await sleep(1000);
  expect((await lagOf(running)).value).toBeGreaterThan(2.5);
  await growsSteadily(running);
  await lock.query('ROLLBACK');
  await backToNearZero(running);
});

test.concurrent('after a downtime: the age of what the target shows, until the backlog has been worked off', async () => {
  await using db = await withTables();
  {
    await using running = startPipeline(db, QUICK);
    await running.caughtUp();
    await sql(db.source, 'INSERT INTO t VALUES (1)');
    await running.caughtUp();
  }
  await sleep(3000);
  await sql(db.source, 'INSERT INTO t VALUES (2)');
  await using lock = await locked(db);
  await using running = startPipeline(db, QUICK);
  await eventually(async () => expect((await lagOf(running)).value).toBeGreaterThan(3));
  await growsSteadily(running);
  const shown = await metric(running, 'heartbeat_applied_timestamp_seconds');
  expect(shown.to - (shown.value ?? NaN)).toBeGreaterThan(3);
  await lock.query('ROLLBACK');
  await backToNearZero(running);
});

test.concurrent('copying: the others are followed meanwhile; paused: grows', { timeout: 90_000 }, async () => {
  await using db = await withTables();
  await sql(db.source, 'INSERT INTO t VALUES (1)');
  await using lock = await locked(db);
  await using running = startPipeline(db, QUICK);
  await eventually(() => running.pipeline.model.table('public.t')?.state === 'copying');
  await backToNearZero(running);
  expect(running.pipeline.model.state).toBe('copying');
  await lock.query('ROLLBACK');
  await running.caughtUp();
  await backToNearZero(running);
  await running.pipeline.controls.pause('the test');
  await eventually(async () => expect((await lagOf(running)).value).toBeGreaterThan(1));
  await growsSteadily(running);
  await running.pipeline.controls.resume('the test');
  await backToNearZero(running);
});
