import { expect, test } from 'vitest';
import { sql, testDatabases, value } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline } from '../testing/run-pipeline.ts';

test.each<[what: string, source: string, target: string, write: string]>([
  [
    'a check that only the target has',
    'CREATE TABLE "T t" (id int PRIMARY KEY, v int)',
    'CREATE TABLE "T t" (id int PRIMARY KEY, v int CONSTRAINT "small ones" CHECK (v < 10))',
    'INSERT INTO "T t" VALUES (1, 100)',
  ],
  [
    'a check of a domain',
    'CREATE DOMAIN "D d" AS int; CREATE TABLE "T t" (id int PRIMARY KEY, v "D d")',
    'CREATE DOMAIN "D d" AS int CONSTRAINT small CHECK (VALUE < 10); CREATE TABLE "T t" (id int PRIMARY KEY, v "D d")',
    'INSERT INTO "T t" VALUES (1, 100)',
  ],
  [
    'a column that has to be there',
    'CREATE TABLE "T t" (id int PRIMARY KEY, "V v" int)',
    'CREATE TABLE "T t" (id int PRIMARY KEY, "V v" int NOT NULL)',
    'INSERT INTO "T t" VALUES (1, NULL)',
  ],
  [
    'a unique constraint that only the target has',
    'CREATE TABLE "T t" (id int PRIMARY KEY, v int)',
    'CREATE TABLE "T t" (id int PRIMARY KEY, v int UNIQUE)',
    'INSERT INTO "T t" VALUES (1, 7), (2, 7)',
  ],
  [
    'an exclusion constraint that only the target has',
    'CREATE TABLE "T t" (id int PRIMARY KEY, v int4range)',
    'CREATE TABLE "T t" (id int PRIMARY KEY, v int4range, EXCLUDE USING gist (v WITH &&))',
    `INSERT INTO "T t" VALUES (1, '[1,5)'), (2, '[4,9)')`,
  ],
])('%s: the remedy has the statement that mends it', async (_, source, target, write) => {
  await using db = await testDatabases();
  await sql(db.source, source);
  await sql(db.target, target);
  await using running = startPipeline(db);
  await running.caughtUp();
  await sql(db.source, write);
  const table = () => running.pipeline.model.table('public.T t');
  await eventually(() => expect(table()?.state).toBe('error'));
  const statement = /^ALTER .*;$/m.exec(table()?.error?.remedy ?? '')?.[0];
  expect([table()?.error?.remedy, statement]).toEqual([expect.anything(), expect.stringContaining('"public".')]);
  await sql(db.target, statement ?? '');
  await running.pipeline.controls.retryTable('public.T t', 'a test').catch(() => {});
  await eventually(() => expect(table()).toMatchObject({ state: 'streaming', error: null }));
  await running.caughtUp();
  expect(await value(db.target, 'SELECT count(*) FROM "T t"')).toBe(await value(db.source, 'SELECT count(*) FROM "T t"'));
});
