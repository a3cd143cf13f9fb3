import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { parseLsn } from '../postgres/lsn.ts';
import { readCommits, watchCommits } from '../testing/commits.ts';
import { compareTables } from '../testing/compare.ts';
import { ownServers, sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startLoad } from '../testing/load.ts';
import { spawnReplicator } from '../testing/replicator-process.ts';
import { startPipeline } from '../testing/run-pipeline.ts';

/** How often the replicator is killed; PGFOLLOW_TEST_CRASHES=200 for a long run. */
const KILLS = Number(process.env['PGFOLLOW_TEST_CRASHES'] ?? 6);

// No key, so that nothing but the count tells a row that came twice.
const TICK = 'CREATE TABLE tick (client int, n int)';

test(
  'eight clients of tiny transactions, the replicator killed again and again: nothing missing, nothing twice',
  { timeout: 60_000 + KILLS * 10_000 },
  async () => {
    await using db = await testDatabases();
    for (const side of [db.source, db.target]) await sql(side, TICK);
    const load = startLoad(db.source, 8, async (session, client, n) => {
      await session.query(`INSERT INTO tick VALUES (${client}, ${n})`);
      await sleep(Math.random() * 6);
    });
    let replicator = await spawnReplicator(db);
    try {
      await replicator.streaming();
      await watchCommits(db.source, `${db.name}_watch`);
      for (let kill = 0; kill < KILLS; kill++) {
        const before = await rows(db);
        await eventually(async () => (await rows(db)) > before, { timeout: 30_000, interval: 10 });
        await sleep(Math.random() * 300);
        await replicator[Symbol.asyncDispose]();
        replicator = await spawnReplicator(db);
      }
      await load.stop();
      await eventually(async () => (await rows(db)) >= load.committed, { timeout: 30_000 });
      await replicator.stop();
      await compareTables(db.source, db.target, 'public.tick');
      // Else the case that matters did not come up: a commit record that begins exactly where the one before it ends.
      const commits = await readCommits(db.source, `${db.name}_watch`, db.name);
      expect(commits.filter((commit, i) => commit.begin === commits[i - 1]?.end).length).toBeGreaterThan(0);
    } finally {
      await load.stop();
      await replicator[Symbol.asyncDispose]();
    }
  },
);

test('a transaction whose commit begins exactly where the acknowledged one ends is sent after a restart', async () => {
  // Servers of its own, where nobody else writes WAL in between.
  await using db = await ownServers({ source: { settings: { autovacuum: 'off' } } });
  for (const side of [db.source, db.target]) await sql(side, TICK);
  await using a = await db.source.session();
  await using b = await db.source.session();
  const follow = () => startPipeline(db, { heartbeat: { interval: '1h' } });
  let adjacent = false;
  for (let n = 1; !adjacent && n < 10; n++) {
    await using pipeline = follow();
    await pipeline.caughtUp();
    if (n === 1) await watchCommits(db.source, `${db.name}_watch`);
    await a.query(`BEGIN; INSERT INTO tick VALUES (1, ${n})`);
    await b.query(`BEGIN; INSERT INTO tick VALUES (2, ${n})`);
    await a.query('COMMIT');
    await eventually(async () => (await value(db.target, `SELECT 1 FROM tick WHERE client = 1 AND n = ${n}`)) === '1');
    await eventually(async () => (await confirmed(db)) === (await applied(db)), { interval: 10 });
    await pipeline.stop();
    await b.query('COMMIT');
    const [one, two] = (await readCommits(db.source, `${db.name}_watch`, db.name)).slice(-2);
    adjacent = one !== undefined && one.end === two?.begin && one.end === (await confirmed(db));
  }
  expect(adjacent).toBe(true);
  await using last = follow();
  await last.caughtUp();
  await compareTables(db.source, db.target, 'public.tick');
});

async function rows(db: TestDatabases): Promise<number> {
  return Number(await value(db.target, 'SELECT count(*) FROM tick'));
}

async function confirmed(db: TestDatabases): Promise<bigint> {
  return parseLsn(
    (await value(db.source, 'SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = $1', [db.name])) ?? '',
  );
}

async function applied(db: TestDatabases): Promise<bigint> {
  return parseLsn((await value(db.target, 'SELECT applied_lsn FROM pgfollow.checkpoint WHERE pipeline = $1', [db.name])) ?? '');
}
