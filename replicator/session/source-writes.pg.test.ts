import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline } from '../testing/run-pipeline.ts';
import { TEST_VERSION } from '../testing/servers.ts';

/** Tables that need something of the source before they can be published, and some that need nothing. */
const TABLES = `
  CREATE TABLE keyed (id int PRIMARY KEY, n int);
  CREATE TABLE indexed (id int NOT NULL UNIQUE, n int);
  CREATE TABLE keyless (id int, n int);
  CREATE TABLE locked (id int, n int);
  CREATE TABLE no_identity (id int PRIMARY KEY, n int);
  CREATE TABLE parted (id int, n int) PARTITION BY RANGE (id);
  CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (5);
  CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM (5) TO (10);
  CREATE TABLE generated (id int, n int, twice int GENERATED ALWAYS AS (n * 2) STORED)`;
const NAMES = ['keyed', 'indexed', 'keyless', 'locked', 'no_identity', 'parted', 'generated'];

/** What a writer bears: less than a person notices. */
const LOCK_TIMEOUT_MS = 400;

test('no write fails or waits long while a pipeline starts, whatever its table and whoever holds a lock', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, TABLES);
  await sql(db.source, 'ALTER TABLE no_identity REPLICA IDENTITY NOTHING');
  for (const name of NAMES) await sql(db.source, `INSERT INTO ${name} SELECT n, 0 FROM generate_series(0, 9) n`);
  const end = new AbortController();
  const faults: string[] = [];
  let writes = 0;
  const write = async (name: string): Promise<void> => {
    await using session = await db.source.session();
    await session.query(`SET lock_timeout = ${LOCK_TIMEOUT_MS}`);
    for (let n = 0; !end.signal.aborted; n++) {
      const id = n % 10;
      for (const statement of [
        `UPDATE ${name} SET n = n + 1 WHERE id = ${id}`,
        `DELETE FROM ${name} WHERE id = ${id}`,
        `INSERT INTO ${name} VALUES (${id}, ${n})`,
      ]) {
        await session.query(statement).then(
          () => writes++,
          (error: Error) => faults.push(`${statement}: ${error.message}`),
        );
      }
      await sleep(10);
    }
  };
  const writers = NAMES.map((name) => write(name));
  // Somebody has written to it and thinks: ALTER TABLE would wait for him, and all writers behind it.
  await using holder = await db.source.session();
  await holder.query('BEGIN; INSERT INTO locked VALUES (100, 0)');
  await using running = startPipeline(db);
  try {
    await eventually(() => running.pipeline.model.status().problems.some((problem) => problem.table === 'public.locked'));
    expect(running.pipeline.model.status()).toMatchObject({ state: 'retrying', problems: [{ code: 'TABLE_NOT_PUBLISHABLE' }] });
    await holder.query('COMMIT');
    // It begins again and again until no writer's lock is in its way.
    await eventually(() => running.pipeline.model.state === 'streaming', { timeout: 60_000 });
    await sleep(500);
  } finally {
    end.abort();
    await Promise.all(writers);
  }
  expect(faults).toEqual([]);
  expect(writes).toBeGreaterThan(300);
  await running.caughtUp();
  await compareTables(db.source, db.target);
  expect(running.pipeline.model.status().problems).toEqual([]);
}, 120_000);

test('a table that cannot be published stays out, in error with the SQL, and its writes go on', async () => {
  await using db = await testDatabases();
  const tables = `
    CREATE TABLE fine (id int PRIMARY KEY);
    CREATE TABLE filtered (id int PRIMARY KEY, n int)`;
  for (const side of [db.source, db.target]) await sql(side, tables);
  const map = [{ from: 'public.filtered', to: 'public.filtered', where: 'n > 0' }];
  await using running = startPipeline(db, { tables: { map } });
  await running.caughtUp();
  expect(running.pipeline.model.table('public.filtered')).toMatchObject({
    state: 'error',
    error:
      TEST_VERSION >= 15
        ? { code: 'TABLE_NOT_PUBLISHABLE', remedy: 'ALTER TABLE "public"."filtered" REPLICA IDENTITY FULL;' }
        : { code: 'ROW_FILTER_UNSUPPORTED' },
  });
  await sql(
    db.source,
    'INSERT INTO filtered VALUES (1, 1); UPDATE filtered SET n = 2; DELETE FROM filtered; INSERT INTO fine VALUES (1)',
  );
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.fine');
  expect(await value(db.source, `SELECT count(*) FROM pg_publication_tables WHERE tablename = 'filtered'`)).toBe('0');
});
