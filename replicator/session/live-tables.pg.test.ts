import { setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { ownServers, sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline, type RunningPipeline } from '../testing/run-pipeline.ts';

const WIDE = 20_000;

/** Writes to both tables until stopped, several sessions at once, some transactions long. */
async function load(db: TestDatabases, table: string): Promise<{ stop(): Promise<void> }> {
  const over = new AbortController();
  const worker = async (n: number): Promise<void> => {
    await using session = await db.source.session();
    for (let i = 0; !over.signal.aborted; i++) {
      const id = (i * 31 + n * 7) % 3000;
      await session.query('BEGIN');
      await session.query(`INSERT INTO ${table} VALUES (${100_000 + n * 1_000_000 + i}, ${i})`);
      await session.query(`UPDATE ${table} SET v = v + 1 WHERE id = ${id}`);
      await session.query(`INSERT INTO other VALUES (${n * 1_000_000 + i}, ${i})`);
      if (i % 20 === 0) await session.query('SELECT pg_sleep(0.15)');
      if (i % 3 === 0) await session.query(`DELETE FROM ${table} WHERE id = ${id + 3000}`);
      await session.query(i % 7 === 0 ? 'ROLLBACK' : 'COMMIT');
    }
  };
  const workers = [1, 2, 3].map(worker);
  return {
    async stop() {
      over.abort();
      await Promise.all(workers);
    },
  };
}

const DDL = (name: string) => `CREATE TABLE ${name} (id int PRIMARY KEY, v int)`;

async function prepare(): Promise<TestDatabases> {
  const db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, `${DDL('t')}; ${DDL('other')}`);
  await sql(db.source, `INSERT INTO t SELECT n, 0 FROM generate_series(1, ${WIDE}) n`);
  return db;
}

const state = (running: RunningPipeline, table: string) => running.pipeline.model.table(table)?.state;

function reaches(running: RunningPipeline, table: string, wanted: string): Promise<void> {
  return eventually(() => expect(running.pipeline.model.table(table)).toMatchObject({ state: wanted, error: null }), {
    timeout: 30_000,
  });
}

test('a table is copied again under load: nothing lost, nothing twice, and readers never see it empty', async () => {
  await using db = await prepare();
  await using running = startPipeline(db);
  await running.caughtUp();
  const traffic = await load(db, 't');
  let fewest = Infinity;
  const looking = new AbortController();
  const reader = (async () => {
    await using session = await db.target.session();
    while (!looking.signal.aborted) fewest = Math.min(fewest, Number(await value(session, 'SELECT count(*) FROM t')));
  })();
  for (let round = 0; round < 4; round++) {
    await running.pipeline.controls.resyncTable('public.t', 'test');
    await eventually(() => expect(state(running, 'public.t')).not.toBe('streaming'), { timeout: 10_000 });
    await reaches(running, 'public.t', 'streaming');
  }
  looking.abort();
  await reader;
  await traffic.stop();
  await running.caughtUp();
  await compareTables(db.source, db.target);
  expect(fewest).toBeGreaterThan(10_000);
  expect(await value(db.target, 'SELECT count(*) FROM pgfollow.spool')).toBe('0');
  expect(running.pipeline.model.status().problems).toEqual([]);
});

test('a table that appears is taken up within seconds, whoever was writing to it', async () => {
  await using db = await prepare();
  await sql(db.target, DDL('late'));
  await using running = startPipeline(db);
  await running.caughtUp();
  await using writer = await db.source.session();
  await sql(db.source, DDL('late'));
  await writer.query(`BEGIN; INSERT INTO late VALUES (1, 1)`);
  const traffic = await load(db, 'late');
  await eventually(() => expect(state(running, 'public.late')).toBeDefined(), { timeout: 10_000 });
  // What this one wrote before the table was published is not in the stream: the copy must wait for it.
  await writer.query('INSERT INTO late VALUES (2, 2)');
  await writer.query('COMMIT');
  await reaches(running, 'public.late', 'streaming');
  await traffic.stop();
  await running.caughtUp();
  await compareTables(db.source, db.target);
});

test('stopped in the middle of a copy or of draining, it goes on', async () => {
  await using db = await prepare();
  await sql(db.source, `INSERT INTO t SELECT n, 0 FROM generate_series(${WIDE + 1}, 90000) n`);
  const traffic = await load(db, 't');
  {
    await using running = startPipeline(db);
    await running.caughtUp();
    await running.pipeline.controls.resyncTable('public.t', 'test');
  }
  for (const wanted of ['copying', 'catching_up', 'copying', 'catching_up']) {
    await using running = startPipeline(db);
    await eventually(() => expect(running.pipeline.model.status().state).toMatch(/streaming|catching_up/), { timeout: 20_000 });
    await eventually(() => expect(state(running, 'public.t')).toMatch(new RegExp(`${wanted}|streaming`)), {
      timeout: 20_000,
      interval: 2,
    });
    if (state(running, 'public.t') === 'streaming')
      await running.pipeline.controls.resyncTable('public.t', 'test').catch(() => {});
  }
  await using running = startPipeline(db);
  // A killed backend is a lost connection like any other.
  await eventually(() => expect(running.pipeline.model.status().state).toBe('streaming'), { timeout: 20_000 });
  await sql(
    db.target,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'pgfollow%' AND datname = current_database()`,
  );
  await reaches(running, 'public.t', 'streaming');
  await traffic.stop();
  await running.caughtUp();
  await compareTables(db.source, db.target);
});

test.concurrent('a copy that failed is made again once nothing is in its way', async () => {
  await using db = await prepare();
  await sql(db.target, 'ALTER TABLE t ADD CHECK (id <> 777)');
  await using running = startPipeline(db);
  await eventually(() => expect(running.pipeline.model.status().state).toBe('streaming'), { timeout: 20_000 });
  expect(running.pipeline.model.table('public.t')).toMatchObject({ state: 'error', error: { code: 'COPY_FAILED' } });
  await sql(db.source, 'UPDATE t SET v = 9 WHERE id = 1; INSERT INTO other VALUES (1, 1)');
  await sql(db.target, 'ALTER TABLE t DROP CONSTRAINT t_id_check');
  await reaches(running, 'public.t', 'streaming');
  await running.caughtUp();
  await compareTables(db.source, db.target);
  expect(running.pipeline.model.status().problems).toEqual([]);
});

test.concurrent('removed, a table keeps its rows and gets no more; added again it is copied again', async () => {
  await using db = await prepare();
  {
    await using running = startPipeline(db);
    await running.caughtUp();
    await running.pipeline.controls.removeTable('public.t', 'test');
    await eventually(() => expect(state(running, 'public.t')).toBeUndefined(), { timeout: 10_000 });
    await sql(db.source, 'DELETE FROM t WHERE id > 10; INSERT INTO other VALUES (1, 1)');
    await running.caughtUp();
    expect(await value(db.target, 'SELECT count(*) FROM t')).toBe(String(WIDE));
    await expect(running.pipeline.controls.resyncTable('public.t', 'test')).rejects.toMatchObject({ code: 'NOT_POSSIBLE_NOW' });
  }
  // A choice outlives the process.
  await using running = startPipeline(db);
  await running.caughtUp();
  expect(state(running, 'public.t')).toBeUndefined();
  await running.pipeline.controls.addTable('public.t', 'test');
  await eventually(() => expect(state(running, 'public.t')).toBe('streaming'), { timeout: 20_000 });
  await sql(db.source, 'INSERT INTO t VALUES (900, 900)');
  await running.caughtUp();
  await compareTables(db.source, db.target);
});

test.concurrent('removed and added again at once, a table leaves and is copied again', async () => {
  await using db = await prepare();
  await using running = startPipeline(db);
  await running.caughtUp();
  const { controls } = running.pipeline;
  await controls.removeTable('public.t', 'test');
  expect(state(running, 'public.t')).toBeUndefined();
  await sql(db.source, 'DELETE FROM t WHERE id > 10');
  await controls.addTable('public.t', 'test');
  await reaches(running, 'public.t', 'streaming');
  await running.caughtUp();
  await compareTables(db.source, db.target);
});

test.concurrent('a new partition of a keyless root does not make writes fail for long', async () => {
  await using db = await prepare();
  const root =
    'CREATE TABLE root (id int, v int) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF root FOR VALUES FROM (0) TO (10)';
  await sql(db.source, `${root}; INSERT INTO root VALUES (1, 1)`);
  await sql(db.target, 'CREATE TABLE root (id int, v int)');
  await using running = startPipeline(db);
  await running.caughtUp();
  await sql(db.source, 'CREATE TABLE p2 PARTITION OF root FOR VALUES FROM (10) TO (20); INSERT INTO root VALUES (11, 1)');
  await eventually(async () => void (await sql(db.source, 'UPDATE root SET v = 2')), { timeout: 10_000 });
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.root');
});

test.concurrent('a commit that waits for a standby is in the copy or in the stream, never in neither', async () => {
  await using db = await ownServers();
  for (const side of [db.source, db.target]) await sql(side, `${DDL('t')}; ${DDL('other')}`);
  await sql(db.source, 'INSERT INTO t SELECT n, 0 FROM generate_series(1, 100) n');
  await using running = startPipeline(db);
  await running.caughtUp();
  await sql(db.source, `ALTER SYSTEM SET synchronous_standby_names = 'nobody'; `);
  await sql(db.source, 'SELECT pg_reload_conf()');
  // The checkpointer has to hear of it before any commit waits.
  await setTimeout(1000);
  await using session = await db.source.session();
  const waiting = session.query('INSERT INTO t VALUES (1000, 1)');
  waiting.catch(() => {});
  const waits = `SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE 'INSERT%'`;
  await eventually(async () => expect(await value(db.source, waits)).toBe('1'));
  // It is streamed and on the target, and still listed as running.
  await eventually(async () => expect(await value(db.target, 'SELECT count(*) FROM t WHERE id = 1000')).toBe('1'));
  await running.pipeline.controls.resyncTable('public.t', 'test');
  await eventually(() => expect(running.pipeline.model.table('public.t')?.state).not.toBe('streaming'));
  await setTimeout(1500);
  expect(running.pipeline.model.table('public.t')?.state).toBe('pending');
  await sql(db.source, 'ALTER SYSTEM RESET synchronous_standby_names');
  await sql(db.source, 'SELECT pg_reload_conf()');
  await waiting;
  await reaches(running, 'public.t', 'streaming');
  await running.caughtUp();
  await compareTables(db.source, db.target);
});
