import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline, type RunningPipeline } from '../testing/run-pipeline.ts';

async function prepare(): Promise<TestDatabases> {
  const db = await testDatabases();
  for (const side of [db.source, db.target])
    await sql(side, 'CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY)');
  await sql(db.source, 'INSERT INTO t SELECT generate_series(1, 20)');
  return db;
}

const state = (running: RunningPipeline, table: string) => running.pipeline.model.table(table)?.state;

test.concurrent('a table that was added is known as soon as that is answered, so that whoever waits waits for it too', async () => {
  await using db = await prepare();
  await using running = startPipeline(db);
  await running.caughtUp();
  const { controls } = running.pipeline;
  await controls.removeTable('public.t', 'a test');
  await sql(db.source, 'DELETE FROM t WHERE id > 10');
  await controls.addTable('public.t', 'a test');
  expect(state(running, 'public.t')).toBeDefined();
  await running.caughtUp();
  await compareTables(db.source, db.target);
});

test.concurrent('the last table that is followed is not removed by command: none could be added any more', async () => {
  await using db = await prepare();
  await using running = startPipeline(db);
  await running.caughtUp();
  const { controls } = running.pipeline;
  await controls.removeTable('public.other', 'a test');
  await expect(controls.removeTable('public.t', 'a test')).rejects.toMatchObject({
    code: 'NOT_POSSIBLE_NOW',
    message: 'public.t is the only table that is followed.',
  });
  await controls.addTable('public.other', 'a test');
  await controls.removeTable('public.t', 'a test');
  await running.caughtUp();
  expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', tables: { total: 1 } });
});

test.concurrent('where only removed tables are left, it is said how they come back', async () => {
  await using db = await prepare();
  await using running = startPipeline(db);
  await running.caughtUp();
  await running.pipeline.controls.removeTable('public.t', 'a test');
  await sql(db.source, 'DELETE FROM t WHERE id > 15; DROP TABLE other');
  const problem = () => running.pipeline.model.status().problems.find(({ code }) => code === 'NO_TABLES');
  await eventually(() => expect(problem()?.message).toContain('removed by command matches (public.t)'), { timeout: 20_000 });
  const statement = /^DELETE .*;$/m.exec(problem()?.remedy ?? '')?.[0] ?? 'none';
  await sql(db.target, statement);
  await eventually(() => expect(state(running, 'public.t')).toBe('streaming'), { timeout: 30_000 });
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.t');
});

test.concurrent('a table that cannot be followed by itself is not said to be', async () => {
  await using db = await prepare();
  await sql(db.source, 'CREATE TABLE root (id int PRIMARY KEY) PARTITION BY RANGE (id)');
  await sql(db.source, 'CREATE TABLE part PARTITION OF root FOR VALUES FROM (0) TO (10)');
  await using running = startPipeline(db);
  await running.caughtUp();
  const { controls } = running.pipeline;
  const refused = { code: 'NOT_POSSIBLE_NOW', remedy: expect.stringContaining('pgfollow add public.part --dry-run') };
  await expect(controls.addTable('public.part', 'a test')).rejects.toMatchObject(refused);
  await controls.removeTable('public.root', 'a test');
  await expect(controls.addTable('public.part', 'a test')).rejects.toMatchObject(refused);
  expect(await sql(db.target, 'SELECT source_table, followed FROM pgfollow.table_choice')).toEqual([
    { source_table: 'root', followed: 'f' },
  ]);
});

test.concurrent('with publications that are used as they are, a command takes up again what one has removed, and nothing else', async () => {
  await using db = await prepare();
  await sql(db.source, `CREATE PUBLICATION ${db.name}_own FOR TABLE t, other; CREATE TABLE stranger (id int PRIMARY KEY)`);
  await using running = startPipeline(db, { publication: { managed: false, names: [`${db.name}_own`] } });
  await running.caughtUp();
  const { controls } = running.pipeline;
  await controls.removeTable('public.t', 'a test');
  await sql(db.source, 'DELETE FROM t WHERE id > 10');
  expect(await controls.planTable('public.t')).toMatchObject({ possible: false });
  await controls.addTable('public.t', 'a test');
  await running.caughtUp();
  expect(await value(db.target, 'SELECT count(*) FROM t')).toBe('10');
  const refused = { code: 'NOT_POSSIBLE_NOW', message: expect.stringContaining('publication.managed: false') };
  await expect(controls.addTable('public.stranger', 'a test')).rejects.toMatchObject(refused);
  await expect(controls.planTable('public.stranger')).rejects.toMatchObject(refused);
  // Nor does it come back where it is not published any more.
  await controls.removeTable('public.t', 'a test');
  await sql(db.source, `ALTER PUBLICATION ${db.name}_own DROP TABLE t`);
  await expect(controls.addTable('public.t', 'a test')).rejects.toMatchObject(refused);
});
