import { describe, expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline, type RunningPipeline } from '../testing/run-pipeline.ts';

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY, v text)';
const ROWS = `INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 9) i`;

const contents = (db: TestDatabases): Promise<unknown> => sql(db.target, 'SELECT * FROM t ORDER BY id');

describe('snapshot.existingRows', () => {
  async function withExisting(db: TestDatabases, existingRows: string): Promise<RunningPipeline> {
    for (const side of [db.source, db.target]) await sql(side, `${TABLE}; CREATE TABLE other (id int PRIMARY KEY)`);
    await sql(db.source, `${ROWS}; INSERT INTO other VALUES (1)`);
    await sql(db.target, `INSERT INTO t VALUES (100, 'was there')`);
    return startPipeline(db, { snapshot: { existingRows }, apply: { onError: 'pipeline' } });
  }

  test('error: the table stays as it is, with what to do; the others go on', async () => {
    await using db = await testDatabases();
    await using running = await withExisting(db, 'error');
    await running.caughtUp();
    expect(running.pipeline.model.table('public.t')).toMatchObject({
      state: 'error',
      error: { code: 'TARGET_TABLE_NOT_EMPTY', remedy: expect.stringContaining('TRUNCATE "public"."t"') },
    });
    await sql(db.source, 'INSERT INTO other VALUES (2); DELETE FROM t');
    await running.caughtUp();
    expect(await contents(db)).toEqual([{ id: '100', v: 'was there' }]);
    await compareTables(db.source, db.target, 'public.other');
  });

  test('a copy that is tried again in vain has not recovered meanwhile', async () => {
    await using db = await testDatabases();
    await using running = await withExisting(db, 'error');
    await running.caughtUp();
    const states = new Set<string | undefined>();
    const problems = new Set<number>();
    await running.pipeline.controls.retryTable('public.t', 'a test');
    await eventually(
      () => {
        states.add(running.pipeline.model.table('public.t')?.state);
        problems.add(running.pipeline.model.status().problems.length);
        expect([...states]).toContain('pending');
        expect(running.pipeline.model.table('public.t')?.state).toBe('error');
      },
      { timeout: 30_000, interval: 5 },
    );
    expect([...problems]).toEqual([1]);
    expect(running.pipeline.events.after().filter(({ code }) => code === 'TABLE_RECOVERED')).toEqual([]);
    await sql(db.target, 'TRUNCATE t');
    await running.pipeline.controls.retryTable('public.t', 'a test');
    await eventually(() => expect(running.pipeline.model.status().problems).toEqual([]), { timeout: 30_000 });
    expect(running.pipeline.events.after().filter(({ code }) => code === 'TABLE_RECOVERED')).toHaveLength(1);
    await running.caughtUp();
    await compareTables(db.source, db.target);
  });

  test('truncate: its rows are replaced', async () => {
    await using db = await testDatabases();
    await using running = await withExisting(db, 'truncate');
    await running.caughtUp();
    await compareTables(db.source, db.target);
  });

  test('keep: they stay beside those that are copied', async () => {
    await using db = await testDatabases();
    await using running = await withExisting(db, 'keep');
    await running.caughtUp();
    await sql(db.source, `UPDATE t SET v = 'new' WHERE id = 1; INSERT INTO t VALUES (10, 'ten')`);
    await running.caughtUp();
    await sql(db.source, `INSERT INTO t VALUES (100, 'was there')`).then(() => sql(db.target, 'DELETE FROM t WHERE id = 100'));
    await running.caughtUp();
    await compareTables(db.source, db.target);
    expect(running.pipeline.model.table('public.t')?.snapshot.rowsCopied).toBe(9);
  });

  test('keep: a key that is there already is an error of that table alone', async () => {
    await using db = await testDatabases();
    for (const side of [db.source, db.target]) await sql(side, TABLE);
    await sql(db.source, ROWS);
    await sql(db.target, `INSERT INTO t VALUES (5, 'was there')`);
    await using running = startPipeline(db, { snapshot: { existingRows: 'keep' } });
    await running.caughtUp();
    expect(running.pipeline.model.table('public.t')).toMatchObject({
      state: 'error',
      error: { code: 'COPY_FAILED', message: expect.stringContaining('23505') },
    });
    expect(await contents(db)).toEqual([{ id: '5', v: 'was there' }]);
  });
});

test('snapshot.copy: false takes the data as it is and follows from there', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, `${TABLE}; ${ROWS}`);
  await sql(db.source, `INSERT INTO t VALUES (50, 'not copied')`);
  await using running = startPipeline(db, { snapshot: { copy: false } });
  await running.caughtUp();
  await sql(db.source, `UPDATE t SET v = 'new' WHERE id < 3; INSERT INTO t VALUES (51, 'followed')`);
  await running.caughtUp();
  await sql(db.source, 'DELETE FROM t WHERE id = 50');
  await running.caughtUp();
  await compareTables(db.source, db.target);
  expect(running.pipeline.model.table('public.t')).toMatchObject({
    state: 'streaming',
    snapshot: { rowsCopied: 0 },
    conflicts: { deleteMissing: 1 },
  });
});

test('a target table that does not exist is an error with the SQL that makes it; the others go on', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `${TABLE}; CREATE TABLE "Odd.Name" (id int PRIMARY KEY, at timestamptz(3), g int GENERATED ALWAYS AS (id + 1) STORED); ${ROWS}; INSERT INTO "Odd.Name" VALUES (1)`,
  );
  await sql(db.target, TABLE);
  await using running = startPipeline(db, { schema: { create: 'never' } });
  await running.caughtUp();
  const name = running.pipeline.model.tables().find(({ state }) => state === 'error');
  expect(name).toMatchObject({ error: { code: 'TARGET_TABLE_MISSING' } });
  await sql(db.source, `INSERT INTO "Odd.Name" VALUES (2); DELETE FROM t WHERE id = 1`);
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.t');
  await sql(db.target, (name?.error?.remedy ?? '').replace('Run on the target:\n', ''));
  expect(await sql(db.target, 'SELECT * FROM "Odd.Name"')).toEqual([]);
});
