import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { becomesEqual } from '../testing/becomes.ts';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startCaughtUp, startPipeline, type RunningPipeline } from '../testing/run-pipeline.ts';
import { TEST_VERSION } from '../testing/servers.ts';

// A table that was not in the publication for a while, however short: what was written then was not sent.

const FILL = `CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b'); CREATE TABLE u (id int PRIMARY KEY)`;
const UNSENT = `INSERT INTO t VALUES (3, 'unsent'); DELETE FROM t WHERE id = 1`;

/** Each statement in a transaction of its own, so that the rows between are written outside of the publication. */
async function each(db: TestDatabases, ...statements: string[]): Promise<void> {
  for (const statement of statements) await sql(db.source, statement);
}

const outAndIn = (publication: string): string[] => [
  `ALTER PUBLICATION "${publication}" DROP TABLE t`,
  UNSENT,
  `ALTER PUBLICATION "${publication}" ADD TABLE t`,
];

async function copiedAgain(db: TestDatabases, running: RunningPipeline): Promise<void> {
  await toldAndEqual(db, running, ['public.t']);
  await sql(db.source, `INSERT INTO t VALUES (5, 'later'); INSERT INTO u VALUES (5)`);
  await running.caughtUp();
  await compareTables(db.source, db.target);
  expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
}

function toldAndEqual(db: TestDatabases, running: RunningPipeline, tables: readonly string[]): Promise<void> {
  return becomesEqual(db, running, { also: () => expect(told(running)).toEqual(tables), timeout: 40_000 });
}

/** The tables that were said to have been out of the publication. */
function told(running: RunningPipeline): (string | undefined)[] {
  return running.pipeline.events
    .after()
    .filter(({ code }) => code === 'TABLE_REPUBLISHED')
    .map(({ table }) => table);
}

test.concurrent('taken out and put back between two looks: copied again', { timeout: 90_000 }, async () => {
  await using db = await testDatabases();
  await sql(db.source, FILL);
  await using running = await startCaughtUp(db);
  await each(db, ...outAndIn(db.name));
  await copiedAgain(db, running);
});

test.concurrent('so it is when pgfollow was away, and once only', { timeout: 90_000 }, async () => {
  await using db = await testDatabases();
  await sql(db.source, FILL);
  await (await startCaughtUp(db)).stop();
  await each(db, ...outAndIn(db.name));
  {
    await using running = startPipeline(db);
    await copiedAgain(db, running);
  }
  // Its events come back, and there is no second one.
  await using again = await startCaughtUp(db);
  expect(told(again)).toEqual(['public.t']);
});

test.concurrent('a transaction that writes before, between and after comes whole', { timeout: 90_000 }, async () => {
  await using db = await testDatabases();
  await sql(db.source, FILL);
  await using running = await startCaughtUp(db);
  await using writer = await db.source.session();
  await sql(writer, `BEGIN; INSERT INTO t VALUES (10, 'before')`);
  await each(db, `ALTER PUBLICATION "${db.name}" DROP TABLE t`);
  await sql(writer, `INSERT INTO t VALUES (11, 'between')`);
  await each(db, `ALTER PUBLICATION "${db.name}" ADD TABLE t`);
  await eventually(() => expect(told(running)).toEqual(['public.t']), { timeout: 20_000 });
  await sql(writer, `INSERT INTO t VALUES (12, 'after'); COMMIT`);
  await copiedAgain(db, running);
});

test.concurrent('a publication of the user’s own: a table, all of them, and a schema', { timeout: 120_000 }, async () => {
  await using db = await testDatabases();
  const own = `${db.name}_own`;
  await sql(db.source, `${FILL}; CREATE PUBLICATION "${own}" FOR TABLE t, u`);
  await using running = await startCaughtUp(db, { publication: { managed: false, names: [own] } });
  await each(db, ...outAndIn(own));
  await copiedAgain(db, running);
  await each(db, `ALTER PUBLICATION "${own}" DROP TABLE u`, `INSERT INTO u VALUES (6)`, `ALTER PUBLICATION "${own}" ADD TABLE u`);
  await toldAndEqual(db, running, ['public.t', 'public.u']);
});

if (TEST_VERSION >= 15)
  test.concurrent('a schema that was out of the publication', { timeout: 90_000 }, async () => {
    await using db = await testDatabases();
    const own = `${db.name}_own`;
    await sql(db.source, `${FILL}; CREATE PUBLICATION "${own}" FOR TABLES IN SCHEMA public, TABLE u`);
    await using running = await startCaughtUp(db, { publication: { managed: false, names: [own] } });
    await each(
      db,
      `ALTER PUBLICATION "${own}" DROP TABLES IN SCHEMA public`,
      `${UNSENT}; INSERT INTO u VALUES (7)`,
      `ALTER PUBLICATION "${own}" ADD TABLES IN SCHEMA public`,
    );
    // The other one was in it by itself all the time.
    await copiedAgain(db, running);
  });

test.concurrent('a publication that was dropped and made anew under its name', { timeout: 90_000 }, async () => {
  await using db = await testDatabases();
  const own = `${db.name}_own`;
  await sql(db.source, `${FILL}; CREATE PUBLICATION "${own}" FOR ALL TABLES`);
  const settings = { publication: { managed: false, names: [own] } };
  await (await startCaughtUp(db, settings)).stop();
  // Both in one transaction: else the stream would find no publication where rows were written.
  await each(db, `BEGIN; DROP PUBLICATION "${own}"; CREATE PUBLICATION "${own}" FOR ALL TABLES; COMMIT`);
  await using running = startPipeline(db, settings);
  await toldAndEqual(db, running, ['public.t', 'public.u']);
});

if (TEST_VERSION >= 15)
  test.concurrent('what pgfollow itself changes there has nothing copied again', { timeout: 90_000 }, async () => {
    await using db = await testDatabases();
    await sql(db.source, `${FILL}; ALTER TABLE t REPLICA IDENTITY FULL`);
    const filtered = (where: string): Record<string, unknown> => ({
      tables: { map: [{ from: 'public.t', to: 'public.t', where }] },
    });
    const entry = (): Promise<string | null | undefined> =>
      value(db.source, `SELECT string_agg(oid::text, ',') FROM pg_publication_rel WHERE prrelid = 't'::regclass`);
    await (await startCaughtUp(db, filtered('id > 0'))).stop();
    const before = await entry();
    {
      await using running = await startCaughtUp(db, filtered('id < 1000'));
      await sleep(2500);
      await running.caughtUp();
      expect(told(running)).toEqual([]);
    }
    expect(await entry()).not.toBe(before);
    await using again = await startCaughtUp(db, filtered('id < 1000'));
    expect(told(again)).toEqual([]);
  });

test.concurrent(
  'partitions were published as tables of their own for a while: only what has some is copied again',
  { timeout: 90_000 },
  async () => {
    await using db = await testDatabases();
    await sql(
      db.source,
      `CREATE TABLE t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE t_1 PARTITION OF t DEFAULT;
     INSERT INTO t VALUES (1, 'a'), (2, 'b'); CREATE TABLE u (id int PRIMARY KEY)`,
    );
    await using running = await startCaughtUp(db);
    await each(db, `ALTER PUBLICATION "${db.name}" SET (publish_via_partition_root = false)`, UNSENT);
    await copiedAgain(db, running);
    // Put right by pgfollow, which is no reason to copy once more.
    await sleep(2500);
    await running.caughtUp();
    expect(told(running)).toEqual(['public.t']);
  },
);

if (TEST_VERSION >= 15)
  test.concurrent('moved out of a schema that is published, and back', { timeout: 90_000 }, async () => {
    await using db = await testDatabases();
    const own = `${db.name}_own`;
    await sql(db.source, `${FILL}; CREATE SCHEMA apart; CREATE PUBLICATION "${own}" FOR TABLES IN SCHEMA public`);
    const settings = { publication: { managed: false, names: [own] } };
    await (await startCaughtUp(db, settings)).stop();
    await each(
      db,
      'ALTER TABLE t SET SCHEMA apart',
      UNSENT.replaceAll(' t ', ' apart.t '),
      'ALTER TABLE apart.t SET SCHEMA public',
    );
    await using running = startPipeline(db, settings);
    await copiedAgain(db, running);
  });

test.concurrent('what a version before has noted of a publication has nothing copied again', { timeout: 90_000 }, async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `CREATE TABLE t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE t_1 PARTITION OF t DEFAULT`,
  );
  await (await startCaughtUp(db)).stop();
  const noted = await value(
    db.target,
    `UPDATE pgfollow.table_state SET membership = ARRAY[split_part(membership[1], ' as ', 1)] RETURNING membership[1]`,
  );
  expect(noted).toMatch(/^table \d+$/);
  await using running = await startCaughtUp(db);
  expect(told(running)).toEqual([]);
  expect(await value(db.target, 'SELECT membership[1] FROM pgfollow.table_state')).toBe(`${noted} as root`);
});

// From 18 on the server sends the others, and all of it is copied again.
if (TEST_VERSION < 18)
  test.concurrent(
    'a publication that was not there for a while, however short: what helps is said',
    { timeout: 90_000 },
    async () => {
      await using db = await testDatabases();
      await sql(db.source, FILL);
      await using running = await startCaughtUp(db);
      await each(db, `DROP PUBLICATION "${db.name}"`, UNSENT, `CREATE PUBLICATION "${db.name}" FOR TABLE t, u`);
      // At first it may be seen to be gone.
      const problem = await eventually(
        () =>
          running.pipeline.model.status().problems.find(({ message }) => message.includes('while a publication did not exist')) ??
          false,
        { timeout: 40_000 },
      );
      expect(problem).toMatchObject({ code: 'PUBLICATION_MISSING', remedy: expect.stringContaining('pgfollow teardown') });
    },
  );

test.concurrent('a kind of change was taken out of the publication: it is put back, and told', { timeout: 90_000 }, async () => {
  await using db = await testDatabases();
  await sql(db.source, FILL);
  await using running = await startCaughtUp(db);
  await each(db, `ALTER PUBLICATION "${db.name}" SET (publish = 'insert, update')`, 'DELETE FROM t WHERE id = 1');
  const event = await eventually(
    () => running.pipeline.events.after().find(({ code }) => code === 'PUBLICATION_ALTERED') ?? false,
  );
  expect(event).toMatchObject({ level: 'warn', remedy: expect.stringContaining('pgfollow validate') });
  await sql(db.source, `DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (3, 'c')`);
  await running.caughtUp();
  // Who purges the source alone does not want the rows gone.
  expect(await db.target.query('SELECT id FROM t ORDER BY id')).toEqual([{ id: '1' }, { id: '3' }]);
  expect(told(running)).toEqual([]);
});

test.concurrent(
  'altered and put back between two looks, or while pgfollow was away: told, once',
  { timeout: 90_000 },
  async () => {
    await using db = await testDatabases();
    await sql(db.source, FILL);
    // In one transaction, so that no look falls in between.
    const forAWhile = (): Promise<void> =>
      each(
        db,
        `ALTER PUBLICATION "${db.name}" SET (publish = 'insert'); ALTER PUBLICATION "${db.name}" SET (publish = 'insert, update, delete, truncate')`,
      );
    {
      await using running = await startCaughtUp(db);
      expect(altered(running)).toEqual([]);
      await forAWhile();
      await eventually(() => expect(altered(running)).toHaveLength(1), { timeout: 20_000 });
    }
    await each(
      db,
      `ALTER PUBLICATION "${db.name}" RENAME TO "${db.name}_x"; ALTER PUBLICATION "${db.name}_x" RENAME TO "${db.name}"`,
    );
    await using running = await startCaughtUp(db);
    await eventually(() => expect(altered(running)).toHaveLength(2));
    expect(altered(running)[1]).toMatchObject({ level: 'warn', remedy: expect.stringContaining('pgfollow validate') });
    // What pgfollow itself does there is no news.
    await sql(db.source, `CREATE TABLE w (id int PRIMARY KEY); INSERT INTO w VALUES (1)`);
    await becomesEqual(db, running, { timeout: 40_000 });
    expect(altered(running)).toHaveLength(2);
  },
);

function altered(running: RunningPipeline): unknown[] {
  return running.pipeline.events.after().filter(({ code }) => code === 'PUBLICATION_ALTERED');
}
