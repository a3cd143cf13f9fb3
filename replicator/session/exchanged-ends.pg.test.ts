import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline, testConfig } from '../testing/run-pipeline.ts';
import { executeTeardown, planTeardown } from '../teardown.ts';

test('URLs the wrong way round do not take away the rows of the source; after a teardown the direction may change', async () => {
  await using db = await testDatabases();
  await sql(db.source, 'CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)');
  {
    await using running = startPipeline(db);
    await running.caughtUp();
  }
  await sql(db.source, 'INSERT INTO t VALUES (2)');
  const exchanged = { ...db, source: db.target, target: db.source };
  const settings = { snapshot: { existingRows: 'truncate' } };
  {
    await using running = startPipeline(exchanged, settings);
    const problem = { code: 'TARGET_UNSUITABLE', remedy: expect.stringContaining('exchange them again') };
    await eventually(() => expect(running.pipeline.model.status().problems[0]).toMatchObject(problem), { timeout: 20_000 });
  }
  expect(await value(db.source, 'SELECT count(*) FROM t')).toBe('2');
  // As it was it goes on.
  {
    await using running = startPipeline(db);
    await running.caughtUp();
    await compareTables(db.source, db.target);
  }
  await executeTeardown(testConfig(db), await planTeardown(testConfig(db)));
  await sql(db.target, 'DELETE FROM t WHERE id = 1');
  await using running = startPipeline(exchanged, settings);
  await running.caughtUp();
  expect(await value(db.source, 'SELECT count(*) FROM t')).toBe('1');
});
