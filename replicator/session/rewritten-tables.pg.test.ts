import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline, type RunningPipeline } from '../testing/run-pipeline.ts';

const TABLES = 'CREATE TABLE t (id int PRIMARY KEY, v int, note text); CREATE TABLE small (id int PRIMARY KEY, v int)';
const ROWS = `INSERT INTO t SELECT n, n, 'old' FROM generate_series(1, 1000) n; INSERT INTO small VALUES (1, 1)`;

/** Until it ends, nothing can be copied into the table. */
async function heldUp(db: TestDatabases, table: string) {
  const lock = await db.target.session();
  await lock.query(`BEGIN; LOCK TABLE ${table} IN SHARE MODE`);
  return lock;
}

const state = (running: RunningPipeline, table: string) => running.pipeline.model.table(table)?.state;
const told = (running: RunningPipeline) => running.pipeline.events.after().filter(({ code }) => code === 'TABLE_REWRITTEN');

async function isCopying(running: RunningPipeline): Promise<void> {
  await eventually(() => state(running, 'public.small') === 'streaming' && state(running, 'public.t') === 'copying');
}

// Each leaves nothing of the snapshot's rows to be read, or does so only to the eye of whoever looks at files.
test.concurrent.for([
  { what: 'written anew by ALTER TABLE', statement: 'ALTER TABLE t ALTER v TYPE int USING v + 0' },
  { what: 'given a column whose default differs row by row', statement: 'ALTER TABLE t ADD more uuid DEFAULT gen_random_uuid()' },
  { what: 'emptied', statement: 'TRUNCATE t' },
  {
    what: 'emptied and filled again',
    statement: `TRUNCATE t; INSERT INTO t SELECT n, -n, 'new' FROM generate_series(500, 1500) n`,
  },
  { what: 'written anew by VACUUM FULL', statement: 'VACUUM FULL t' },
])('$what between the snapshot and its copy', async ({ statement }) => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, TABLES);
  await sql(db.target, 'ALTER TABLE t ADD more uuid');
  await sql(db.source, ROWS);
  await using lock = await heldUp(db, 't');
  await using running = startPipeline(db, { apply: { onMissing: 'error' } });
  await isCopying(running);
  await sql(db.source, 'UPDATE t SET v = v + 1 WHERE id < 10; DELETE FROM t WHERE id BETWEEN 20 AND 30');
  // One by one: VACUUM wants no transaction around it.
  for (const each of statement.split('; ')) await sql(db.source, each);
  await sql(db.source, `INSERT INTO t (id, v) VALUES (5000, 1); UPDATE t SET note = 'newer' WHERE id = 5000`);
  await lock.query('ROLLBACK');
  await eventually(() => expect(state(running, 'public.t')).toBe('streaming'), { timeout: 30_000 });
  await running.caughtUp();
  expect(await value(db.target, 'SELECT count(*) FROM t')).toBe(await value(db.source, 'SELECT count(*) FROM t'));
  if (!statement.includes('uuid')) await sql(db.target, 'ALTER TABLE t DROP more');
  await compareTables(db.source, db.target);
  expect(told(running)).toMatchObject([{ level: 'warn', table: 'public.t' }]);
  expect(running.pipeline.model.status().problems).toEqual([]);
  expect(running.pipeline.model.table('public.t')?.conflicts).toEqual({ insertExists: 0, updateMissing: 0, deleteMissing: 0 });
});

test.concurrent('a table that is copied again, written anew meanwhile: no row of it is missing at any time', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, TABLES);
  await sql(db.source, ROWS);
  await using running = startPipeline(db);
  await running.caughtUp();
  await using lock = await db.source.session();
  await lock.query('BEGIN; LOCK TABLE t');
  await running.pipeline.controls.resyncTable('public.t', 'test');
  // The snapshot is taken, and the copy waits for the table.
  await eventually(
    async () => (await value(db.source, `SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass AND NOT granted`)) === '1',
    { timeout: 20_000 },
  );
  await lock.query('ALTER TABLE t ALTER v TYPE int USING v + 0; COMMIT');
  const counts = new Set<string>();
  await eventually(
    async () => {
      counts.add(String(await value(db.target, 'SELECT count(*) FROM t')));
      expect(state(running, 'public.t')).toBe('streaming');
    },
    { timeout: 30_000 },
  );
  await compareTables(db.source, db.target);
  expect([...counts]).toEqual(['1000']);
  expect(told(running)).toHaveLength(1);
});

test.concurrent('one partition of many is emptied, another one appears: the first is noticed, the second is no matter', async () => {
  await using db = await testDatabases();
  const tree = `CREATE TABLE t (id int, v int, note text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
    CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (500); CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM (500) TO (2000);
    CREATE TABLE small (id int PRIMARY KEY, v int)`;
  await sql(db.source, tree);
  await sql(db.target, TABLES);
  await sql(db.source, ROWS);
  await using lock = await heldUp(db, 't');
  await using running = startPipeline(db);
  await isCopying(running);
  await sql(db.source, 'CREATE TABLE t_3 PARTITION OF t FOR VALUES FROM (2000) TO (3000); INSERT INTO t VALUES (2500, 1)');
  await sql(db.source, 'TRUNCATE t_2');
  await lock.query('ROLLBACK');
  await eventually(() => expect(state(running, 'public.t')).toBe('streaming'), { timeout: 30_000 });
  await running.caughtUp();
  await compareTables(db.source, db.target);
  expect(told(running)).toHaveLength(1);
});

test.concurrent('a table gets a column while the slot waits for an old transaction: what is in it is copied', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, TABLES);
  await sql(db.source, ROWS);
  await using old = await db.source.session();
  await old.query('BEGIN; SELECT pg_current_xact_id()');
  await using running = startPipeline(db);
  const codes = () => running.pipeline.model.status().problems.map(({ code }) => code);
  await eventually(() => expect(codes()).toContain('SLOT_WAITING'), { timeout: 20_000 });
  for (const side of [db.source, db.target]) await sql(side, 'ALTER TABLE t ADD more int');
  await sql(db.source, 'UPDATE t SET more = id');
  await old.query('COMMIT');
  await eventually(() => expect(state(running, 'public.t')).toBe('streaming'), { timeout: 30_000 });
  await running.caughtUp();
  await compareTables(db.source, db.target);
  expect(told(running)).toHaveLength(1);
});
