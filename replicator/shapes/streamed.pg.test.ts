import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value, type Session, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startCaughtUp, startPipeline, type RunningPipeline } from '../testing/run-pipeline.ts';

/** Little memory on both sides: everything that is larger than a few rows comes in stretches and goes to disk. */
const SMALL = { apply: { maxBatchBytes: '64kB' } };

/** A source that streams whatever is larger than 64 kB. */
async function streamingDatabases(): Promise<TestDatabases> {
  const db = await testDatabases();
  await sql(db.source, `ALTER DATABASE ${db.source.name} SET logical_decoding_work_mem = '64kB'`);
  return db;
}

async function follow(db: TestDatabases, ddl: string, settings: Record<string, unknown> = SMALL): Promise<RunningPipeline> {
  for (const side of [db.source, db.target]) await sql(side, ddl);
  return await startCaughtUp(db, settings);
}

/** Some transactions were streamed; a source counts them a moment later. */
async function hasStreamed(db: TestDatabases, least: number): Promise<void> {
  await eventually(async () => expect(await streamed(db)).toBeGreaterThanOrEqual(least));
}

/** So many transactions the source has begun to stream to us. */
async function streamed(db: TestDatabases): Promise<number> {
  return Number(await value(db.source, 'SELECT stream_txns FROM pg_stat_replication_slots WHERE slot_name = $1', [db.name]));
}

/** Resolves once so many of the open transactions have begun to arrive. */
async function arriving(db: TestDatabases, count: number): Promise<void> {
  await eventually(async () => {
    // Decoding goes on where there is something new.
    await sql(db.source, `SELECT pg_logical_emit_message(false, 'somebody', 'else', true)`).catch(() =>
      sql(db.source, `SELECT pg_logical_emit_message(true, 'somebody', 'else')`),
    );
    expect(await streamed(db)).toBeGreaterThanOrEqual(count);
  });
}

const rows = (table: string, from: number, to: number): string =>
  `INSERT INTO ${table} SELECT i, repeat('x', 100) || i FROM generate_series(${from}, ${to}) i`;

describe('transactions that arrive while they are in progress', () => {
  test('in turns, each with its savepoints; some are undone; small ones in between are there at once', async () => {
    await using db = await streamingDatabases();
    await using running = await follow(db, 'CREATE TABLE t (id int PRIMARY KEY, v text)');
    const open: Session[] = [];
    for (let i = 0; i < 4; i++) open.push(await db.source.session());
    const [a, b, c, d] = open as [Session, Session, Session, Session];
    for (const [i, session] of open.entries()) await sql(session, `BEGIN; ${rows('t', i * 10_000, i * 10_000 + 2000)}`);
    await arriving(db, 4);
    await sql(db.source, `INSERT INTO t VALUES (-1, 'in between')`);
    await running.caughtUp();
    expect(await value(db.target, 'SELECT string_agg(id::text, $1) FROM t', [','])).toBe('-1');
    await sql(a, `SAVEPOINT s; ${rows('t', 2001, 5000)}; UPDATE t SET v = 'gone' WHERE id < 1000`);
    await sql(b, `SAVEPOINT s; ${rows('t', 12_001, 14_000)}; SAVEPOINT inner_; UPDATE t SET v = 'kept' WHERE id > 13000`);
    await sql(c, rows('t', 22_001, 24_000));
    await sql(a, `ROLLBACK TO s; ${rows('t', 3001, 3500)}`);
    await sql(b, 'RELEASE inner_; DELETE FROM t WHERE id % 2 = 0');
    await sql(c, 'ROLLBACK');
    await sql(d, 'DELETE FROM t WHERE id % 3 = 0; COMMIT');
    await sql(db.source, `UPDATE t SET v = 'after d' WHERE id = 30001`);
    await sql(b, 'ROLLBACK TO s; COMMIT');
    await running.caughtUp();
    await compareTables(db.source, db.target);
    await sql(a, 'COMMIT');
    await running.caughtUp();
    await compareTables(db.source, db.target);
    expect(await value(db.target, `SELECT v FROM t WHERE id = 30001`)).toBe('after d');
    expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
    for (const session of open) await session.end();
  });

  test('with subtransactions by the hundred, a third of them undone', async () => {
    await using db = await streamingDatabases();
    await using running = await follow(db, 'CREATE TABLE t (id int PRIMARY KEY, v text)');
    await sql(
      db.source,
      `DO $$ BEGIN FOR i IN 1..600 LOOP BEGIN
         INSERT INTO t SELECT i * 100 + n, repeat('v', 50) FROM generate_series(1, 20) n;
         BEGIN UPDATE t SET v = 'inner' WHERE id = i * 100 + 1; IF i % 5 = 0 THEN RAISE EXCEPTION 'no'; END IF; EXCEPTION WHEN OTHERS THEN NULL; END;
         IF i % 3 = 0 THEN RAISE EXCEPTION 'no'; END IF; EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$`,
    );
    await running.caughtUp();
    await hasStreamed(db, 1);
    await compareTables(db.source, db.target);
    expect(await value(db.target, 'SELECT count(*) FROM t')).toBe('8000');
  });

  test('with a column added inside: it counts from there on, and not at all where it is undone', async () => {
    await using db = await streamingDatabases();
    const ddl = 'CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE u (id int PRIMARY KEY, v text)';
    await using running = await follow(db, ddl);
    await sql(db.target, 'ALTER TABLE t ADD COLUMN extra text');
    await using session = await db.source.session();
    // Undone as a whole, undone in part, and committed; what comes after it is described as it was left.
    await sql(session, `BEGIN; ${rows('t', 1, 2000)}; ALTER TABLE t ADD COLUMN never int; UPDATE t SET never = id; ROLLBACK`);
    await sql(session, rows('t', 1, 10));
    await sql(session, `BEGIN; ${rows('t', 11, 2000)}; SAVEPOINT s; ALTER TABLE t ADD COLUMN never int; UPDATE t SET never = id`);
    await sql(session, `ROLLBACK TO s; ${rows('t', 2001, 4000)}; ${rows('u', 1, 2000)}; COMMIT`);
    await sql(session, `BEGIN; ${rows('t', 4001, 6000)}; ALTER TABLE t ADD COLUMN extra text; ${rows('u', 2001, 3000)}`);
    await sql(session, `UPDATE t SET extra = 'e' || id WHERE id > 3000; COMMIT`);
    await sql(session, `INSERT INTO t VALUES (0, 'after', 'extra'); INSERT INTO u VALUES (0, 'after')`);
    await running.caughtUp();
    await hasStreamed(db, 2);
    await compareTables(db.source, db.target);
  });

  test('that the source itself cannot stream come at their commit', async () => {
    await using db = await streamingDatabases();
    await using running = await follow(db, 'CREATE TABLE t (id int PRIMARY KEY, v text)');
    await sql(db.target, 'ALTER TABLE t ADD COLUMN extra text');
    await using session = await db.source.session();
    // PostgreSQL 14 to 18 at least end the stream here: "could not map filenumber … to relation OID".
    await sql(
      session,
      `BEGIN; ${rows('t', 1, 2000)}; SAVEPOINT s; ALTER TABLE t ADD COLUMN never int; UPDATE t SET never = id; ROLLBACK TO s; ${rows('t', 2001, 4000)}`,
    );
    await sql(session, `ALTER TABLE t ADD COLUMN extra text; UPDATE t SET extra = 'e' || id WHERE id > 3000; COMMIT`);
    await running.caughtUp();
    await compareTables(db.source, db.target);
    expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
  });

  test('with TRUNCATE inside, of values kept out of line, and of tables without a key', async () => {
    await using db = await streamingDatabases();
    const ddl = `CREATE TABLE t (id int PRIMARY KEY, n int, long text); ALTER TABLE t ALTER long SET STORAGE EXTERNAL;
                 CREATE TABLE k (a int, b text); CREATE TABLE r (id serial, v text)`;
    await using running = await follow(db, ddl);
    await sql(
      db.source,
      `BEGIN; INSERT INTO t SELECT i, 0, repeat(md5(i::text), 200) FROM generate_series(1, 300) i; ${rows('k', 1, 1000)}; ${rows('k', 1, 1000)};
       INSERT INTO r (v) SELECT 'r' FROM generate_series(1, 3000); UPDATE t SET n = n + 1; DELETE FROM k WHERE ctid IN (SELECT min(ctid) FROM k WHERE a % 2 = 0 GROUP BY a);
       TRUNCATE r RESTART IDENTITY; INSERT INTO r (v) SELECT 's' FROM generate_series(1, 2000); UPDATE t SET long = long || '!' WHERE id % 7 = 0; UPDATE t SET id = -id WHERE id % 5 = 0; COMMIT`,
    );
    await sql(
      db.source,
      `BEGIN; UPDATE k SET b = 'same'; UPDATE t SET n = n + 1; SAVEPOINT s; TRUNCATE k, t; ROLLBACK TO s; DELETE FROM k WHERE a > 900; COMMIT`,
    );
    await running.caughtUp();
    await hasStreamed(db, 2);
    await compareTables(db.source, db.target);
    const none = { insertExists: 0, updateMissing: 0, deleteMissing: 0 };
    for (const { conflicts } of running.pipeline.model.tables()) expect(conflicts).toEqual(none);
  });

  test('prepared on the way: there at COMMIT PREPARED, once, also when we were away at PREPARE or at the commit', async () => {
    await using db = await streamingDatabases();
    const ddl = 'CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE k (id int, v text)';
    let running = await follow(db, ddl);
    const prepare = (n: number): string =>
      `BEGIN; ${rows('t', n * 10_000, n * 10_000 + 1500)}; ${rows('k', n, n + 1500)}; PREPARE TRANSACTION '${db.name} ${n}'`;
    try {
      for (const n of [1, 2, 3]) await sql(db.source, prepare(n));
      await arriving(db, 3);
      await sql(db.source, `ROLLBACK PREPARED '${db.name} 3'`);
      await sql(db.source, `COMMIT PREPARED '${db.name} 1'`);
      await running.caughtUp();
      await compareTables(db.source, db.target);
      await running.stop();
      await sql(db.source, prepare(4));
      running = startPipeline(db, SMALL);
      await running.caughtUp();
      await running.stop();
      await sql(db.source, `COMMIT PREPARED '${db.name} 2'`);
      running = startPipeline(db, SMALL);
      await running.caughtUp();
      await sql(db.source, `COMMIT PREPARED '${db.name} 4'`);
      await running.caughtUp();
      await compareTables(db.source, db.target);
      expect(await value(db.target, 'SELECT count(*) FROM k')).toBe('4503');
    } finally {
      await running.stop();
    }
  });

  test('with apply.streaming: off they come at their commit', async () => {
    await using db = await streamingDatabases();
    await using running = await follow(db, 'CREATE TABLE t (id int PRIMARY KEY, v text)', { apply: { streaming: 'off' } });
    await sql(db.source, rows('t', 1, 5000));
    await running.caughtUp();
    expect(await streamed(db)).toBe(0);
    await compareTables(db.source, db.target);
  });

  test('more than there is room for: it is said, and they come at their commit', async () => {
    await using db = await streamingDatabases();
    const apply = { maxBatchBytes: '64kB', maxSpillBytes: '1MB' };
    await using running = await follow(db, 'CREATE TABLE t (id int PRIMARY KEY, v text)', { apply });
    await using session = await db.source.session();
    await sql(session, `BEGIN; ${rows('t', 1, 20_000)}`);
    await eventually(() => expect(running.pipeline.events.after().map((event) => event.code)).toContain('SPILL_FAILED'));
    await sql(db.source, `INSERT INTO t VALUES (0, 'meanwhile')`);
    await running.caughtUp();
    expect(await value(db.target, 'SELECT count(*) FROM t')).toBe('1');
    await sql(session, 'COMMIT');
    await running.caughtUp();
    await compareTables(db.source, db.target);
    expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
  });
});

test('a large one takes disk, not memory, and its reading waits for the target', async () => {
  await using db = await streamingDatabases();
  await using running = await follow(db, 'CREATE TABLE t (id int PRIMARY KEY, v text)', { apply: { maxBatchBytes: '1MB' } });
  const { model } = running.pipeline;
  const most = { memory: 0, disk: 0 };
  const over = new AbortController();
  const watching = (async () => {
    while (!over.signal.aborted) {
      most.memory = Math.max(most.memory, model.stream.queueReading.bytes);
      most.disk = Math.max(most.disk, model.stream.spillBytes);
      await sleep(5);
    }
  })();
  await sql(db.source, rows('t', 1, 150_000));
  await running.caughtUp();
  over.abort();
  await watching;
  expect(await value(db.target, 'SELECT count(*) FROM t')).toBe('150000');
  // It is looked every 100 ms, and in the end it is 17 MB.
  expect(most.disk).toBeGreaterThan(8 << 20);
  expect(most.memory).toBeLessThan(2 << 20);
  await eventually(() => expect(model.stream.spillBytes).toBe(0));
});

test('a table that is copied beside the stream while transactions are in progress: each row once', async () => {
  await using db = await streamingDatabases();
  const ddl = 'CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE k (id int, v text)';
  await using running = await follow(db, ddl);
  const open: Session[] = [];
  for (let i = 0; i < 3; i++) open.push(await db.source.session());
  for (const [i, session] of open.entries())
    await sql(session, `BEGIN; ${rows('t', i * 10_000, i * 10_000 + 1500)}; ${rows('k', 1, 1500)}`);
  await arriving(db, 3);
  const { controls } = running.pipeline;
  for (const table of ['public.k', 'public.t']) await controls.resyncTable(table, 'the test');
  for (const [i, session] of open.entries()) {
    await sleep(150);
    await sql(session, `${rows('k', 1, 200)}; ${i === 1 ? 'ROLLBACK' : 'COMMIT'}`);
  }
  await running.caughtUp();
  await eventually(() => compareTables(db.source, db.target));
  for (const session of open) await session.end();
});
