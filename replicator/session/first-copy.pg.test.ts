import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { ownServers, sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startLoad } from '../testing/load.ts';
import { startPipeline, type RunningPipeline } from '../testing/run-pipeline.ts';

const MB = 1 << 20;
const TABLES = 'CREATE TABLE big (id int PRIMARY KEY, v int, filler text); CREATE TABLE small (id int PRIMARY KEY, v int)';

/** Until it ends, nothing can be copied into the table: readers are let in, writers are not. */
async function heldUp(db: TestDatabases, table: string) {
  const lock = await db.target.session();
  await lock.query(`BEGIN; LOCK TABLE ${table} IN SHARE MODE`);
  return lock;
}

const state = (running: RunningPipeline, table: string) => running.pipeline.model.table(table)?.state;

test('a table is copied for long, under load: the source keeps no more WAL than otherwise', { timeout: 90_000 }, async () => {
  await using db = await ownServers();
  for (const side of [db.source, db.target]) await sql(side, TABLES);
  await sql(db.source, `INSERT INTO big SELECT n, 0, repeat('x', 200) FROM generate_series(1, 5000) n`);
  await using lock = await heldUp(db, 'big');
  await using running = startPipeline(db);
  await eventually(() => state(running, 'public.big') === 'copying');
  const retained = async (): Promise<number> =>
    Number(await value(db.source, 'SELECT pg_current_wal_lsn() - restart_lsn FROM pg_replication_slots'));
  const end = async (): Promise<number> => Number(await value(db.source, `SELECT pg_current_wal_lsn() - '0/0'`));
  const before = await end();
  await using load = startLoad(db.source, 2, async (session, client, n) => {
    await session.query(`BEGIN; UPDATE big SET v = v + 1, filler = repeat('y', 250) WHERE id % 50 = ${n % 50};
      INSERT INTO small VALUES (${client * 1_000_000 + n}, ${n}); COMMIT`);
  });
  await eventually(async () => (await end()) - before > 60 * MB, { timeout: 40_000, interval: 200 });
  await eventually(
    async () => {
      // Each writes what the slot needs to move on; else it is written every 15 s.
      await sql(db.source, 'CHECKPOINT');
      return (await retained()) < 20 * MB;
    },
    { timeout: 40_000, interval: 200 },
  );
  expect(state(running, 'public.big')).toBe('copying');
  expect(state(running, 'public.small')).toBe('streaming');
  expect(running.pipeline.model.state).toBe('copying');
  expect(running.pipeline.model.table('public.big')?.spooledBytes).toBeGreaterThan(MB);
  await load.stop();
  await lock.query('ROLLBACK');
  await running.caughtUp(60_000);
  await compareTables(db.source, db.target);
  expect(running.pipeline.model.state).toBe('streaming');
  expect(running.pipeline.model.table('public.big')?.spooledBytes).toBe(0);
});

test('its own snapshot is what a table is copied as of, however late; the others have joined long before', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, TABLES);
  await sql(db.source, `INSERT INTO big VALUES (1, 1, 'old'), (2, 1, 'old'), (3, 1, 'old'); INSERT INTO small VALUES (1, 1)`);
  await using lock = await heldUp(db, 'big');
  await using running = startPipeline(db);
  await eventually(() => state(running, 'public.small') === 'streaming');
  await sql(
    db.source,
    `DELETE FROM big WHERE id = 1; UPDATE big SET filler = 'new' WHERE id = 2; INSERT INTO big VALUES (4, 4, 'new'); UPDATE small SET v = 2`,
  );
  await eventually(async () => (await value(db.target, 'SELECT v FROM small')) === '2');
  await lock.query('ROLLBACK');
  await running.caughtUp();
  await compareTables(db.source, db.target);
  const { applied, snapshot, conflicts } = running.pipeline.model.table('public.big') ?? {};
  expect(snapshot?.rowsCopied).toBe(3);
  expect(applied).toMatchObject({ insert: 1, update: 1, delete: 1 });
  expect(conflicts).toEqual({ insertExists: 0, updateMissing: 0, deleteMissing: 0 });
  const codes = running.pipeline.events.after().map(({ code }) => code);
  expect(codes.filter((code) => /^COPY|CAUGHT/.test(code))).toEqual(['COPY_STARTED', 'COPY_FINISHED', 'CAUGHT_UP']);
});

test.concurrent('stopped and started amid the first copy it goes on with what was left', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, TABLES);
  await sql(db.source, `INSERT INTO big SELECT n, 0, 'x' FROM generate_series(1, 100) n; INSERT INTO small VALUES (1, 1)`);
  const lock = await heldUp(db, 'big');
  {
    await using running = startPipeline(db);
    await eventually(() => state(running, 'public.small') === 'streaming' && state(running, 'public.big') === 'copying');
  }
  await sql(db.source, 'DELETE FROM big WHERE id > 50; INSERT INTO small VALUES (2, 2)');
  await using running = startPipeline(db);
  await eventually(async () => (await value(db.target, 'SELECT count(*) FROM small')) === '2');
  expect(running.pipeline.model.state).toBe('copying');
  await lock.end();
  await running.caughtUp();
  await compareTables(db.source, db.target);
  await eventually(() => running.pipeline.model.state === 'streaming');
  expect(running.pipeline.model.status().problems).toEqual([]);
});

test.concurrent('removed and added again while it is copied: copied once more, from the start', { timeout: 60_000 }, async () => {
  await using db = await testDatabases();
  const keyless = 'CREATE TABLE big (id int); CREATE TABLE small (id int PRIMARY KEY, v int)';
  for (const side of [db.source, db.target]) await sql(side, keyless);
  await sql(db.source, `INSERT INTO big SELECT generate_series(1, 100); INSERT INTO small VALUES (1, 1)`);
  const lock = await heldUp(db, 'big');
  await using running = startPipeline(db);
  await eventually(() => state(running, 'public.small') === 'streaming' && state(running, 'public.big') === 'copying');
  await running.pipeline.controls.removeTable('public.big', 'test');
  await eventually(() => state(running, 'public.big') === undefined, { timeout: 20_000 });
  await sql(db.source, 'INSERT INTO big VALUES (101)');
  await running.pipeline.controls.addTable('public.big', 'test');
  await eventually(() => state(running, 'public.big') === 'pending', { timeout: 20_000 });
  await sql(db.source, 'INSERT INTO big VALUES (102); DELETE FROM big WHERE id = 1');
  await lock.end();
  await running.caughtUp();
  await compareTables(db.source, db.target);
  expect(running.pipeline.model.table('public.big')).toMatchObject({ state: 'streaming', error: null });
});

test.concurrent(
  'the connection that holds the first snapshot is lost: what has not begun is copied as of another one',
  { timeout: 60_000 },
  async () => {
    await using db = await testDatabases();
    for (const side of [db.source, db.target]) await sql(side, TABLES);
    await sql(
      db.source,
      `INSERT INTO big SELECT n, 0, repeat('x', 500) FROM generate_series(1, 1000) n; INSERT INTO small VALUES (1, 1)`,
    );
    const lock = await heldUp(db, 'big');
    // One worker: it is at big, and small waits.
    await using running = startPipeline(db, { snapshot: { workers: 1 } });
    await eventually(() => state(running, 'public.big') === 'copying');
    const waits = `SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'`;
    await eventually(async () => (await value(db.target, waits, [`pgfollow ${db.name} copy`])) === '1');
    const terminate = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1`;
    expect(await sql(db.source, terminate, [`pgfollow ${db.name} slot`])).toHaveLength(1);
    await sql(db.source, `UPDATE big SET v = 1 WHERE id <= 10; DELETE FROM small; INSERT INTO small VALUES (2, 2)`);
    // Whoever has taken it up goes on with it; after a lost connection nobody takes it up any more.
    expect(await sql(db.source, terminate, [`pgfollow ${db.name} copy`])).toHaveLength(1);
    await lock.end();
    await running.caughtUp();
    await compareTables(db.source, db.target);
    expect(running.pipeline.model.table('public.small')).toMatchObject({
      state: 'streaming',
      conflicts: { updateMissing: 0, deleteMissing: 0 },
    });
    const told = running.pipeline.events.after().filter(({ level }) => level !== 'info' && level !== 'warn');
    expect(told).toEqual([]);
    expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
  },
);

test.concurrent('what is stored of a table that is being copied is left to the copy', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, TABLES);
  await sql(db.source, `INSERT INTO big VALUES (1, 1, 'x')`);
  const lock = await heldUp(db, 'big');
  await using running = startPipeline(db);
  await eventually(() => state(running, 'public.small') === 'streaming' && state(running, 'public.big') === 'copying');
  const stored = () => sql(db.target, `SELECT xmin, state FROM pgfollow.table_state WHERE source_table = 'big'`);
  const before = await stored();
  expect(before).toMatchObject([{ state: 'copying' }]);
  // All tables are looked at, and what has changed is stored.
  await sql(db.source, 'CREATE TABLE later (id int PRIMARY KEY)');
  await eventually(() => state(running, 'public.later') === 'streaming', { timeout: 20_000 });
  expect(await stored()).toEqual(before);
  await lock.end();
  await running.caughtUp();
  expect(await sql(db.target, 'SELECT state, has_rows FROM pgfollow.table_state WHERE NOT has_rows')).toEqual([]);
});

test.concurrent('a table that cannot be copied does not hold up the first copy, and comes later', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, TABLES);
  await sql(db.source, `INSERT INTO big VALUES (1, 1, 'x'); INSERT INTO small VALUES (1, 1)`);
  await sql(db.target, 'ALTER TABLE big ADD CHECK (v <> 1)');
  await using running = startPipeline(db);
  await eventually(() => running.pipeline.model.state === 'streaming');
  expect(running.pipeline.model.table('public.big')).toMatchObject({ state: 'error', error: { code: 'COPY_FAILED' } });
  await sql(db.source, 'UPDATE big SET v = 2; INSERT INTO small VALUES (2, 2)');
  await eventually(() => state(running, 'public.big') === 'streaming', { timeout: 30_000 });
  await running.caughtUp();
  await compareTables(db.source, db.target);
  expect(running.pipeline.model.state).toBe('streaming');
});
