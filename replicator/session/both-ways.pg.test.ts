import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline, type RunningPipeline } from '../testing/run-pipeline.ts';
import { TEST_VERSION } from '../testing/servers.ts';

const TABLES =
  'CREATE TABLE t (id int PRIMARY KEY, v text, n int); CREATE TABLE keyless (v int); CREATE TABLE emptied (id int PRIMARY KEY)';

const TELLS_ORIGINS = TEST_VERSION >= 16;

function backwards(db: TestDatabases): TestDatabases {
  return { ...db, name: `${db.name}_back`, source: db.target, target: db.source };
}

function applied(running: RunningPipeline, table: string): unknown {
  return running.pipeline.model.table(`public.${table}`)?.applied;
}

async function bothCaughtUp(...both: RunningPipeline[]): Promise<void> {
  // What the one has just written must have passed the other too.
  for (const running of [...both, ...both]) await running.caughtUp();
}

async function followEachOther(): Promise<void> {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, TABLES);
  await sql(
    db.source,
    `INSERT INTO t SELECT i, 'first', 0 FROM generate_series(1, 500) i; INSERT INTO keyless VALUES (1), (1), (2)`,
  );
  // The other direction runs already when the rows are copied.
  await using back = startPipeline(backwards(db), { origin: 'none', snapshot: { copy: false } });
  await back.caughtUp();
  await using forth = startPipeline(db, { origin: 'none' });
  await bothCaughtUp(forth, back);
  await compareTables(db.source, db.target);
  expect(applied(back, 't')).toEqual({ insert: 0, update: 0, delete: 0, truncate: 0 });

  // Even keys are written on the one side, odd ones on the other, at the same time.
  const write = async (side: TestDatabases['source'], odd: number): Promise<void> => {
    for (let round = 0; round < 20; round++) {
      await sql(
        side,
        `INSERT INTO t SELECT 1000 * (${round} + 1) + 2 * i + ${odd}, 'new', ${round} FROM generate_series(1, 40) i`,
      );
      await sql(side, `UPDATE t SET n = n + 1, v = 'by ${odd}' WHERE id % 2 = ${odd} AND id < 100`);
      await sql(
        side,
        `DELETE FROM t WHERE id = 1000 * (${round} + 1) + 2 + ${odd}; INSERT INTO keyless VALUES (100 * ${round} + ${odd})`,
      );
    }
  };
  await Promise.all([write(db.source, 0), write(db.target, 1)]);
  await sql(db.source, 'INSERT INTO emptied VALUES (1); TRUNCATE emptied; INSERT INTO emptied VALUES (2)');
  await bothCaughtUp(forth, back);
  await compareTables(db.source, db.target);
  // Each side's own writes and no more.
  const own = { insert: 800, update: 20 * 49, delete: 20, truncate: 0 };
  expect(applied(forth, 't')).toEqual(own);
  expect(applied(back, 't')).toEqual({ ...own, update: 20 * 50 });
  expect(applied(forth, 'emptied')).toEqual({ insert: 2, update: 0, delete: 0, truncate: 1 });
  expect(applied(back, 'emptied')).toEqual({ insert: 0, update: 0, delete: 0, truncate: 0 });

  await forth.pipeline.controls.resyncTable('public.t', 'the test');
  await bothCaughtUp(forth, back);
  await compareTables(db.source, db.target);
  expect(applied(back, 't')).toEqual({ ...own, update: 20 * 50 });
  const clean = { insertExists: 0, updateMissing: 0, deleteMissing: 0 };
  for (const { pipeline } of [forth, back]) {
    for (const { state, conflicts } of pipeline.model.tables())
      expect({ state, conflicts }).toEqual({ state: 'streaming', conflicts: clean });
    expect(pipeline.model.status().problems).toEqual([]);
  }
}

/** Large transactions of both sides, open at the same time, which each source sends while they are in progress. */
async function largeBothWays(): Promise<void> {
  await using db = await testDatabases();
  const name = 'CREATE TABLE f (id int PRIMARY KEY, v text, n int); CREATE TABLE k (v int, w text)';
  for (const side of [db.source, db.target]) {
    await sql(side, name);
    await sql(side, `ALTER DATABASE ${side.name} SET logical_decoding_work_mem = '64kB'`);
  }
  const settings = { origin: 'none', apply: { maxBatchBytes: '128kB' } };
  await using back = startPipeline(backwards(db), { ...settings, snapshot: { copy: false } });
  await back.caughtUp();
  await using forth = startPipeline(db, settings);
  await bothCaughtUp(forth, back);
  const before = await Promise.all([db.source, db.target].map((side) => streamedTransactions(side)));
  const write = async (side: TestDatabases['source'], at: number): Promise<void> => {
    for (let round = 0; round < 3; round++) {
      await using large = await side.session();
      await using undone = await side.session();
      const from = 100_000 * at + 10_000 * round;
      const rows = (first: number, count: number): string =>
        `INSERT INTO f SELECT i, repeat('x', 100), 0 FROM generate_series(${first}, ${first + count - 1}) i; INSERT INTO k SELECT i % 10, repeat('y', 50) FROM generate_series(1, ${count}) i`;
      await sql(large, `BEGIN; ${rows(from, 1000)}`);
      await sql(undone, `BEGIN; ${rows(from + 5000, 1000)}`);
      await sql(side, `INSERT INTO f VALUES (${from + 9000}, 'small', 0)`);
      await sql(
        large,
        `SAVEPOINT s; ${rows(from + 2000, 1000)}; ROLLBACK TO s; UPDATE f SET n = n + 1 WHERE id BETWEEN ${from} AND ${from + 999}`,
      );
      await sql(undone, 'ROLLBACK');
      await sql(side, `UPDATE f SET n = 9 WHERE id = ${from + 9000}`);
      await sql(large, `DELETE FROM f WHERE id BETWEEN ${from} AND ${from + 99}; COMMIT`);
    }
  };
  await Promise.all([write(db.source, 1), write(db.target, 2)]);
  await bothCaughtUp(forth, back);
  await compareTables(db.source, db.target);
  for (const running of [forth, back]) {
    expect(applied(running, 'f')).toEqual({ insert: 3 * 1001, update: 3 * 1001, delete: 300, truncate: 0 });
    expect(applied(running, 'k')).toEqual({ insert: 3000, update: 0, delete: 0, truncate: 0 });
    expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
  }
  // Both sent them in parts, or this shows nothing.
  for (const [i, side] of [db.source, db.target].entries())
    await eventually(async () => expect(await streamedTransactions(side)).toBeGreaterThan(before[i] ?? 0));
}

/** How often the server has sent transactions that were in progress, by its own account. */
async function streamedTransactions(side: TestDatabases['source']): Promise<number> {
  const slots = `SELECT COALESCE(sum(stream_txns), 0) FROM pg_stat_replication_slots s JOIN pg_replication_slots r USING (slot_name) WHERE r.database = current_database()`;
  return Number(await value(side, slots));
}

async function oldSource(): Promise<void> {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, TABLES);
  await using running = startPipeline(db, { origin: 'none' });
  const problem = await eventually(() => running.pipeline.model.status().problems[0] ?? false);
  expect(problem).toMatchObject({ code: 'SOURCE_UNSUITABLE', message: expect.stringContaining('origin: none needs 16') });
  expect(problem.remedy).toContain('origin: any');
}

test(
  TELLS_ORIGINS ? 'two databases that follow each other: no change comes back' : 'a source that cannot tell origins',
  { timeout: 120_000 },
  () => (TELLS_ORIGINS ? followEachOther() : oldSource()),
);

test.runIf(TELLS_ORIGINS)(
  'large transactions of both sides at once, sent while in progress',
  { timeout: 120_000 },
  largeBothWays,
);

test('with origin: none the role has to mark its rows; without it a warning is enough', async () => {
  await using db = await testDatabases();
  const role = `${db.name}_role`;
  for (const side of [db.source, db.target]) await sql(side, TABLES);
  await sql(
    db.target,
    `CREATE ROLE ${role} LOGIN PASSWORD 'secret'; GRANT CREATE ON DATABASE ${db.target.name} TO ${role};
     GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA public TO ${role}`,
  );
  const url = Object.assign(new URL(db.target.url), { username: role, password: 'secret' }).href;
  try {
    {
      await using running = startPipeline(db, { target: { url } });
      await running.caughtUp();
      expect(running.pipeline.events.after(0).map(({ code }) => code)).toContain('ORIGIN_REFUSED');
    }
    await using running = startPipeline(db, { target: { url }, origin: 'none' });
    const problem = await eventually(() => running.pipeline.model.status().problems[0] ?? false);
    const expected = TELLS_ORIGINS ? 'GRANT EXECUTE ON FUNCTION pg_replication_origin_create' : '';
    expect(problem).toMatchObject({ code: 'TARGET_UNSUITABLE', remedy: expect.stringContaining(expected) });
    await sql(
      db.target,
      `GRANT EXECUTE ON FUNCTION pg_replication_origin_create(text), pg_replication_origin_oid(text),
         pg_replication_origin_session_setup(text), pg_replication_origin_drop(text) TO ${role}`,
    );
    await sql(db.source, 'INSERT INTO t VALUES (1)');
    if (TELLS_ORIGINS) await running.caughtUp();
    else await eventually(() => running.pipeline.model.status().problems.some(({ code }) => code === 'SOURCE_UNSUITABLE'));
    expect(await value(db.target, 'SELECT count(*) FROM t')).toBe(TELLS_ORIGINS ? '1' : '0');
  } finally {
    await sql(db.target, `DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`);
  }
});
