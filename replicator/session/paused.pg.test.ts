import { expect, test } from 'vitest';
import { parseLsn } from '../postgres/lsn.ts';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startCaughtUp, startPipeline, type RunningPipeline } from '../testing/run-pipeline.ts';

async function prepare(): Promise<TestDatabases> {
  const db = await testDatabases();
  const tables = 'CREATE TABLE t (id int PRIMARY KEY, v int); CREATE TABLE other (id int PRIMARY KEY, v int)';
  for (const side of [db.source, db.target]) await sql(side, tables);
  await sql(db.source, 'INSERT INTO t SELECT n, 0 FROM generate_series(1, 100) n; INSERT INTO other VALUES (1, 0)');
  return db;
}

const state = (running: RunningPipeline, table: string) => running.pipeline.model.table(table)?.state;
const count = (db: TestDatabases, what: string) => value(db.target, `SELECT count(*) FROM ${what}`);
const AFTER_RESUME = expect.stringContaining('`pgfollow resume`') as string;

/** Paused, with a change of each table that has arrived and is not applied. */
async function paused(db: TestDatabases, running: RunningPipeline): Promise<void> {
  await running.pipeline.controls.pause('test');
  await sql(db.source, 'INSERT INTO t VALUES (1000, 1)');
  await sql(db.source, 'INSERT INTO other VALUES (1000, 1)');
  const written = parseLsn((await value(db.source, 'SELECT pg_current_wal_insert_lsn()')) ?? '');
  await eventually(() => parseLsn(running.pipeline.model.status().position.received ?? '0/0') >= written);
}

async function resumed(db: TestDatabases, running: RunningPipeline): Promise<void> {
  await running.pipeline.controls.resume('test');
  await eventually(() => expect(state(running, 'public.t')).toBe('streaming'), { timeout: 30_000 });
  await running.caughtUp();
  await compareTables(db.source, db.target);
}

test.concurrent('while it is paused a table is removed at once, and can be added again, which is copied after the pause', async () => {
  await using db = await prepare();
  await using running = await startCaughtUp(db);
  const { controls } = running.pipeline;
  await paused(db, running);
  expect(await controls.removeTable('public.t', 'test')).toBeNull();
  expect(state(running, 'public.t')).toBeUndefined();
  await sql(db.source, 'DELETE FROM t WHERE id <= 10');
  expect(await controls.addTable('public.t', 'test')).toEqual(AFTER_RESUME);
  await eventually(() => expect(state(running, 'public.t')).toBe('pending'));
  await expect(controls.addTable('public.t', 'test')).rejects.toMatchObject({ code: 'NOT_POSSIBLE_NOW' });
  expect([await count(db, 't'), await count(db, 'other')]).toEqual(['100', '1']);
  expect(running.pipeline.model.status()).toMatchObject({ state: 'paused', problems: [] });
  await resumed(db, running);
});

test.concurrent('a table that was removed while it was paused has left for good, and gets nothing of what had arrived', async () => {
  await using db = await prepare();
  {
    await using running = await startCaughtUp(db);
    await paused(db, running);
    await running.pipeline.controls.removeTable('public.t', 'test');
  }
  await using running = startPipeline(db);
  await eventually(() => expect(running.pipeline.model.status()).toMatchObject({ state: 'paused', tables: { total: 1 } }));
  await running.pipeline.controls.resume('test');
  await eventually(async () => expect(await count(db, 'other')).toBe('2'));
  expect(await count(db, 't')).toBe('100');
});

test.concurrent('what is to be copied again while it is paused is pending at once, and copied after the pause', async () => {
  await using db = await prepare();
  await using running = await startCaughtUp(db);
  const { controls } = running.pipeline;
  await sql(db.target, 'DELETE FROM t WHERE id <= 10');
  await paused(db, running);
  expect(await controls.resyncTable('public.t', 'test')).toEqual(AFTER_RESUME);
  await eventually(() => expect(state(running, 'public.t')).toBe('pending'));
  expect(await count(db, 't')).toBe('90');
  await resumed(db, running);
});

test.concurrent('a table in error that is to be tried again while it is paused is tried after the pause', async () => {
  await using db = await prepare();
  await sql(db.target, 'ALTER TABLE t ADD CHECK (v < 5)');
  await using running = await startCaughtUp(db);
  const { controls } = running.pipeline;
  await sql(db.source, 'UPDATE t SET v = 7 WHERE id = 1');
  await eventually(() => expect(state(running, 'public.t')).toBe('error'));
  await paused(db, running);
  await sql(db.target, 'ALTER TABLE t DROP CONSTRAINT t_v_check');
  expect(await controls.retryTable('public.t', 'test')).toEqual(AFTER_RESUME);
  await expect(controls.retryTable('public.other', 'test')).rejects.toMatchObject({ code: 'NOT_POSSIBLE_NOW' });
  expect(await count(db, 't WHERE v = 7')).toBe('0');
  await resumed(db, running);
});

test.concurrent('what a table that was removed waits for is said, and that it is followed is not held against who adds it again', async () => {
  await using db = await prepare();
  await using running = await startCaughtUp(db);
  const { controls } = running.pipeline;
  await using locker = await db.target.session();
  await locker.query('BEGIN; LOCK TABLE other');
  await sql(db.source, 'INSERT INTO other VALUES (2, 2)');
  await eventually(async () =>
    expect(
      await count(
        db,
        `pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      ),
    ).toBe('1'),
  );
  expect(await controls.removeTable('public.t', 'test')).toContain('It leaves once');
  expect(state(running, 'public.t')).toBe('streaming');
  await sql(db.source, 'DELETE FROM t WHERE id <= 10');
  expect(await controls.addTable('public.t', 'test')).toBeNull();
  await locker.query('COMMIT');
  await eventually(async () => expect(await count(db, 't')).toBe('90'), { timeout: 30_000 });
  await running.caughtUp();
  await compareTables(db.source, db.target);
});
