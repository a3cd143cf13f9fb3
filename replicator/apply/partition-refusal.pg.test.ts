import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startCaughtUp, type RunningPipeline } from '../testing/run-pipeline.ts';

const SOURCE = 'CREATE TABLE "T t" (id int PRIMARY KEY)';
const TARGET = `CREATE TABLE "T t" (id int PRIMARY KEY) PARTITION BY RANGE (id);
  CREATE TABLE first PARTITION OF "T t" FOR VALUES FROM (0) TO (100)`;
const WAYS = ['its copy', 'the stream'] as const;

const table = ({ pipeline }: RunningPipeline) => pipeline.model.table('public.T t');

/** A pipeline that brings a row for which there is no partition, and one for which there is. */
async function bringRows(db: TestDatabases, way: (typeof WAYS)[number]): Promise<RunningPipeline> {
  const write = 'INSERT INTO "T t" VALUES (5), (500)';
  if (way === 'its copy') await sql(db.source, write);
  const running = await startCaughtUp(db);
  if (way === 'the stream') await sql(db.source, write);
  return running;
}

async function mend(db: TestDatabases, running: RunningPipeline, statement: string): Promise<void> {
  await sql(db.target, statement);
  await running.pipeline.controls.retryTable('public.T t', 'a test').catch(() => {});
  await eventually(() => expect(table(running)).toMatchObject({ state: 'streaming', error: null }), { timeout: 30_000 });
  await running.caughtUp();
  await compareTables(db.source, db.target);
}

test.each(WAYS)('a row that no partition of the target takes, in %s: it says why, with the statement', async (way) => {
  await using db = await testDatabases();
  await sql(db.source, SOURCE);
  await sql(db.target, TARGET);
  await using running = await bringRows(db, way);
  await eventually(() => expect(table(running)?.state).toBe('error'));
  expect(table(running)?.error).toMatchObject({
    code: way === 'its copy' ? 'COPY_FAILED' : 'APPLY_FAILED',
    message: expect.stringMatching(
      /public\.T t is partitioned on the target, and none of its partitions takes that row: .*\(500\)/,
    ),
    remedy: expect.stringContaining('PARTITION OF "public"."T t" FOR VALUES'),
  });
  await mend(db, running, /^CREATE .* DEFAULT;$/m.exec(table(running)?.error?.remedy ?? '')?.[0] ?? '');
});

test.each(WAYS)('a row for a foreign table that takes none, in %s: it says so', async (way) => {
  await using db = await testDatabases();
  await sql(db.source, SOURCE.replace(' PRIMARY KEY', ''));
  await sql(
    db.target,
    `${TARGET.replace(' PRIMARY KEY', '')}; CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
     CREATE FOREIGN TABLE far PARTITION OF "T t" FOR VALUES FROM (100) TO (1000) SERVER files OPTIONS (filename '/dev/null')`,
  );
  await using running = await bringRows(db, way);
  await eventually(() => expect(table(running)?.state).toBe('error'));
  expect(table(running)?.error).toMatchObject({
    message: expect.stringMatching(/belongs into a foreign table on the target, which cannot be written to: .*"far"/),
    remedy: expect.stringContaining('DETACH PARTITION'),
  });
  await mend(db, running, 'DROP FOREIGN TABLE far; CREATE TABLE near PARTITION OF "T t" FOR VALUES FROM (100) TO (1000)');
});
