import { expect, test } from 'vitest';
import { examine } from '../doctor/examine.ts';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline, testConfig } from '../testing/run-pipeline.ts';

test('a pipeline that reads from publications of others does not go over to one of ours, and says so', async () => {
  await using db = await testDatabases();
  await sql(db.source, `CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION ${db.name}_own FOR TABLE t`);
  const unmanaged = { publication: { managed: false, names: [`${db.name}_own`] } };
  {
    await using running = startPipeline(db, unmanaged);
    await running.caughtUp();
  }
  await sql(db.source, 'INSERT INTO t VALUES (1)');
  const refused = {
    code: 'PUBLICATION_MISSING',
    message: expect.stringContaining('follows by publications that it has not made'),
  };
  {
    await using running = startPipeline(db);
    await eventually(() => expect(running.pipeline.model.status().problems[0]).toMatchObject(refused), { timeout: 20_000 });
  }
  expect(await examine(testConfig(db))).toContainEqual(expect.objectContaining(refused));
  await using running = startPipeline(db, unmanaged);
  await running.caughtUp();
  await compareTables(db.source, db.target);
});
