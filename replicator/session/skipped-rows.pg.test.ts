import { expect, test } from 'vitest';
import { sql, testDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startCaughtUp, startPipeline } from '../testing/run-pipeline.ts';

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY, n int)';

test('every row that is not applied as it was sent is counted, and told with its key', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, TABLE);
  await sql(db.source, 'INSERT INTO t SELECT n, 0 FROM generate_series(1, 40) n');
  await using running = startPipeline(db, { apply: { onConflict: 'source_wins' } });
  await running.caughtUp();
  const { model, events } = running.pipeline;

  await sql(db.target, 'DELETE FROM t WHERE id IN (3, 5)');
  await sql(db.source, 'UPDATE t SET n = 1 WHERE id IN (3, 4)');
  await sql(db.source, 'DELETE FROM t WHERE id = 5');
  await running.caughtUp();
  expect(model.table('public.t')?.conflicts).toEqual({ insertExists: 0, updateMissing: 1, deleteMissing: 1 });
  // Within a minute one event tells of all, so it has to name each.
  const told = () => events.after().findLast((event) => event.code === 'ROW_MISSING');
  expect(told()).toMatchObject({
    level: 'warn',
    table: 'public.t',
    message: expect.stringContaining('2 changes found no row on the target: UPDATE id=3; DELETE id=5.'),
  });

  await sql(db.target, 'DELETE FROM t WHERE id > 10');
  await sql(db.source, 'UPDATE t SET n = 2 WHERE id > 10');
  await running.caughtUp();
  expect(model.table('public.t')?.conflicts).toEqual({ insertExists: 0, updateMissing: 31, deleteMissing: 1 });
  expect(told()?.message).toMatch(
    /^32 changes found no row on the target: UPDATE id=3; DELETE id=5; UPDATE id=11; .*; and 12 more\./,
  );

  await sql(db.target, 'INSERT INTO t VALUES (50, 7)');
  await sql(db.source, 'INSERT INTO t VALUES (50, 8)');
  await running.caughtUp();
  expect(model.table('public.t')?.conflicts.insertExists).toBe(1);
  expect(events.after().findLast((event) => event.code === 'ROW_EXISTS')?.message).toBe(
    'A row was on the target already: INSERT id=50.',
  );
  expect(await sql(db.target, 'SELECT n FROM t WHERE id = 50')).toEqual([{ n: '8' }]);
  await eventually(async () => (await sql(db.target, `SELECT 1 FROM pgfollow.event WHERE code = 'ROW_EXISTS'`)).length === 1);
});

test('a lone change of a table without a key that finds no row is told, and one that is refused stops its table alone', async () => {
  await using db = await testDatabases();
  const tables = 'CREATE TABLE k (id int, n int); CREATE TABLE t (id int PRIMARY KEY)';
  await sql(db.source, `${tables}; INSERT INTO k SELECT n, 0 FROM generate_series(1, 4) n`);
  await sql(db.target, tables);
  await using running = await startCaughtUp(db);
  const { model } = running.pipeline;
  await sql(db.target, 'DELETE FROM k WHERE id < 3');
  await sql(db.source, 'UPDATE k SET n = 1 WHERE id = 1');
  await running.caughtUp();
  await sql(db.source, 'DELETE FROM k WHERE id = 2');
  await running.caughtUp();
  expect(model.table('public.k')?.conflicts).toEqual({ insertExists: 0, updateMissing: 1, deleteMissing: 1 });

  await sql(db.target, 'ALTER TABLE k ADD CONSTRAINT small CHECK (n < 10)');
  await sql(db.source, 'UPDATE k SET n = 100 WHERE id = 3; INSERT INTO t VALUES (1)');
  await running.caughtUp();
  expect(model.table('public.k')).toMatchObject({
    state: 'error',
    error: { code: 'APPLY_FAILED', message: expect.stringContaining('UPDATE of public.k') },
  });
  expect(await sql(db.target, 'SELECT id FROM t')).toEqual([{ id: '1' }]);
});
