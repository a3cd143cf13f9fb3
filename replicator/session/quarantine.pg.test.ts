import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline, type RunningPipeline } from '../testing/run-pipeline.ts';

const TABLES = 'CREATE TABLE bad (id int PRIMARY KEY, v int); CREATE TABLE good (id int PRIMARY KEY, v int)';

async function prepare(): Promise<TestDatabases> {
  const db = await testDatabases();
  await sql(db.source, TABLES);
  await sql(db.target, TABLES);
  return db;
}

const bad = (running: RunningPipeline) => running.pipeline.model.table('public.bad');

function inError(running: RunningPipeline): Promise<void> {
  return eventually(() => expect(bad(running)?.state).toBe('error'), { timeout: 15_000 });
}

test.concurrent('a table that refuses a change stops alone; mended and retried it has everything', async () => {
  await using db = await prepare();
  await sql(db.target, 'ALTER TABLE bad ADD CHECK (v < 100)');
  await using running = startPipeline(db);
  await running.caughtUp();
  await sql(
    db.source,
    'INSERT INTO good SELECT n, n FROM generate_series(1, 10) n; INSERT INTO bad VALUES (1, 1), (2, 200), (3, 3)',
  );
  await inError(running);
  expect(bad(running)?.error).toMatchObject({ code: 'APPLY_FAILED', message: expect.stringContaining('id=2') });
  // The others go on, and what comes for this one is kept.
  await sql(db.source, 'UPDATE bad SET v = v + 1; INSERT INTO good VALUES (11, 11); DELETE FROM bad WHERE id = 3');
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.good');
  expect(await value(db.target, 'SELECT count(*) FROM bad')).toBe('0');
  expect(bad(running)?.spooledBytes).toBeGreaterThan(0);
  expect(running.pipeline.model.status()).toMatchObject({
    state: 'streaming',
    problems: [{ code: 'APPLY_FAILED', table: 'public.bad' }],
  });

  await sql(db.target, 'ALTER TABLE bad DROP CONSTRAINT bad_v_check');
  await running.pipeline.controls.retryTable('public.bad', 'test').catch(() => {});
  await eventually(() => expect(bad(running)).toMatchObject({ state: 'streaming', error: null, spooledBytes: 0 }), {
    timeout: 15_000,
  });
  await sql(db.source, 'INSERT INTO bad VALUES (4, 400)');
  await running.caughtUp();
  await compareTables(db.source, db.target);
  expect(running.pipeline.model.status().problems).toEqual([]);
  expect(await value(db.target, 'SELECT count(*) FROM pgfollow.spool')).toBe('0');
});

test.concurrent('a table whose deferred trigger refuses the commit stops alone', { timeout: 60_000 }, async () => {
  await using db = await prepare();
  await sql(db.source, 'CREATE TABLE fires (id int PRIMARY KEY)');
  await sql(
    db.target,
    `CREATE TABLE fires (id int PRIMARY KEY);
     CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF TG_TABLE_NAME = 'bad' THEN RAISE 'never'; END IF; RETURN NULL; END$$;
     CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON bad DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.refuse();
     CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON fires DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.refuse();
     ALTER TABLE bad ENABLE ALWAYS TRIGGER refuse; ALTER TABLE fires ENABLE ALWAYS TRIGGER refuse`,
  );
  await using running = startPipeline(db);
  await running.caughtUp();
  await sql(db.source, 'INSERT INTO fires VALUES (1); INSERT INTO good VALUES (1, 1); INSERT INTO bad VALUES (1, 1)');
  await inError(running);
  expect(bad(running)?.error).toMatchObject({ code: 'APPLY_FAILED', message: expect.stringMatching(/public\.bad.*never/) });
  await eventually(() => compareTables(db.source, db.target, 'public.good', 'public.fires'), { timeout: 30_000 });
  expect(bad(running)?.state).not.toBe('streaming');
  await sql(db.target, 'DROP TRIGGER refuse ON bad');
  await running.pipeline.controls.retryTable('public.bad', 'test').catch(() => {});
  await eventually(() => compareTables(db.source, db.target), { timeout: 30_000 });
});

test.concurrent('what is kept survives a restart, and the table is tried again by itself', async () => {
  await using db = await prepare();
  await sql(db.target, 'ALTER TABLE bad ADD CHECK (v < 100)');
  {
    await using running = startPipeline(db);
    await running.caughtUp();
    await sql(db.source, 'INSERT INTO bad VALUES (1, 1); INSERT INTO bad VALUES (2, 200)');
    await inError(running);
    await sql(db.source, 'INSERT INTO bad VALUES (3, 3); INSERT INTO good VALUES (1, 1)');
    await running.caughtUp();
  }
  await sql(db.source, 'UPDATE bad SET v = v + 1000 WHERE id = 3');
  await using running = startPipeline(db);
  await inError(running);
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.good');
  await sql(db.target, 'ALTER TABLE bad DROP CONSTRAINT bad_v_check');
  await eventually(() => expect(bad(running)?.state).toBe('streaming'), { timeout: 20_000 });
  await compareTables(db.source, db.target);
});

test.concurrent('a transaction larger than a batch is kept whole', async () => {
  await using db = await prepare();
  await sql(db.target, 'ALTER TABLE bad ADD CHECK (v <> 30000)');
  await using running = startPipeline(db, { apply: { maxBatchBytes: '1MB' } });
  await running.caughtUp();
  await sql(
    db.source,
    `BEGIN; INSERT INTO good SELECT n, n FROM generate_series(1, 20000) n; INSERT INTO bad SELECT n, n FROM generate_series(1, 40000) n;
     INSERT INTO good SELECT n, n FROM generate_series(20001, 40000) n; COMMIT`,
  );
  await inError(running);
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.good');
  // Some of it may be there by now, up to what is refused.
  expect(await value(db.target, 'SELECT count(*) FROM bad WHERE id >= 30000')).toBe('0');
  await sql(db.target, 'ALTER TABLE bad DROP CONSTRAINT bad_v_check');
  await eventually(() => expect(bad(running)?.state).toBe('streaming'), { timeout: 20_000 });
  await compareTables(db.source, db.target);
});

test.concurrent('a table that goes missing on the target is kept until it is back', async () => {
  await using db = await prepare();
  await using running = startPipeline(db, { apply: { onMissing: 'error' } });
  await running.caughtUp();
  await sql(db.target, 'ALTER TABLE bad RENAME TO away');
  await sql(db.source, 'INSERT INTO bad VALUES (1, 1); INSERT INTO good VALUES (1, 1)');
  await inError(running);
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.good');
  await sql(db.target, 'ALTER TABLE away RENAME TO bad');
  await eventually(() => expect(bad(running)?.state).toBe('streaming'), { timeout: 20_000 });
  // A row that is missing is a reason too.
  await sql(db.target, 'DELETE FROM bad');
  await sql(db.source, 'UPDATE bad SET v = 5; UPDATE good SET v = 5');
  await inError(running);
  expect(bad(running)?.error?.code).toBe('ROW_MISSING');
  await sql(db.target, 'INSERT INTO bad VALUES (1, 1)');
  await eventually(() => expect(bad(running)?.state).toBe('streaming'), { timeout: 20_000 });
  await compareTables(db.source, db.target);
});

test.concurrent('with onError: pipeline everything waits', async () => {
  await using db = await prepare();
  await sql(db.target, 'ALTER TABLE bad ADD CHECK (v < 100)');
  await using running = startPipeline(db, { apply: { onError: 'pipeline' } });
  await running.caughtUp();
  await sql(db.source, 'INSERT INTO bad VALUES (2, 200)');
  await eventually(
    () => expect(running.pipeline.model.status()).toMatchObject({ state: 'retrying', problems: [{ code: 'APPLY_FAILED' }] }),
    {
      timeout: 15_000,
    },
  );
  await sql(db.source, 'INSERT INTO good VALUES (1, 1)');
  await sql(db.target, 'ALTER TABLE bad DROP CONSTRAINT bad_v_check');
  await running.caughtUp();
  await compareTables(db.source, db.target);
  expect(running.pipeline.model.status().problems).toEqual([]);
});
