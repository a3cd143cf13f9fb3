import { expect, test } from 'vitest';
import { executeTeardown, planTeardown } from '../teardown.ts';
import { compareTables } from '../testing/compare.ts';
import { ownServers, sql, testDatabases, value } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { cleared, counts, resync } from '../testing/resync.ts';
import { startPipeline, testConfig } from '../testing/run-pipeline.ts';

// A table that is copied again, where something comes in between: a connection that is cut, a crash, a stop, a shadow that was emptied.

test.concurrent('a shadow that has lost rows is not merged', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, 'CREATE TABLE t (id int PRIMARY KEY)');
  await sql(db.source, 'INSERT INTO t SELECT generate_series(1, 1000)');
  await using running = startPipeline(db);
  await running.caughtUp();
  // The copy is held up where its first chunk is to be noted, and the merge where its shadow is to be found.
  await using first = await db.target.session();
  await first.query('BEGIN; LOCK TABLE pgfollow.shadow_chunk IN SHARE MODE');
  const done = resync(running);
  await eventually(async () => expect(await sql(db.target, `SELECT FROM pg_class WHERE relname = 'shadow_1'`)).toHaveLength(1));
  await using second = await db.target.session();
  await second.query('BEGIN; LOCK TABLE pgfollow.shadow_1 IN SHARE UPDATE EXCLUSIVE MODE');
  await first.query('ROLLBACK');
  await eventually(async () => expect(await sql(db.target, 'SELECT FROM pgfollow.shadow_chunk')).toHaveLength(1));
  // As after a crash of the server, were it not for the connections.
  await sql(db.target, 'DELETE FROM pgfollow.shadow_chunk; DELETE FROM pgfollow.shadow_1');
  await second.query('ROLLBACK');
  expect(await done).toContain('every row was right');
  expect(running.pipeline.events.after()).toContainEqual(
    expect.objectContaining({ code: 'COPY_FAILED', message: expect.stringContaining('crashed') }),
  );
  await compareTables(db.source, db.target);
  await cleared(db);
});

test.concurrent(
  'a connection that is cut in the copy, before the merge and in it; a table that is removed meanwhile',
  { timeout: 90_000 },
  async () => {
    await using db = await testDatabases();
    const table = 'CREATE TABLE other (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, v int, filler text)';
    for (const side of [db.source, db.target]) await sql(side, `${table}; ALTER TABLE t ALTER filler SET STORAGE PLAIN`);
    await sql(db.source, `INSERT INTO t SELECT i, 0, repeat('x', 3500) FROM generate_series(1, 24000) i`);
    await using running = startPipeline(db, { snapshot: { workers: 2 } });
    await running.caughtUp(60_000);
    // The merge takes its time, and so can be met.
    await sql(
      db.target,
      `DELETE FROM t WHERE id <= 200; UPDATE t SET v = 7 WHERE id > 23900;
     CREATE FUNCTION rest() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.01); RETURN NEW; END $$;
     CREATE TRIGGER rest BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION rest(); ALTER TABLE t ENABLE REPLICA TRIGGER rest`,
    );
    const cut = async (side: 'source' | 'target', query: string): Promise<void> => {
      const terminate = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND query LIKE $2 AND state = 'active' LIMIT 1`;
      const purpose = `pgfollow ${db.name} copy`;
      await eventually(async () => (await sql(db[side], terminate, [purpose, query])).length > 0, {
        timeout: 30_000,
        interval: 2,
      });
    };
    const done = resync(running);
    await cut('target', 'COPY%');
    await cut('source', 'COPY%');
    const shadow = `SELECT max(id) FROM pgfollow.shadow`;
    const name = `pgfollow.shadow_${await value(db.target, shadow)}`;
    await using holder = await db.target.session();
    await holder.query(`BEGIN; LOCK TABLE ${name} IN SHARE UPDATE EXCLUSIVE MODE`);
    await cut('target', 'LOCK TABLE%');
    await holder.query('ROLLBACK');
    await cut('target', 'UPDATE%');
    await cut('target', 'INSERT INTO "public"."t"%');
    expect(await done).toContain(counts(200, 0, 100));
    await compareTables(db.source, db.target);
    expect(running.pipeline.events.after().map(({ code }) => code)).not.toContain('COPY_FAILED');
    await cleared(db);

    await sql(db.target, 'UPDATE t SET v = 7 WHERE id > 23900');
    await running.pipeline.controls.resyncTable('public.t', 'test');
    await eventually(
      async () =>
        (await value(
          db.target,
          `SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'UPDATE ONLY%' AND datname = current_database()`,
        )) !== '0',
      {
        timeout: 30_000,
        interval: 2,
      },
    );
    await running.pipeline.controls.removeTable('public.t', 'test');
    await cleared(db);
    expect(await value(db.target, 'SELECT count(*) FROM t WHERE v = 7')).toBe('100');
  },
);

test.concurrent(
  'a stop in the middle of a merge leaves no shadow; where it could not be dropped, a teardown does',
  { timeout: 90_000 },
  async () => {
    await using db = await testDatabases();
    for (const side of [db.source, db.target]) await sql(side, 'CREATE TABLE t (id int PRIMARY KEY, v int)');
    await sql(db.source, 'INSERT INTO t SELECT i, 0 FROM generate_series(1, 1000) i');
    await using running = startPipeline(db);
    await running.caughtUp();
    // The merge takes its time, and so can be met.
    await sql(
      db.target,
      `UPDATE t SET v = 7; CREATE FUNCTION rest() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.1); RETURN NEW; END $$;
     CREATE TRIGGER rest BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION rest(); ALTER TABLE t ENABLE REPLICA TRIGGER rest`,
    );
    const merging = async (): Promise<void> => {
      const updates = `SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'UPDATE ONLY%' AND state = 'active' AND datname = current_database()`;
      await eventually(async () => expect(await value(db.target, updates)).not.toBe('0'), { timeout: 30_000, interval: 2 });
    };
    await running.pipeline.controls.resyncTable('public.t', 'test');
    await merging();
    await running.stop();
    await cleared(db);
    expect(await value(db.target, 'SELECT count(*) FROM t WHERE v = 7')).toBe('1000');

    await using again = startPipeline(db);
    await merging();
    await using reader = await db.target.session();
    const shadow = await value(db.target, `SELECT relname FROM pg_class WHERE relname LIKE 'shadow\\__' AND relkind = 'r'`);
    await reader.query(`BEGIN; SELECT count(*) FROM pgfollow.${shadow}`);
    await again.stop();
    expect(await sql(db.target, 'SELECT FROM pgfollow.shadow')).toHaveLength(1);
    await reader.query('ROLLBACK');
    // Somebody else's pipeline keeps the schema.
    await sql(
      db.target,
      `INSERT INTO pgfollow.pipeline SELECT (jsonb_populate_record(p, '{"name": "other"}')).* FROM pgfollow.pipeline p`,
    );
    const config = testConfig(db);
    await executeTeardown(config, await planTeardown(config));
    await cleared(db);
  },
);

test('the target crashes while there are rows in the shadow: the copy begins anew', { timeout: 120_000 }, async () => {
  await using db = await ownServers();
  const table = 'CREATE TABLE t (id int PRIMARY KEY, filler text)';
  for (const side of [db.source, db.target]) await sql(side, `${table}; ALTER TABLE t ALTER filler SET STORAGE PLAIN`);
  await sql(db.source, `INSERT INTO t SELECT i, repeat('x', 3500) FROM generate_series(1, 24000) i`);
  await using running = startPipeline(db, { snapshot: { workers: 2 } });
  await running.caughtUp(60_000);
  await sql(db.target, 'DELETE FROM t WHERE id <= 20');
  const copiedAgain = () => running.pipeline.events.after().some(({ code }) => code === 'RESYNCED');
  await running.pipeline.controls.resyncTable('public.t', 'test');
  await eventually(async () => Number(await value(db.target, 'SELECT count(*) FROM pgfollow.shadow_chunk')) > 0, {
    timeout: 30_000,
    interval: 2,
  });
  expect(copiedAgain()).toBe(false);
  await db.target.server?.kill();
  await db.target.server?.start();
  await eventually(() => expect(running.pipeline.model.status().state).toBe('streaming'), { timeout: 60_000 });
  await eventually(() => expect(running.pipeline.model.table('public.t')).toMatchObject({ state: 'streaming' }), {
    timeout: 60_000,
  });
  expect(running.pipeline.events.after().filter(({ code }) => code === 'RESYNCED')).toMatchObject([
    { message: expect.stringContaining(counts(20, 0, 0)) },
  ]);
  await compareTables(db.source, db.target);
  await cleared(db);
});
