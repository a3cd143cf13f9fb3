import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { describeSchema } from '../testing/describe-schema.ts';
import { eventually } from '../testing/eventually.ts';
import { spawnReplicator } from '../testing/replicator-process.ts';
import { startPipeline } from '../testing/run-pipeline.ts';

// Building this index on the target waits for as long as the test holds the lock there.
const SLOW_INDEX = `CREATE FUNCTION slow(v text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
  'BEGIN PERFORM pg_catalog.pg_advisory_lock_shared(4711); PERFORM pg_catalog.pg_advisory_unlock_shared(4711); RETURN v; END'`;

async function parts(db: TestDatabases): Promise<string[]> {
  const rows = await sql(db.target, 'SELECT part FROM pgfollow.created_part ORDER BY part');
  return rows.map(({ part }) => part ?? '');
}

test('killed between copy and indexes: they are built after the next start, the rows are not copied again', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `${SLOW_INDEX}; CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other VALUES (1);
     CREATE TABLE t (id int PRIMARY KEY, v text UNIQUE, other int REFERENCES other); CREATE INDEX t_slow ON t (slow(v));
     INSERT INTO t SELECT i, 'v' || i, 1 FROM generate_series(1, 500) i`,
  );
  await using holder = await db.target.session();
  await holder.query('SELECT pg_advisory_lock(4711)');
  const state = (): Promise<string | null | undefined> =>
    value(
      db.target,
      `SELECT state || ' ' || spooling || ' ' || copy_finished_at FROM pgfollow.table_state WHERE source_table = 't'`,
    );
  let copied: string | null | undefined;
  {
    await using first = await spawnReplicator(db);
    await eventually(async () => (await parts(db)).includes('index public.t_v_key'), { timeout: 40_000 });
    await eventually(async () =>
      expect((await first.tables()).map(({ source, state: at }) => `${source} ${at}`)).toEqual([
        'public.other streaming',
        'public.t indexing',
      ]),
    );
    await sql(db.source, `UPDATE t SET v = 'changed' WHERE id = 7; DELETE FROM t WHERE id = 8; INSERT INTO other VALUES (2)`);
    await eventually(async () => (await value(db.target, 'SELECT count(*) FROM other')) === '2');
    copied = await state();
    expect(copied).toMatch(/^indexing true /);
    await first.kill();
  }
  await sql(db.source, `INSERT INTO t VALUES (501, 'new', 2)`);
  await using second = await spawnReplicator(db);
  await eventually(async () =>
    (await second.tables()).some(({ source, state: at }) => source === 'public.t' && at === 'indexing'),
  );
  expect(await state()).toBe(copied);
  expect(await parts(db)).not.toContain('index public.t_slow');
  await holder.query('SELECT pg_advisory_unlock(4711)');
  await eventually(async () => (await second.tables()).every(({ state: at }) => at === 'streaming'), { timeout: 40_000 });
  await eventually(() => compareTables(db.source, db.target));
  await eventually(async () => expect(await describeSchema(db.target)).toEqual(await describeSchema(db.source)), {
    timeout: 30_000,
  });
});

test('killed between the note that a table is built and the state that follows: it goes on from there', async () => {
  await using db = await testDatabases();
  await sql(db.source, 'CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)');
  {
    await using first = startPipeline(db);
    await first.caughtUp();
  }
  await sql(db.target, `UPDATE pgfollow.table_state SET state = 'indexing', spooling = true`);
  await sql(db.source, 'INSERT INTO t VALUES (2)');
  await using second = startPipeline(db);
  await second.caughtUp();
  expect(second.pipeline.model.table('public.t')?.state).toBe('streaming');
  await compareTables(db.source, db.target);
  expect(second.pipeline.events.after().filter(({ code }) => code === 'INTERNAL')).toEqual([]);
});

test('an index that the target refuses is left out; without its key a table waits until it can be made', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `CREATE TABLE only_here (id int PRIMARY KEY);
     CREATE FUNCTION needs(v int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT v WHERE EXISTS (SELECT FROM public.only_here) IS NOT NULL';
     CREATE TABLE t (id int PRIMARY KEY, v int); CREATE INDEX t_needs ON t (needs(v)); CREATE INDEX t_v ON t (v); INSERT INTO t VALUES (1, 1);
     CREATE COLLATION loose (provider = icu, locale = 'und'); CREATE TABLE k (id text COLLATE loose PRIMARY KEY); INSERT INTO k VALUES ('a'), ('A')`,
  );
  await sql(db.target, `CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`);
  await using running = startPipeline(db, { tables: { exclude: ['public.only_here'] } });
  await running.caughtUp();
  const { model, events } = running.pipeline;
  expect(model.table('public.t')).toMatchObject({ state: 'streaming' });
  expect(
    await value(
      db.target,
      `SELECT string_agg(indexrelid::regclass::text, ' ' ORDER BY indexrelid::regclass::text) FROM pg_index WHERE indrelid = 't'::regclass`,
    ),
  ).toBe('t_pkey t_v');
  const told = events.after(0).filter(({ code }) => code === 'PART_NOT_CREATED');
  expect(told).toEqual([
    expect.objectContaining({ table: 'public.t', remedy: expect.stringContaining('CREATE INDEX "t_needs"') }),
  ]);
  expect(model.table('public.k')).toMatchObject({
    state: 'error',
    error: { code: 'SCHEMA_NOT_CREATED', message: expect.stringContaining('index public.k_pkey') },
  });
  await sql(db.source, `INSERT INTO k VALUES ('b')`);
  await sql(db.target, 'ALTER TABLE k ALTER id TYPE text COLLATE "C"');
  await eventually(() => model.table('public.k')?.state === 'streaming', { timeout: 60_000 });
  await eventually(() => compareTables(db.source, db.target, 'public.k', 'public.t'));
  expect(await value(db.target, `SELECT count(*) FROM pg_constraint WHERE conname = 'k_pkey'`)).toBe('1');
});
