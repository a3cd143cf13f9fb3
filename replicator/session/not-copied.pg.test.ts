import { expect, test } from 'vitest';
import { sql, testDatabases, value } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline, type RunningPipeline } from '../testing/run-pipeline.ts';

const NOT_COPIED = { snapshot: { copy: false } };

const told = (running: RunningPipeline) => running.pipeline.events.after(0).filter(({ code }) => code === 'TABLE_NOT_COPIED');

test('with snapshot.copy: false a table that comes back is not copied, and it is said what may be missing', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, 'CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int)');
  for (const side of [db.source, db.target]) await sql(side, 'INSERT INTO t VALUES (1), (2)');
  {
    await using running = startPipeline(db, NOT_COPIED);
    await running.caughtUp();
    // At the beginning that is what it says.
    expect(told(running)).toEqual([]);
  }
  {
    await using running = startPipeline(db, { ...NOT_COPIED, tables: { exclude: ['public.t'] } });
    await running.caughtUp();
    await sql(db.source, 'DELETE FROM t WHERE id = 1');
    await running.caughtUp();
  }
  await using running = startPipeline(db, NOT_COPIED);
  await eventually(() => expect(told(running)).toHaveLength(1), { timeout: 20_000 });
  expect(told(running)).toMatchObject([
    { level: 'warn', table: 'public.t', remedy: expect.stringContaining('pgfollow validate') },
  ]);
  await sql(db.source, 'INSERT INTO t VALUES (3)');
  await running.caughtUp();
  expect(await value(db.target, 'SELECT string_agg(id::text, $$,$$ ORDER BY id) FROM t')).toBe('1,2,3');
});
