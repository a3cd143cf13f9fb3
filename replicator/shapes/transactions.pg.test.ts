import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startCaughtUp, startPipeline, type RunningPipeline } from '../testing/run-pipeline.ts';

const SMALL = { apply: { maxBatchBytes: '64kB', onError: 'pipeline' } };

async function follow(db: TestDatabases, ddl: string, settings: Record<string, unknown> = {}): Promise<RunningPipeline> {
  for (const side of [db.source, db.target]) await sql(side, ddl);
  return await startCaughtUp(db, settings);
}

/** Everything that somebody who looks at the target all the time gets to see of `query`, each answer once, in order. */
async function watch(db: TestDatabases, query: string, during: () => Promise<void>): Promise<string[]> {
  await using eyes = await db.target.session();
  const seen: string[] = [];
  const over = new AbortController();
  const watching = (async () => {
    // How it ends is looked at in any case.
    for (let last = false; !last; await sleep(1)) {
      last = over.signal.aborted;
      const now = (await value(eyes, query)) ?? 'NULL';
      if (now !== seen.at(-1)) seen.push(now);
    }
  })();
  try {
    await during();
  } finally {
    over.abort();
    await watching;
  }
  return seen;
}

describe('a transaction larger than a batch may be', () => {
  const TABLES = 'CREATE TABLE t (id int PRIMARY KEY, v text, n int); CREATE TABLE log (line text)';
  const both = `SELECT (SELECT count(*) FROM t) || ' ' || (SELECT coalesce(sum(n), 0) FROM t) || ' ' || (SELECT count(*) FROM log)`;
  const many = `INSERT INTO t SELECT i, repeat('x', 200), 0 FROM generate_series(1, 4000) i; INSERT INTO log SELECT 'line ' || i % 100 FROM generate_series(1, 2000) i`;

  test('is never visible in part, and applied once', async () => {
    await using db = await testDatabases();
    await using running = await follow(db, TABLES, SMALL);
    const seen = await watch(db, both, async () => {
      await sql(db.source, many);
      await running.caughtUp();
      await sql(db.source, `UPDATE t SET n = n + 1; DELETE FROM log WHERE line = 'line 7'; INSERT INTO t VALUES (5000, '', 10)`);
      await running.caughtUp();
      await sql(
        db.source,
        `INSERT INTO t VALUES (5001, '', 0); TRUNCATE log; INSERT INTO log VALUES ('first'); UPDATE t SET id = -id, v = NULL; TRUNCATE log; ${many.replaceAll('i % 100', 'i')}`,
      );
      await running.caughtUp();
      await sql(db.source, 'DELETE FROM t WHERE id < 0 AND id % 2 = 0; DELETE FROM log');
      await running.caughtUp();
    });
    expect(seen).toEqual(['0 0 0', '4000 0 2000', '4001 4010 1980', '8002 4010 2000', '6001 2000 0']);
    await compareTables(db.source, db.target);
    expect(running.pipeline.model.status()).toMatchObject({ problems: [], totals: { truncate: 2 } });
  });

  test('leaves nothing behind when it was rolled back', async () => {
    await using db = await testDatabases();
    await using running = await follow(db, TABLES, SMALL);
    await sql(db.source, `BEGIN; ${many}; ROLLBACK`);
    await sql(db.source, `BEGIN; SAVEPOINT s; ${many}; ROLLBACK TO s; INSERT INTO t VALUES (1, 'kept', 1); COMMIT`);
    await running.caughtUp();
    await compareTables(db.source, db.target);
    expect(running.pipeline.model.status().totals).toMatchObject({ insert: 1 });
  });

  test('whose pieces the target takes only in order: values swapped under a unique index, all along', async () => {
    await using db = await testDatabases();
    await using running = await follow(db, 'CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE, pad text)', SMALL);
    await sql(db.source, `INSERT INTO t SELECT i, i, 'pad' FROM generate_series(1, 8000) i`);
    await running.caughtUp();
    await sql(
      db.source,
      `DO $$ BEGIN FOR i IN 1..3999 LOOP
         UPDATE t SET u = NULL WHERE id = i; UPDATE t SET u = i WHERE id = 8000 - i; UPDATE t SET u = 8000 - i, pad = 'swapped' WHERE id = i; END LOOP; END $$`,
    );
    await running.caughtUp();
    await compareTables(db.source, db.target);
  });

  test('of which rows are missing on the target, in its later pieces too: they are counted, and the rest comes', async () => {
    await using db = await testDatabases();
    await using running = await follow(db, TABLES, SMALL);
    await sql(db.source, many);
    await running.caughtUp();
    await sql(db.target, 'DELETE FROM t WHERE id IN (1, 2000, 3999)');
    await sql(db.source, 'UPDATE t SET n = n + 1');
    await running.caughtUp();
    expect(await value(db.target, 'SELECT count(*) FROM t WHERE n = 1')).toBe('3997');
    expect(running.pipeline.model.table('public.t')?.conflicts).toMatchObject({ updateMissing: 3 });
    expect(running.pipeline.model.status().problems).toEqual([]);
  });

  test('that the target refuses near its end: nothing of it stays, and it comes whole once it may', async () => {
    await using db = await testDatabases();
    await using running = await follow(db, TABLES, SMALL);
    await sql(db.target, `ALTER TABLE t ADD CONSTRAINT c CHECK (n < 5)`);
    const seen = await watch(db, both, async () => {
      await sql(db.source, `${many}; INSERT INTO t VALUES (9999, '', 7)`);
      await eventually(() =>
        expect(running.pipeline.model.status().problems).toMatchObject([
          { code: 'APPLY_FAILED', message: expect.stringContaining('id=9999') },
        ]),
      );
      await sql(db.target, 'ALTER TABLE t DROP CONSTRAINT c');
      await running.caughtUp();
    });
    expect(seen).toEqual(['0 0 0', '4001 7 2000']);
    await compareTables(db.source, db.target);
  });

  test('of single values of megabytes', async () => {
    await using db = await testDatabases();
    await using running = await follow(
      db,
      'CREATE TABLE t (id int PRIMARY KEY, v text, b bytea); CREATE TABLE k (v text)',
      SMALL,
    );
    await sql(
      db.source,
      `INSERT INTO t SELECT i, repeat('ä' || i, 3000000), decode(repeat('0' || i, 2000000), 'hex') FROM generate_series(1, 3) i; INSERT INTO k SELECT v FROM t; INSERT INTO k SELECT v FROM t`,
    );
    await sql(
      db.source,
      `UPDATE t SET v = v || 'end' WHERE id = 1; UPDATE t SET b = NULL WHERE id = 2; DELETE FROM k WHERE ctid = (SELECT min(ctid) FROM k WHERE v LIKE 'ä2%')`,
    );
    await running.caughtUp();
    const digest = `SELECT (SELECT string_agg(md5(id || v || coalesce(md5(b), '')), ',' ORDER BY id) FROM t) || (SELECT string_agg(md5(v), ',' ORDER BY md5(v)) FROM k)`;
    expect(await value(db.target, digest)).toBe(await value(db.source, digest));
  });
});

test('transactions that hold nothing, or nothing that is followed', async () => {
  await using db = await testDatabases();
  await using running = await follow(db, 'CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE other (id int PRIMARY KEY)', {
    tables: { exclude: ['public.other'] },
  });
  await sql(db.source, 'BEGIN; COMMIT');
  for (let i = 0; i < 20; i++)
    await sql(db.source, `INSERT INTO other VALUES (${i}); ${i % 4 === 0 ? `INSERT INTO t VALUES (${i})` : ''}`);
  await sql(db.source, `BEGIN; SAVEPOINT a; INSERT INTO t VALUES (100); ROLLBACK TO a; COMMIT`);
  await sql(
    db.source,
    `SELECT pg_logical_emit_message(true, 'somebody', 'else'), pg_logical_emit_message(false, 'somebody', 'else'), pg_logical_emit_message(true, 'pgfollow', 'of another pipeline')`,
  );
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.t');
  expect(await value(db.target, 'SELECT count(*) FROM other')).toBe('0');
  expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', totals: { insert: 5 } });
});

test('savepoints: what was rolled back to is not there, in any depth', async () => {
  await using db = await testDatabases();
  await using running = await follow(db, 'CREATE TABLE t (id int PRIMARY KEY, v text)', SMALL);
  await sql(
    db.source,
    `BEGIN; INSERT INTO t VALUES (1, 'a'); SAVEPOINT a; UPDATE t SET v = 'b'; SAVEPOINT b; DELETE FROM t; INSERT INTO t SELECT i, 'c' FROM generate_series(1, 3000) i; ROLLBACK TO b;
     INSERT INTO t VALUES (2, 'd'); RELEASE b; SAVEPOINT c; TRUNCATE t; ROLLBACK TO a; INSERT INTO t VALUES (3, 'e'); COMMIT`,
  );
  await sql(
    db.source,
    `DO $$ BEGIN FOR i IN 10..300 LOOP BEGIN INSERT INTO t VALUES (i, 'sub'); IF i % 3 = 0 THEN RAISE EXCEPTION 'no'; END IF; EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$`,
  );
  await running.caughtUp();
  await compareTables(db.source, db.target);
  expect(await value(db.target, 'SELECT v FROM t WHERE id = 1')).toBe('a');
});

test('prepared transactions arrive at COMMIT PREPARED, and never when rolled back', async () => {
  await using db = await testDatabases();
  await using running = await follow(db, 'CREATE TABLE t (id int PRIMARY KEY, v text)');
  await sql(db.source, `BEGIN; INSERT INTO t VALUES (1, 'prepared'); PREPARE TRANSACTION '${db.name} 1'`);
  await sql(db.source, `BEGIN; INSERT INTO t VALUES (2, 'given up'); PREPARE TRANSACTION '${db.name} 2'`);
  await sql(db.source, `INSERT INTO t VALUES (3, 'in between')`);
  await running.caughtUp();
  expect(await value(db.target, `SELECT string_agg(id::text, ',') FROM t`)).toBe('3');
  await sql(db.source, `ROLLBACK PREPARED '${db.name} 2'`);
  await sql(db.source, `UPDATE t SET v = 'later' WHERE id = 3`);
  await sql(db.source, `COMMIT PREPARED '${db.name} 1'`);
  await running.caughtUp();
  await compareTables(db.source, db.target);
});

test('a transaction that was open at the start is in the copy or in the stream, once', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target])
    await sql(side, 'CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE k (v text)');
  await using open = await db.source.session();
  await sql(open, `BEGIN; INSERT INTO t VALUES (1, 'open'); INSERT INTO k VALUES ('open')`);
  await sql(db.source, `INSERT INTO t VALUES (2, 'committed'); INSERT INTO k VALUES ('committed')`);
  await using running = startPipeline(db);
  await sleep(700);
  await sql(db.source, `INSERT INTO t VALUES (3, 'during'); INSERT INTO k VALUES ('during')`);
  await sql(open, `INSERT INTO k VALUES ('open'); COMMIT`);
  await sql(db.source, `INSERT INTO k VALUES ('after'); UPDATE t SET v = v || '!'`);
  await running.caughtUp();
  await compareTables(db.source, db.target);
});
