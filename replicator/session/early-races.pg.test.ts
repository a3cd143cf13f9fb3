import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { ownServers, sql, testDatabases, value, type Session, type TestDatabases } from '../testing/databases.ts';
import { earlyIsThere, followEarly } from '../testing/early.ts';
import { eventually } from '../testing/eventually.ts';
import type { RunningPipeline } from '../testing/run-pipeline.ts';

// A transaction in progress is applied early on one connection, while others' changes of the same tables come on another.

const DDL = `
  CREATE TABLE p (id int PRIMARY KEY, n int);
  CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE, n int NOT NULL DEFAULT 0, v text, parent int REFERENCES p);
  CREATE TABLE k (v int)`;
const FILL = `INSERT INTO p SELECT i, 0 FROM generate_series(1, 10) i;
  INSERT INTO t SELECT i, i, 0, repeat('x', 100), 1 + i % 10 FROM generate_series(1, 3000) i`;

const follow = (db: TestDatabases, ddl = DDL): Promise<RunningPipeline> => followEarly(db, { ddl, fill: FILL });

/** A transaction that has begun and has rows on the target, unseen. */
async function begun(db: TestDatabases, change: string): Promise<Session> {
  const session = await db.source.session();
  await sql(session, `BEGIN; ${change}`);
  await eventually(async () => {
    await sql(db.source, `SELECT pg_logical_emit_message(true, 'somebody', 'else')`);
    expect(await earlyIsThere(db)).toBe(true);
  });
  return session;
}

async function same(db: TestDatabases, running: RunningPipeline): Promise<void> {
  await running.caughtUp();
  await compareTables(db.source, db.target);
  const none = { insertExists: 0, updateMissing: 0, deleteMissing: 0 };
  for (const { conflicts } of running.pipeline.model.tables()) expect(conflicts).toEqual(none);
  expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
}

// Not possible while a session ends and the next one begins.
async function retried(running: RunningPipeline, table: string): Promise<void> {
  await eventually(async () => {
    if (running.pipeline.model.table(table)?.state === 'error') await running.pipeline.controls.retryTable(table, 'the test');
    expect(running.pipeline.model.table(table)?.state).toBe('streaming');
  });
}

test('unique values that others have just freed, and rows that they have just brought', async () => {
  await using db = await testDatabases();
  await using running = await follow(db);
  await using session = await begun(db, 'UPDATE t SET n = 1 WHERE id <= 2000');
  for (let round = 1; round <= 5; round++) {
    // Freed and brought by one that commits, taken and changed at once by the one in progress, with more to come than fits a piece.
    const id = 10_000 * round;
    await sql(db.source, `DELETE FROM t WHERE id = ${2500 + round}; UPDATE t SET u = -u WHERE id = ${2600 + round}`);
    await sql(db.source, `INSERT INTO t VALUES (${id}, ${id}, 0, 'new', 1), (${id + 1}, ${id + 1}, 0, 'new', 1)`);
    await sql(
      session,
      `UPDATE t SET u = ${2500 + round} WHERE id = ${id}; UPDATE t SET u = ${2600 + round} WHERE id = ${id + 1};
       UPDATE t SET n = n + 1, v = repeat('y', 100) WHERE id <= 2000`,
    );
    // The values that this frees stay taken until its commit.
    await sql(db.source, `UPDATE p SET n = n + 1 WHERE id = 1; INSERT INTO k VALUES (${round})`);
  }
  await running.caughtUp();
  expect(await earlyIsThere(db)).toBe(true);
  await sql(session, 'COMMIT');
  await same(db, running);
});

test('its parent rows are changed meanwhile, and its rows hang on those that come', async () => {
  await using db = await testDatabases();
  await using running = await follow(db);
  await using session = await begun(
    db,
    `INSERT INTO t SELECT i, i, 0, repeat('z', 100), 1 + i % 10 FROM generate_series(5001, 7000) i`,
  );
  await sql(db.source, 'UPDATE p SET n = n + 1; INSERT INTO p VALUES (11, 0)');
  await sql(session, 'UPDATE t SET parent = 11 WHERE id BETWEEN 5001 AND 6500');
  await sql(db.source, 'UPDATE p SET n = n + 1');
  await running.caughtUp();
  expect(await value(db.target, 'SELECT n FROM p WHERE id = 1')).toBe('2');
  await sql(session, 'COMMIT; DELETE FROM t WHERE parent = 1; DELETE FROM p WHERE id = 1');
  await same(db, running);
});

test('rows that it had changed and let go again are changed by others at once', async () => {
  await using db = await testDatabases();
  await using running = await follow(db);
  await using session = await begun(
    db,
    'UPDATE t SET n = 1 WHERE id <= 1000; SAVEPOINT s; UPDATE t SET n = 2, u = -u WHERE id > 1000',
  );
  for (let round = 1; round <= 4; round++) {
    await sql(session, 'ROLLBACK TO s');
    await sql(
      db.source,
      `UPDATE t SET n = n + 10, u = 100000 * ${round} + id WHERE id BETWEEN 1001 AND 1400; DELETE FROM t WHERE id = ${3000 - round}`,
    );
    await sql(session, `UPDATE t SET n = n + 3, v = repeat('w', 100) WHERE id BETWEEN 1401 AND 2900`);
    if (round % 2 === 0) await running.caughtUp();
  }
  await sql(session, 'COMMIT');
  await same(db, running);
});

test.each([
  ['the target has it already', 'before'],
  ['the target gets it later', 'later'],
])('a column is added inside; %s', async (_, when) => {
  await using db = await testDatabases();
  await using running = await follow(db);
  if (when === 'before') await sql(db.target, 'ALTER TABLE t ADD extra text');
  await using session = await begun(db, 'UPDATE t SET n = 1 WHERE id <= 2000');
  await sql(
    session,
    `ALTER TABLE t ADD extra text; UPDATE t SET n = 2, extra = 'e' || id; SAVEPOINT s; ALTER TABLE t ADD gone int; UPDATE t SET gone = 1 WHERE id < 1500`,
  );
  await sql(session, 'ROLLBACK TO s');
  await sql(db.source, 'INSERT INTO k VALUES (1)');
  await sql(session, 'DELETE FROM t WHERE id > 2900; COMMIT');
  if (when === 'later') {
    // Its table alone stops, with all that the transaction holds; the others go on.
    const error = await eventually(() => running.pipeline.model.table('public.t')?.error ?? false);
    expect(error).toMatchObject({ code: 'TARGET_COLUMN_MISSING' });
    await sql(db.source, 'INSERT INTO k VALUES (2)');
    await eventually(async () => expect(await value(db.target, 'SELECT count(*) FROM k')).toBe('2'));
    await sql(db.target, 'ALTER TABLE t ADD extra text');
    await retried(running, 'public.t');
  }
  await same(db, running);
});

test('whoever alters a table on the target, or locks it, does not wait for its commit', async () => {
  await using db = await testDatabases();
  await using running = await follow(db);
  for (const statement of [
    'ALTER TABLE t ADD local int DEFAULT 7',
    'CREATE INDEX ON t (n)',
    'BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE; COMMIT',
    'ALTER TABLE t DROP local',
  ]) {
    await using session = await begun(db, 'UPDATE t SET n = n + 1 WHERE id <= 2000');
    await sql(db.target, statement);
    await sql(session, 'COMMIT');
    await same(db, running);
  }
});

test('another table refuses a change of those that commit meanwhile: it alone stops, and the large one comes once', async () => {
  await using db = await testDatabases();
  await using running = await follow(db);
  await sql(db.target, 'ALTER TABLE p ADD CONSTRAINT low CHECK (n < 100)');
  await using session = await begun(db, 'UPDATE t SET n = 1 WHERE id <= 2000');
  await sql(db.source, 'UPDATE p SET n = 500 WHERE id = 2');
  await eventually(() => expect(running.pipeline.model.table('public.p')?.state).toBe('error'));
  await sql(session, 'UPDATE t SET n = n + 1; UPDATE p SET n = 7 WHERE id = 3; COMMIT');
  await running.caughtUp().catch(() => {});
  await eventually(async () => expect(await value(db.target, 'SELECT sum(n) FROM t')).toBe('5000'));
  await sql(db.target, 'ALTER TABLE p DROP CONSTRAINT low');
  await retried(running, 'public.p');
  await same(db, running);
});

test('the same table refuses a change of those that commit meanwhile: what the large one changes after that comes after that', async () => {
  await using db = await testDatabases();
  await using running = await follow(db);
  await sql(db.target, 'ALTER TABLE t ADD CONSTRAINT low CHECK (id < 5000)');
  await using session = await begun(db, 'UPDATE t SET n = 1 WHERE id <= 2000');
  await sql(db.source, 'INSERT INTO t (id) VALUES (5000)');
  await sql(session, 'UPDATE t SET n = 2 WHERE id = 5000; COMMIT');
  await eventually(() => expect(running.pipeline.model.table('public.t')?.state).toBe('error'));
  await sql(db.target, 'ALTER TABLE t DROP CONSTRAINT low');
  await retried(running, 'public.t');
  await same(db, running);
});

test('the large one itself is refused: before its commit nobody hears of it, then its table stops', async () => {
  await using db = await testDatabases();
  await using running = await follow(db);
  await sql(db.target, 'ALTER TABLE t ADD CONSTRAINT low CHECK (n < 100)');
  await using session = await begun(db, 'UPDATE t SET n = 1 WHERE id <= 2000');
  await sql(session, `UPDATE t SET n = 500, v = repeat('y', 100) WHERE id <= 1500`);
  await sql(db.source, 'INSERT INTO k VALUES (1); UPDATE p SET n = 1');
  await running.caughtUp();
  expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
  await sql(session, 'COMMIT');
  await eventually(() => expect(running.pipeline.model.table('public.t')?.state).toBe('error'));
  await sql(db.target, 'ALTER TABLE t DROP CONSTRAINT low');
  await retried(running, 'public.t');
  await same(db, running);
});

test(
  'the target is killed and comes back again and again while large and small ones run on the same rows',
  { timeout: 180_000 },
  async () => {
    await using db = await ownServers();
    await using running = await follow(db);
    const over = new AbortController();
    const large = async (seed: number): Promise<void> => {
      await using session = await db.source.session();
      for (let round = 0; !over.signal.aborted; round++) {
        const from = 1 + 1000 * seed;
        await sql(session, `BEGIN; SELECT FROM t WHERE id BETWEEN ${from} AND ${from + 999} ORDER BY id FOR UPDATE`);
        await sql(session, `UPDATE t SET n = n + 1 WHERE id BETWEEN ${from} AND ${from + 999}`);
        await sleep(50);
        await sql(session, `SAVEPOINT s; UPDATE t SET u = -u WHERE id BETWEEN ${from} AND ${from + 499}`);
        if (round % 2 === 0) await sql(session, 'ROLLBACK TO s');
        await sql(session, `UPDATE t SET v = repeat('${round % 10}', 100) WHERE id BETWEEN ${from} AND ${from + 999}`);
        await sql(session, round % 5 === 4 ? 'ROLLBACK' : 'COMMIT');
      }
    };
    const small = async (): Promise<void> => {
      await using session = await db.source.session();
      for (let round = 0; !over.signal.aborted; round++) {
        await sql(
          session,
          `UPDATE t SET n = n + 1 WHERE id = ${1 + ((round * 37) % 3000)}; UPDATE p SET n = n + 1; INSERT INTO k VALUES (${round % 5})`,
        );
        await sleep(10);
      }
    };
    const writers = Promise.all([large(0), large(1), large(2), small()]);
    try {
      for (let round = 0; round < 4; round++) {
        await sleep(700);
        await db.target.server?.kill();
        await sleep(100);
        await db.target.server?.start();
      }
      await sleep(500);
    } finally {
      over.abort();
      await writers;
    }
    await running.caughtUp(120_000);
    await compareTables(db.source, db.target);
  },
);
