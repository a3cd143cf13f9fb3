import { describe, expect, test } from 'vitest';
import { becomesProblem } from '../testing/becomes.ts';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { startCaughtUp, type RunningPipeline } from '../testing/run-pipeline.ts';

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY, v text)';
const ROWS = `INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 9) i`;

/** A table on both sides, rows on the source; then the pipeline, caught up. */
async function follow(db: TestDatabases, settings: Record<string, unknown>, ddl = TABLE): Promise<RunningPipeline> {
  for (const side of [db.source, db.target]) await sql(side, ddl);
  await sql(db.source, ROWS);
  return await startCaughtUp(db, settings);
}

function conflicts(running: RunningPipeline): unknown {
  return running.pipeline.model.table('public.t')?.conflicts;
}

function told(running: RunningPipeline, code: string): string[] {
  return running.pipeline.events
    .after(0)
    .filter((event) => event.code === code)
    .map(({ message }) => message);
}

describe('apply.onMissing', () => {
  test('skip: counted, told with its key, and the rest goes on', async () => {
    await using db = await testDatabases();
    await using running = await follow(db, {});
    await sql(db.target, 'DELETE FROM t WHERE id < 4');
    await sql(
      db.source,
      `UPDATE t SET v = 'new' WHERE id IN (1, 5); DELETE FROM t WHERE id IN (2, 6); UPDATE t SET id = 30 WHERE id = 3`,
    );
    await running.caughtUp();
    expect(await sql(db.target, 'SELECT id FROM t ORDER BY id')).toEqual([4, 5, 7, 8, 9].map((id) => ({ id: `${id}` })));
    expect(conflicts(running)).toEqual({ insertExists: 0, updateMissing: 2, deleteMissing: 1 });
    expect(told(running, 'ROW_MISSING').join()).toMatch(/UPDATE id=1; DELETE id=2; UPDATE id=3/);
  });

  test('skip: rows of nothing but a key, taken out and put in again', async () => {
    await using db = await testDatabases();
    const ddl = `${TABLE}; CREATE TABLE pairs (a int, b int, PRIMARY KEY (a, b))`;
    await using running = await follow(db, {}, ddl);
    await sql(db.source, 'INSERT INTO pairs SELECT i, i FROM generate_series(1, 300) i');
    await running.caughtUp();
    await sql(db.target, 'DELETE FROM pairs WHERE a = 7');
    await sql(db.source, 'BEGIN; DELETE FROM pairs; INSERT INTO pairs SELECT i, i FROM generate_series(1, 300) i; COMMIT');
    await running.caughtUp();
    await compareTables(db.source, db.target, 'public.pairs');
    const counted = () => running.pipeline.model.table('public.pairs')?.conflicts;
    expect(counted()).toEqual({ insertExists: 0, updateMissing: 0, deleteMissing: 1 });
    await sql(
      db.source,
      'BEGIN; DELETE FROM pairs WHERE a < 50; INSERT INTO pairs SELECT i, i FROM generate_series(1, 49) i; COMMIT',
    );
    await running.caughtUp();
    expect(counted()).toMatchObject({ deleteMissing: 1 });
  });

  test('insert: an UPDATE whose row is complete puts it in', async () => {
    await using db = await testDatabases();
    const ddl = `${TABLE}; CREATE TABLE long (id int PRIMARY KEY, big text, n int); CREATE TABLE numbered (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text)`;
    await using running = await follow(db, { apply: { onMissing: 'insert' } }, ddl);
    await sql(
      db.source,
      `INSERT INTO long SELECT i, (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 400) n), 1 FROM generate_series(1, 3) i; INSERT INTO numbered (v) VALUES ('a'), ('b')`,
    );
    await running.caughtUp();
    await sql(db.target, 'DELETE FROM t WHERE id < 4; DELETE FROM long WHERE id < 3; DELETE FROM numbered WHERE id = 1');
    await sql(
      db.source,
      `UPDATE t SET v = 'new' WHERE id IN (1, 5); DELETE FROM t WHERE id = 2; UPDATE t SET id = 30 WHERE id = 3`,
    );
    // Of the first the long value did not come, so there is no row to put in.
    await sql(
      db.source,
      `UPDATE long SET n = 2 WHERE id = 1; UPDATE long SET n = 2, big = 'short' WHERE id = 2; UPDATE numbered SET v = 'put in' WHERE id = 1`,
    );
    await running.caughtUp();
    await compareTables(db.source, db.target, 'public.t', 'public.numbered');
    expect(await sql(db.target, 'SELECT id, left(big, 5) AS big FROM long ORDER BY id')).toMatchObject([
      { id: '2', big: 'short' },
      { id: '3' },
    ]);
    expect(conflicts(running)).toEqual({ insertExists: 0, updateMissing: 2, deleteMissing: 1 });
    expect(running.pipeline.model.table('public.long')?.conflicts.updateMissing).toBe(2);
    expect(running.pipeline.model.table('public.numbered')?.conflicts.updateMissing).toBe(1);
  });

  test('error: nothing of its transaction is applied until the row is there', async () => {
    await using db = await testDatabases();
    await using running = await follow(db, { apply: { onMissing: 'error', onError: 'pipeline' } });
    await sql(db.target, 'DELETE FROM t WHERE id = 1');
    await sql(db.source, `INSERT INTO t VALUES (100, 'same transaction'); UPDATE t SET v = 'new' WHERE id = 1`);
    expect(await becomesProblem(running, 'ROW_MISSING')).toMatchObject({
      table: 'public.t',
      message: expect.stringContaining('id=1'),
    });
    expect(await value(db.target, 'SELECT count(*) FROM t WHERE id = 100')).toBe('0');
    await sql(db.target, `INSERT INTO t VALUES (1, 'back')`);
    await running.caughtUp();
    await compareTables(db.source, db.target);
    expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
  });

  test.each(['skip', 'insert'])('%s: among hundreds of rows each one that is missing is counted', async (onMissing) => {
    await using db = await testDatabases();
    await using running = await follow(db, { apply: { onMissing } });
    await sql(db.source, `INSERT INTO t SELECT i, 'v' FROM generate_series(100, 699) i`);
    await running.caughtUp();
    await sql(db.target, 'DELETE FROM t WHERE id % 100 = 50');
    await sql(db.source, `UPDATE t SET v = 'w' WHERE id >= 100`);
    await running.caughtUp();
    await sql(db.target, 'DELETE FROM t WHERE id % 100 = 60');
    await sql(db.source, `DELETE FROM t WHERE id >= 100`);
    await running.caughtUp();
    await compareTables(db.source, db.target);
    expect(conflicts(running)).toEqual({ insertExists: 0, updateMissing: 6, deleteMissing: onMissing === 'skip' ? 12 : 6 });
    expect(told(running, 'ROW_MISSING').join()).toMatch(/UPDATE id=150.*DELETE id=160/);
  });
});

describe('apply.onConflict', () => {
  test('error: the pipeline waits and says which row, until it is out of the way', async () => {
    await using db = await testDatabases();
    await using running = await follow(db, { apply: { onError: 'pipeline' } });
    await sql(db.target, `INSERT INTO t VALUES (50, 'local')`);
    await sql(
      db.source,
      `INSERT INTO t VALUES (49, 'before'); INSERT INTO t VALUES (50, 'source'); INSERT INTO t VALUES (51, 'after')`,
    );
    expect(await becomesProblem(running, 'APPLY_FAILED')).toMatchObject({
      table: 'public.t',
      message: expect.stringMatching(/INSERT of public.t \(id=50\).*23505/),
      remedy: expect.stringContaining('source_wins'),
    });
    expect(await value(db.target, 'SELECT count(*) FROM t WHERE id IN (49, 51)')).toBe('0');
    await sql(db.target, 'DELETE FROM t WHERE id = 50');
    await running.caughtUp();
    await compareTables(db.source, db.target);
  });

  test('source_wins: the row is overwritten, counted, told', async () => {
    await using db = await testDatabases();
    const ddl = `${TABLE}; CREATE TABLE k (id int PRIMARY KEY); CREATE TABLE n (id int PRIMARY KEY, seq int GENERATED ALWAYS AS IDENTITY, v text)`;
    await using running = await follow(db, { apply: { onConflict: 'source_wins' } }, ddl);
    await sql(
      db.target,
      `ALTER TABLE t ADD local text; INSERT INTO t VALUES (50, 'local', 'kept'); INSERT INTO k VALUES (1); INSERT INTO n OVERRIDING SYSTEM VALUE VALUES (1, 700, 'local')`,
    );
    await sql(
      db.source,
      `INSERT INTO t VALUES (50, 'source'), (51, 'free'); INSERT INTO k VALUES (1), (2); INSERT INTO n (id, v) VALUES (1, 'source'), (2, 'source')`,
    );
    await running.caughtUp();
    await compareTables(db.source, db.target);
    expect(await value(db.target, 'SELECT local FROM t WHERE id = 50')).toBe('kept');
    expect(conflicts(running)).toEqual({ insertExists: 1, updateMissing: 0, deleteMissing: 0 });
    expect(told(running, 'ROW_EXISTS').sort()).toEqual([1, 1, 50].map((id) => expect.stringContaining(`id=${id}`)));
  });

  test('source_wins: among hundreds of rows', async () => {
    await using db = await testDatabases();
    await using running = await follow(db, { apply: { onConflict: 'source_wins' } });
    await sql(db.target, `INSERT INTO t SELECT i, 'local' FROM generate_series(100, 700, 100) i`);
    await sql(db.source, `INSERT INTO t SELECT i, 'source' FROM generate_series(90, 690) i`);
    await running.caughtUp();
    expect(await sql(db.target, `SELECT v, count(*) FROM t WHERE id >= 90 GROUP BY v ORDER BY v`)).toEqual([
      { v: 'local', count: '1' },
      { v: 'source', count: '601' },
    ]);
    expect(conflicts(running)).toEqual({ insertExists: 6, updateMissing: 0, deleteMissing: 0 });
  });
});
