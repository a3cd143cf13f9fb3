import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline } from '../testing/run-pipeline.ts';

const SOURCE = 'CREATE TABLE "T t" (id int PRIMARY KEY)';
const TARGET = `CREATE TABLE "T t" (id int PRIMARY KEY) PARTITION BY RANGE (id);
  CREATE TABLE first PARTITION OF "T t" FOR VALUES FROM (0) TO (100)`;

test.each(['its copy', 'the stream'])(
  'a row that no partition of the target takes, in %s: it says why, with the statement',
  async (way) => {
    await using db = await testDatabases();
    await sql(db.source, SOURCE);
    await sql(db.target, TARGET);
    const write = 'INSERT INTO "T t" VALUES (5), (500)';
    if (way === 'its copy') await sql(db.source, write);
    await using running = startPipeline(db);
    await running.caughtUp();
    if (way === 'the stream') await sql(db.source, write);
    const table = () => running.pipeline.model.table('public.T t');
    await eventually(() => expect(table()?.state).toBe('error'));
    expect(table()?.error).toMatchObject({
      code: way === 'its copy' ? 'COPY_FAILED' : 'APPLY_FAILED',
      message: expect.stringMatching(
        /public\.T t is partitioned on the target, and none of its partitions takes that row: .*\(500\)/,
      ),
      remedy: expect.stringContaining('PARTITION OF "public"."T t" FOR VALUES'),
    });
    const statement = /^CREATE .* DEFAULT;$/m.exec(table()?.error?.remedy ?? '')?.[0];
    await sql(db.target, statement ?? '');
    await running.pipeline.controls.retryTable('public.T t', 'a test').catch(() => {});
    await eventually(() => expect(table()).toMatchObject({ state: 'streaming', error: null }), { timeout: 30_000 });
    await running.caughtUp();
    await compareTables(db.source, db.target);
  },
);

test.each(['its copy', 'the stream'])('a row for a foreign table that takes none, in %s: it says so', async (way) => {
  await using db = await testDatabases();
  await sql(db.source, SOURCE.replace(' PRIMARY KEY', ''));
  await sql(
    db.target,
    `${TARGET.replace(' PRIMARY KEY', '')}; CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
     CREATE FOREIGN TABLE far PARTITION OF "T t" FOR VALUES FROM (100) TO (1000) SERVER files OPTIONS (filename '/dev/null')`,
  );
  const write = 'INSERT INTO "T t" VALUES (5), (500)';
  if (way === 'its copy') await sql(db.source, write);
  await using running = startPipeline(db);
  await running.caughtUp();
  if (way === 'the stream') await sql(db.source, write);
  const table = () => running.pipeline.model.table('public.T t');
  await eventually(() => expect(table()?.state).toBe('error'));
  expect(table()?.error).toMatchObject({
    message: expect.stringMatching(/belongs into a foreign table on the target, which cannot be written to: .*"far"/),
    remedy: expect.stringContaining('DETACH PARTITION'),
  });
  await sql(db.target, 'DROP FOREIGN TABLE far; CREATE TABLE near PARTITION OF "T t" FOR VALUES FROM (100) TO (1000)');
  await running.pipeline.controls.retryTable('public.T t', 'a test').catch(() => {});
  await eventually(() => expect(table()).toMatchObject({ state: 'streaming', error: null }), { timeout: 30_000 });
  await running.caughtUp();
  await compareTables(db.source, db.target);
});
