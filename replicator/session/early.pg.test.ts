import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value, type Session, type TestDatabases } from '../testing/databases.ts';
import { earlyIsThere, followEarly } from '../testing/early.ts';
import { eventually } from '../testing/eventually.ts';
import type { RunningPipeline } from '../testing/run-pipeline.ts';

const DDL = 'CREATE TABLE t (id int PRIMARY KEY, n int, v text); CREATE TABLE k (id int)';
const FILL = `INSERT INTO t SELECT i, 0, repeat('x', 100) FROM generate_series(1, 3000) i`;

const follow = (db: TestDatabases, settings: Record<string, unknown> = {}): Promise<RunningPipeline> =>
  followEarly(db, { ddl: DDL, fill: FILL }, settings);

/** Keeps the source decoding until the transaction in progress has rows on the target. */
async function applied(db: TestDatabases): Promise<void> {
  await eventually(async () => {
    await sql(db.source, `SELECT pg_logical_emit_message(true, 'somebody', 'else')`);
    expect(await earlyIsThere(db)).toBe(true);
  });
}

/** A transaction that has begun and is there. */
async function begun(db: TestDatabases, change = 'UPDATE t SET n = 1 WHERE id <= 2000'): Promise<Session> {
  const session = await db.source.session();
  await sql(session, `BEGIN; ${change}`);
  await applied(db);
  return session;
}

test('what is in progress is on the target before its commit, unseen; what others commit goes on; all counts once', async () => {
  await using db = await testDatabases();
  await using running = await follow(db);
  await using session = await begun(db);
  const before = running.pipeline.model.status().totals;
  // Rows that another transaction changes first, and it then.
  await sql(db.source, `UPDATE t SET n = n + 100, v = repeat('y', 90) WHERE id > 2000`);
  await sql(session, `UPDATE t SET n = n + 1 WHERE id > 2500; INSERT INTO t VALUES (9000, 9, 'new')`);
  await sql(db.source, `INSERT INTO k VALUES (1); UPDATE t SET n = n + 7 WHERE id BETWEEN 2001 AND 2100`);
  await sql(session, 'SAVEPOINT s; UPDATE t SET n = -1 WHERE id <= 10; RELEASE s');
  await running.caughtUp();
  expect(await value(db.target, 'SELECT count(*) FROM t WHERE n = 1 OR id >= 9000')).toBe('0');
  // Where others had to wait for its rows it has gone, and comes again.
  await applied(db);
  expect(await value(db.target, 'SELECT count(*) FROM t WHERE n = 1 OR id >= 9000')).toBe('0');
  expect(running.pipeline.model.status().totals.update - before.update).toBe(1100);
  await sql(session, 'COMMIT');
  await running.caughtUp();
  await compareTables(db.source, db.target);
  expect(await earlyIsThere(db)).toBe(false);
  expect(running.pipeline.model.status().totals).toMatchObject({
    update: before.update + 1100 + 2000 + 500 + 10,
    insert: before.insert + 2,
  });
  expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
});

test('what is undone on the source, in part or as a whole, is undone on the target', async () => {
  await using db = await testDatabases();
  await using running = await follow(db);
  await using session = await begun(db, 'SAVEPOINT s; UPDATE t SET n = 1');
  // Somebody else changes rows that it had changed: on the target nothing of it may be in the way.
  await sql(session, 'ROLLBACK TO s');
  await sql(db.source, 'UPDATE t SET n = n + 10 WHERE id < 100');
  await running.caughtUp();
  await compareTables(db.source, db.target);
  await sql(session, `INSERT INTO t SELECT i, 5, repeat('z', 100) FROM generate_series(4000, 6000) i; COMMIT`);
  await running.caughtUp();
  await compareTables(db.source, db.target);
  await using third = await begun(db, 'SAVEPOINT s; UPDATE t SET n = 33');
  await sql(
    third,
    `ROLLBACK TO s; INSERT INTO t SELECT i, 0, repeat(md5(i::text), 3) FROM generate_series(7001, 9000) i; COMMIT`,
  );
  await running.caughtUp();
  await compareTables(db.source, db.target);
  await using other = await begun(db, 'DELETE FROM t WHERE id % 2 = 0; UPDATE t SET n = 3');
  await sql(other, 'ROLLBACK');
  expect(running.pipeline.events.after().map((event) => event.code)).not.toContain('STREAM_INVALID');
  await eventually(async () => expect(await earlyIsThere(db)).toBe(false));
  await sql(db.source, 'UPDATE t SET n = n + 10 WHERE id < 100');
  await running.caughtUp();
  await compareTables(db.source, db.target);
});

test('whoever waits for it on the target has its turn, and it comes at its commit', async () => {
  await using db = await testDatabases();
  await using running = await follow(db);
  // More than once: other things may come in between and end it too.
  for (let round = 1; round <= 3; round++) {
    await using session = await begun(db, `UPDATE t SET n = ${round} WHERE id <= 2000`);
    // It would wait for ever: the transaction on the source stays open.
    await sql(db.target, 'UPDATE t SET v = v WHERE id = 1');
    expect(await earlyIsThere(db)).toBe(false);
    await sql(session, 'COMMIT');
    await running.caughtUp();
    await compareTables(db.source, db.target);
  }
});

test('a change that comes later and commits earlier is not held up, even where the target has a constraint of its own', async () => {
  await using db = await testDatabases();
  await using running = await follow(db);
  await sql(db.target, 'CREATE UNIQUE INDEX ON t (n) WHERE n > 100');
  await using session = await begun(db, 'UPDATE t SET n = 10000 + id WHERE id <= 2000');
  // Nobody knows on the source that these two collide on the target; here the one that is committed comes first.
  await sql(session, 'UPDATE t SET n = 0 WHERE id = 1');
  await sql(db.source, 'UPDATE t SET n = 10001 WHERE id = 2500');
  await running.caughtUp();
  expect(await value(db.target, 'SELECT n FROM t WHERE id = 2500')).toBe('10001');
  await sql(session, 'COMMIT');
  await sql(db.target, 'DROP INDEX t_n_idx');
  await running.caughtUp();
  await compareTables(db.source, db.target);
});

test('nothing stays open while the pipeline is paused', async () => {
  await using db = await testDatabases();
  await using running = await follow(db);
  await using session = await begun(db);
  await running.pipeline.controls.pause('the test');
  await eventually(async () => expect(await earlyIsThere(db)).toBe(false));
  await running.pipeline.controls.resume('the test');
  await sql(session, 'COMMIT');
  await running.caughtUp();
  await compareTables(db.source, db.target);
});

test('a table that is copied again meanwhile has each row once', async () => {
  await using db = await testDatabases();
  await using running = await follow(db);
  await using session = await begun(db);
  await running.pipeline.controls.resyncTable('public.t', 'the test');
  await sleep(300);
  await sql(session, 'UPDATE t SET n = n + 1; COMMIT');
  await running.caughtUp();
  await eventually(() => compareTables(db.source, db.target));
});

test.each([
  ['of a table without a key', `INSERT INTO k SELECT i FROM generate_series(1, 20000) i; DELETE FROM k WHERE id % 2 = 0`],
  ['that empties a table', `TRUNCATE t; ${FILL}`],
])('one %s waits for its commit', async (_, change) => {
  await using db = await testDatabases();
  await using running = await follow(db);
  await using session = await db.source.session();
  await sql(session, `BEGIN; ${change}`);
  await sql(db.source, `SELECT pg_logical_emit_message(true, 'somebody', 'else')`);
  await running.caughtUp();
  await sql(session, change);
  await sql(session, 'COMMIT');
  await running.caughtUp();
  await compareTables(db.source, db.target);
  expect(await earlyIsThere(db)).toBe(false);
});

test('its connection is ended: the session begins again, and it comes once', async () => {
  await using db = await testDatabases();
  await using running = await follow(db);
  await using session = await begun(db);
  const end = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1';
  await sql(db.target, end, [`pgfollow ${db.name} early`]);
  await sql(db.source, 'INSERT INTO k VALUES (1)');
  await running.caughtUp();
  await sql(session, 'INSERT INTO k VALUES (2); COMMIT');
  await running.caughtUp();
  await compareTables(db.source, db.target);
  expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
});

test('large transactions and small ones on the same rows, some undone: the target ends up equal, and never shows half of one', async () => {
  await using db = await testDatabases();
  await using running = await follow(db);
  const over = new AbortController();
  const faults: string[] = [];
  await using eyes = await db.target.session();
  // Whatever is committed adds as much to some rows as it takes from others.
  const watching = (async () => {
    while (!over.signal.aborted) {
      const sum = await value(eyes, 'SELECT sum(n) FROM t');
      if (sum !== '0') faults.push(String(sum));
      await sleep(5);
    }
  })();
  const work = async (seed: number): Promise<void> => {
    await using session = await db.source.session();
    for (let round = 0; round < 5; round++) {
      const large = (seed + round) % 3 !== 0;
      const rows = large ? 1200 : 10;
      const from = seed * 500 + 1;
      const move = `UPDATE t SET n = n + CASE WHEN id % 2 = 0 THEN 1 ELSE -1 END WHERE id BETWEEN ${from} AND ${from + rows - 1}`;
      const undone =
        round % 2 === 0 ? `SAVEPOINT s; UPDATE t SET n = 77 WHERE id BETWEEN ${from} AND ${from + rows / 2}; ROLLBACK TO s;` : '';
      await sql(
        session,
        `BEGIN; SELECT FROM t WHERE id BETWEEN ${from} AND ${from + rows - 1} ORDER BY id FOR UPDATE; ${move}; ${undone} ${move}`,
      );
      await sleep(20 * seed);
      await sql(session, `${move}; ${round === 3 ? 'ROLLBACK' : 'COMMIT'}`);
    }
  };
  await Promise.all([work(0), work(1), work(2), work(3)]);
  await running.caughtUp();
  over.abort();
  await watching;
  expect(faults).toEqual([]);
  await compareTables(db.source, db.target);
  expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
});
