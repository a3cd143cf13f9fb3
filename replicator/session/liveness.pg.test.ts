import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { parseLsn, type Lsn } from '../postgres/lsn.ts';
import { compareTables } from '../testing/compare.ts';
import { ownServers, sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startLoad } from '../testing/load.ts';
import { spawnReplicator } from '../testing/replicator-process.ts';
import { startProxy, type TcpProxy } from '../testing/tcp-proxy.ts';
import { startPipeline, type RunningPipeline } from '../testing/run-pipeline.ts';

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY, filler text)';

// First, since it takes the longest.
test.concurrent(
  'a server that does not answer holds up no stop, and no status to the other one',
  { timeout: 60_000 },
  async () => {
    await using db = await ownServers();
    for (const side of [db.source, db.target]) await sql(side, TABLE);
    await sql(db.source, `ALTER DATABASE "${db.source.name}" SET wal_sender_timeout = '3s'`);
    for (const side of ['source', 'target'] as const) {
      await using replicator = await spawnReplicator(db);
      await replicator.streaming();
      const pids = await sql(db[side], `SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'pgfollow%'`);
      for (const { pid } of pids) process.kill(Number(pid), 'SIGSTOP');
      try {
        await sql(db.source, `INSERT INTO t VALUES (${pids.length + (side === 'source' ? 100 : 200)}, 'x')`);
        const walsender = await walsenderOf(db);
        await sleep(side === 'target' ? 6000 : 1500);
        if (side === 'target') expect(await walsenderOf(db)).toBe(walsender);
        expect(await replicator.stop()).toMatchObject({ exitCode: 0, ms: expect.toSatisfy((ms: number) => ms < 9000) });
      } finally {
        for (const { pid } of pids) process.kill(Number(pid), 'SIGCONT');
      }
    }
  },
);

test.concurrent(
  'the source keeps the connection while the target waits for a lock, with reading held by the backlog',
  { timeout: 60_000 },
  async () => {
    await using db = await impatientSource();
    // In parts it would go to the disk instead.
    await using running = startPipeline(db, { apply: { maxBatchBytes: '64kB', streaming: 'off' } });
    await running.caughtUp();
    const walsender = await walsenderOf(db);
    await using lock = await db.target.session();
    await lock.query('BEGIN; LOCK TABLE t');
    await backlog(db);
    await sleep(7000);
    const { bytes, limitBytes } = running.pipeline.model.stream.queueReading;
    expect(bytes).toBeGreaterThan(limitBytes);
    expect(await walsenderOf(db)).toBe(walsender);
    await lock.query('ROLLBACK');
    await running.caughtUp();
    expect(await walsenderOf(db)).toBe(walsender);
    await compareTables(db.source, db.target, 'public.t');
    expect(running.pipeline.model.status().problems).toEqual([]);
  },
);

test.concurrent(
  'paused: the connection stays, nothing is applied or acknowledged, the lag grows; also over a restart',
  { timeout: 60_000 },
  async () => {
    await using db = await impatientSource();
    const settings = { apply: { maxBatchBytes: '64kB' } };
    let confirmed: Lsn;
    {
      await using running = startPipeline(db, settings);
      await running.caughtUp();
      await running.pipeline.controls.pause('the test');
      expect(running.pipeline.model.state).toBe('paused');
      const walsender = await walsenderOf(db);
      confirmed = await confirmedFlush(db);
      await backlog(db);
      await sleep(5000);
      expect(await walsenderOf(db)).toBe(walsender);
      expect(running.pipeline.model.stream.lag().seconds).toBeGreaterThan(4);
      expect(running.pipeline.model.status().lag.bytes).toBeGreaterThan(0);
    }
    await using again = startPipeline(db, settings);
    await eventually(() => again.pipeline.model.state === 'paused');
    await sleep(500);
    expect(await value(db.target, 'SELECT count(*) FROM t')).toBe('0');
    expect((await confirmedFlush(db)) - confirmed).toBeLessThan(64 * 1024);
    await again.pipeline.controls.resume('the test');
    await again.caughtUp();
    await compareTables(db.source, db.target, 'public.t');
    expect(again.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
    const codes = again.pipeline.events.after().map((event) => event.code);
    expect(codes.filter((code) => code === 'PAUSED' || code === 'RESUMED')).toEqual(['PAUSED', 'RESUMED']);
  },
);

test.concurrent('a pause waits for the end of a transaction that is half written', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, TABLE);
  await using running = startPipeline(db, { apply: { maxBatchBytes: '64kB' } });
  await running.caughtUp();
  await using lock = await db.target.session();
  await lock.query('BEGIN; LOCK TABLE t IN SHARE MODE');
  await backlog(db);
  await eventually(
    async () => (await value(db.target, `SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 't'::regclass`)) === '1',
  );
  const pausing = running.pipeline.controls.pause('the test');
  await lock.query('ROLLBACK');
  await pausing;
  const open = `SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgfollow%apply' AND xact_start IS NOT NULL AND datname = current_database()`;
  await eventually(async () => (await value(db.target, open)) === '0');
  expect(['0', '2000']).toContain(await value(db.target, 'SELECT count(*) FROM t'));
});

test.concurrent('an idle database and a busy one that is not followed move the slot', { timeout: 60_000 }, async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, TABLE);
  await sql(db.source, 'CREATE TABLE elsewhere (i int)');
  await using running = startPipeline(db, { tables: { exclude: ['public.elsewhere'] } });
  await running.caughtUp();
  for (const busy of [false, true]) {
    await using load = startLoad(db.source, busy ? 1 : 0, (session) =>
      session.query('INSERT INTO elsewhere VALUES (1)').then(() => sleep(5)),
    );
    const here = await walEnd(db);
    await eventually(() => (applied(running) ?? 0n) >= here, { timeout: 5000 });
    await eventually(async () => (await confirmedFlush(db)) >= here, { timeout: 15_000 });
    await load.stop();
  }
  expect(running.pipeline.model.status().totals.insert).toBe(0);
});

test.concurrent.each(['source', 'target'] as const)(
  'the %s goes away and comes back: retrying, the lag grows, then streaming without anybody doing anything',
  { timeout: 60_000 },
  async (side) => {
    await using db = await ownServers();
    for (const each of [db.source, db.target]) await sql(each, TABLE);
    await using running = startPipeline(db);
    await running.caughtUp();
    const { model } = running.pipeline;
    await db[side].query('SELECT 1');
    const startedAt = performance.now();
    await db[side].server?.stop();
    // A walsender that nobody answers would hold up the source's shutdown.
    expect(performance.now() - startedAt).toBeLessThan(5000);
    await eventually(() => model.state === 'retrying');
    const code = side === 'source' ? 'SOURCE_UNREACHABLE' : 'TARGET_UNREACHABLE';
    await eventually(() => model.status().problems.some((problem) => problem.code === code));
    expect(model.status()[side]).toMatchObject({ connected: false });
    if (side === 'target') await sql(db.source, `INSERT INTO t VALUES (1)`);
    await sleep(4000);
    expect(model.stream.lag().seconds).toBeGreaterThan(3);
    await db[side].server?.start();
    await sql(db.source, `INSERT INTO t VALUES (2)`);
    await running.caughtUp();
    await eventually(() => model.state === 'streaming');
    await compareTables(db.source, db.target, 'public.t');
    expect(model.status()).toMatchObject({ problems: [], source: { connected: true }, target: { connected: true } });
    expect(model.stream.lag().seconds).toBeLessThan(3);
  },
);

test.concurrent('a stop is clean and quick while the target waits for a lock', { timeout: 60_000 }, async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, TABLE);
  await using replicator = await spawnReplicator(db);
  await replicator.streaming();
  await using lock = await db.target.session();
  await lock.query('BEGIN; LOCK TABLE t');
  await sql(db.source, `INSERT INTO t VALUES (1, 'one')`);
  await eventually(async () => (await locksWaiting(db)) === '1');
  expect(await replicator.stop()).toMatchObject({ exitCode: 0, ms: expect.toSatisfy((ms: number) => ms < 9000) });
  expect(await locksWaiting(db)).toBe('0');
  await lock.query('ROLLBACK');
  expect(await value(db.target, 'SELECT count(*) FROM t')).toBe('0');
});

test.concurrent('a stop is clean and quick during a long copy, and leaves nobody waiting', { timeout: 60_000 }, async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, TABLE);
  await sql(db.source, `INSERT INTO t SELECT n, repeat('x', 1000) FROM generate_series(1, 200000) n`);
  await using replicator = await spawnReplicator(db);
  await eventually(
    async () =>
      Number(await value(db.target, 'SELECT count(*) FROM pg_stat_progress_copy WHERE datname = current_database()')) > 0,
    { timeout: 30_000, interval: 5 },
  );
  // 0 only when it was done within the ten seconds that a stop may take.
  expect(await replicator.stop()).toMatchObject({ exitCode: 0 });
  for (const side of [db.source, db.target]) {
    await eventually(
      async () =>
        (await value(side, `SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgfollow ${db.name}%'`)) === '0',
    );
  }
});

test.concurrent('started before its databases: retrying, then streaming', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, TABLE);
  await using source = await startProxy(db.source.url);
  await using target = await startProxy(db.target.url);
  source.open = false;
  target.open = false;
  await using running = startPipeline(db, { source: { url: source.url }, target: { url: target.url } });
  const { model } = running.pipeline;
  // Both are tried at once: whichever refuses first is told.
  await eventually(() => model.status().problems.some((problem) => problem.code.endsWith('_UNREACHABLE')));
  target.open = true;
  await eventually(() => model.status().problems.some((problem) => problem.code === 'SOURCE_UNREACHABLE'));
  expect(model.state).toBe('retrying');
  source.open = true;
  await running.caughtUp();
  expect(model.status()).toMatchObject({ state: 'streaming', problems: [] });
});

// Alone: nobody on the shared server gets a slot while a transaction is open that has written.
test('a stop while the slot waits for an old transaction leaves no walsender behind', { timeout: 60_000 }, async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, TABLE);
  await using old = await db.source.session();
  await old.query(`BEGIN; INSERT INTO t VALUES (1, 'old')`);
  await using replicator = await spawnReplicator(db);
  // It waits for those of other databases too, and names the oldest.
  await eventually(
    async () =>
      expect((await replicator.status()).problems).toMatchObject([
        { code: 'SLOT_WAITING', message: expect.stringContaining(`pid ${old.client.processID}`) },
      ]),
    { timeout: 30_000 },
  );
  expect(await replicator.stop()).toMatchObject({ exitCode: 0, ms: expect.toSatisfy((ms: number) => ms < 4000) });
  await eventually(async () => (await creators(db)) === 0, { timeout: 2000 });
  expect(await value(db.source, 'SELECT count(*) FROM pg_replication_slots WHERE database = current_database()')).toBe('0');

  // Killed, it could not cancel anything: whoever comes next does.
  await using killed = await spawnReplicator(db);
  await eventually(async () => (await creators(db)) === 1);
  await killed.kill();
  await sleep(300);
  expect(await creators(db)).toBe(1);
  await using next = await spawnReplicator(db);
  await eventually(async () => (await next.status()).problems.some((problem) => problem.code === 'SLOT_WAITING'));
  expect(await creators(db)).toBe(1);
  await old.query('COMMIT');
  await next.streaming();
  await compareTables(db.source, db.target, 'public.t');
  await next.stop();
});

/** Databases whose source ends a replication connection that says nothing for 3 s. */
async function impatientSource(): Promise<TestDatabases> {
  const db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, TABLE);
  await sql(db.source, `ALTER DATABASE "${db.source.name}" SET wal_sender_timeout = '3s'`);
  return db;
}

/** 2 MB in one transaction: more than may wait in memory with maxBatchBytes at 64 kB. */
async function backlog(db: TestDatabases): Promise<void> {
  await sql(db.source, `INSERT INTO t SELECT n, repeat('x', 1000) FROM generate_series(1, 2000) n`);
}

async function walsenderOf(db: TestDatabases): Promise<string | null | undefined> {
  return value(db.source, 'SELECT active_pid FROM pg_replication_slots WHERE slot_name = $1', [db.name]);
}

async function confirmedFlush(db: TestDatabases): Promise<Lsn> {
  return parseLsn(
    (await value(db.source, 'SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = $1', [db.name])) ?? '',
  );
}

async function walEnd(db: TestDatabases): Promise<Lsn> {
  return parseLsn((await value(db.source, 'SELECT pg_current_wal_insert_lsn()')) ?? '');
}

function applied(running: RunningPipeline): Lsn | null {
  const { applied: text } = running.pipeline.model.status().position;
  return text === null ? null : parseLsn(text);
}

async function locksWaiting(db: TestDatabases): Promise<string | null | undefined> {
  return value(db.target, `SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 't'::regclass`);
}

/** Walsenders that create a slot of this database. */
async function creators(db: TestDatabases): Promise<number> {
  return Number(
    await value(
      db.source,
      `SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND query LIKE 'CREATE_REPLICATION_SLOT%' AND state = 'active'`,
      [db.source.name],
    ),
  );
}

/** Connections with these names have been lost from here on; whoever comes anew is heard. */
async function lose(proxy: TcpProxy, startup: RegExp, count: number): Promise<void> {
  const lost = new Set<unknown>();
  proxy.toClient = (connection, bytes) => {
    if (startup.test(connection.startup) && lost.size < count) lost.add(connection);
    return lost.has(connection) ? null : bytes;
  };
  await eventually(() => expect(lost.size).toBe(count), { timeout: 30_000 });
}

test.concurrent.for([
  { side: 'source', what: 'the stream', startup: / stream\0/, count: 1 },
  { side: 'source', what: 'the stream and what goes to the source', startup: / (?:stream|control)\0/, count: 2 },
  { side: 'source', what: 'what goes to the source', startup: / control\0/, count: 1 },
  { side: 'target', what: 'what writes to the target', startup: / apply\0/, count: 1 },
  { side: 'target', what: 'what else goes to the target', startup: / control\0/, count: 1 },
] as const)('$what is lost without a word: connected anew', { timeout: 120_000 }, async ({ side, startup, count }) => {
  await using db = await impatientSource();
  await using proxy = await startProxy(db[side].url);
  await using running = startPipeline(db, { [side]: { url: proxy.url }, heartbeat: { interval: '2s' } });
  await running.caughtUp();
  const losing = lose(proxy, startup, count);
  // Each kind of connection is used by this: the stream, the applier, the acknowledgement, a heartbeat.
  await sql(db.source, `INSERT INTO t VALUES (1001, 'x')`);
  await losing;
  const code = side === 'source' ? 'SOURCE_UNREACHABLE' : 'TARGET_UNREACHABLE';
  await eventually(() => expect(running.pipeline.events.after().map((event) => event.code)).toContain(code), {
    timeout: 60_000,
  });
  await sql(db.source, `INSERT INTO t VALUES (1002, 'x')`);
  await running.caughtUp(60_000);
  await compareTables(db.source, db.target, 'public.t');
});
