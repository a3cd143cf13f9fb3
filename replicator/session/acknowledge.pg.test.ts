import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { parseLsn, type Lsn } from '../postgres/lsn.ts';
import { readCommits, watchCommits } from '../testing/commits.ts';
import { compareTables } from '../testing/compare.ts';
import { ownServers, sql, testDatabases, value, type TestDatabase, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startLoad } from '../testing/load.ts';
import { LOSES_ASYNCHRONOUS_COMMITS } from '../testing/lossy.ts';
import { startPipeline } from '../testing/run-pipeline.ts';

const TABLE = 'CREATE TABLE t (id int)';
// Our own transactions on the source would move positions too.
const NO_HEARTBEAT = { heartbeat: { interval: '1h' } };

test('the slot is told exactly the end of the last transaction that is on the disk of the target', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, TABLE);
  await using running = startPipeline(db, NO_HEARTBEAT);
  await running.caughtUp();
  await watchCommits(db.source, `${db.name}_watch`);
  for (let n = 1; n <= 5; n++) {
    await sql(db.source, `INSERT INTO t VALUES (${n})`);
    const end = (await readCommits(db.source, `${db.name}_watch`, db.name)).at(-1)?.end;
    await eventually(async () => (await confirmed(db)) === end, { timeout: 3000, interval: 20 });
    expect(await checkpoint(db)).toBe(end);
    expect(parseLsn(running.pipeline.model.status().position.acknowledged ?? '')).toBe(end);
  }
});

test(
  'what the target has committed but not flushed is not acknowledged, and comes again after a crash',
  { timeout: 60_000 },
  async () => {
    await using db = await ownServers({ target: { settings: LOSES_ASYNCHRONOUS_COMMITS } });
    for (const side of [db.source, db.target]) await sql(side, TABLE);
    await using running = startPipeline(db, NO_HEARTBEAT);
    await running.caughtUp();
    // What it stores about itself flushes too.
    await eventually(() => running.pipeline.model.table('public.t')?.state === 'streaming');

    // Even such a server writes WAL every ten seconds: where that comes in between, nothing is proven, so once more.
    const told = await eventually(
      async () => {
        const before = { told: await confirmed(db), flushed: await flushed(db) };
        await sql(db.source, 'INSERT INTO t VALUES (1)');
        const rows = await count(db.source);
        await eventually(async () => (await count(db.target)) === rows, { interval: 10 });
        await sleep(1000);
        const after = await confirmed(db);
        return (await flushed(db)) === before.flushed && { before: before.told, after };
      },
      { interval: 500 },
    );
    expect(told.after).toBe(told.before);
    const seen = await checkpoint(db);
    expect(seen).toBeGreaterThan(told.after);

    await db.target.server?.kill();
    await db.target.server?.start();
    expect(await eventually(() => checkpoint(db))).toBeLessThan(seen);
    await eventually(async () => (await count(db.target)) === (await count(db.source)));
    expect(await checkpoint(db)).toBeGreaterThanOrEqual(seen);

    // As soon as anybody's commit has flushed it, it is acknowledged.
    await sql(db.source, 'INSERT INTO t VALUES (2)');
    await eventually(async () => (await count(db.target)) === (await count(db.source)), { interval: 10 });
    const next = await checkpoint(db);
    await sql(db.target, 'CREATE TABLE somebody_elses ()');
    await eventually(async () => (await confirmed(db)) === next, { timeout: 2000 });
    await compareTables(db.source, db.target, 'public.t');
  },
);

test('under load the slot is never told more than what the target would have after a crash', { timeout: 60_000 }, async () => {
  await using db = await ownServers({ target: { settings: LOSES_ASYNCHRONOUS_COMMITS } });
  for (const side of [db.source, db.target]) await sql(side, TABLE);
  await using running = startPipeline(db);
  await running.caughtUp();
  await using load = startLoad(db.source, 4, async (session, _, n) => {
    await session.query(`INSERT INTO t VALUES (${n})`);
    await sleep(2);
  });
  const looks: { told: Lsn; visible: Lsn; kept: Lsn }[] = [];
  for (let crash = 0; crash < 3; crash++) {
    const before = await checkpoint(db);
    await eventually(async () => (await checkpoint(db)) > before);
    // Something is flushed now and then, as by anybody else who writes there.
    await sql(db.target, 'CREATE TABLE IF NOT EXISTS somebody_elses (i int); INSERT INTO somebody_elses VALUES (1)');
    await sleep(300 + Math.random() * 500);
    const visible = await checkpoint(db);
    const told = await confirmed(db);
    await db.target.server?.kill();
    await db.target.server?.start();
    looks.push({ told, visible, kept: await eventually(() => checkpoint(db)) });
  }
  await load.stop();
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.t');
  for (const { told, kept } of looks) expect(told).toBeLessThanOrEqual(kept);
  expect(looks.some(({ visible, kept }) => kept < visible)).toBe(true);
});

async function confirmed(db: TestDatabases): Promise<Lsn> {
  return parseLsn(
    (await value(db.source, 'SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = $1', [db.name])) ?? '',
  );
}

async function checkpoint(db: TestDatabases): Promise<Lsn> {
  return parseLsn((await value(db.target, 'SELECT applied_lsn FROM pgfollow.checkpoint WHERE pipeline = $1', [db.name])) ?? '');
}

async function flushed(db: TestDatabases): Promise<string | null | undefined> {
  return value(db.target, 'SELECT pg_current_wal_flush_lsn()');
}

async function count(side: TestDatabase): Promise<string | null | undefined> {
  return value(side, 'SELECT count(*) FROM t');
}
