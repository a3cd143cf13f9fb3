import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { parseLsn, type Lsn } from '../postgres/lsn.ts';
import { compareTables } from '../testing/compare.ts';
import { ownServers, sql, value, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { BANK, OPEN_ACCOUNTS, startTransfers, watchBank } from '../testing/load.ts';
import { LOSES_ASYNCHRONOUS_COMMITS } from '../testing/lossy.ts';
import { startVictims, type Victim, type Victims } from '../testing/victims.ts';

/** How many rounds of crashes; PGFOLLOW_TEST_CRASHES=200 for a long run. */
const ROUNDS = Number(process.env['PGFOLLOW_TEST_CRASHES'] ?? 6);
const LIMIT_MS = 60_000 + ROUNDS * 15_000;

test(
  'whoever is killed in the middle of transfers: the target only ever shows a state of the source, and ends up equal',
  { timeout: LIMIT_MS },
  async () => {
    await using db = await ownServers({ target: { settings: LOSES_ASYNCHRONOUS_COMMITS } });
    await sql(db.source, `${BANK}; ${OPEN_ACCOUNTS}`);
    await sql(db.target, BANK);
    const load = startTransfers(db.source, 4);
    await using running = await startVictims(db);
    try {
      await running.replicator.streaming();
      const bank = watchBank(db.target);
      let lost = 0;
      for (const victim of victims(ROUNDS)) {
        await progress(db);
        await sleep(Math.random() * 400);
        if (victim === 'target') lost += Number(await killTarget(db, running));
        else await running.kill(victim);
      }
      await progress(db);
      await load.stop();
      await caughtUp(db);
      const { looks, faults } = await bank.stop();
      await compareTables(db.source, db.target, 'public.account', 'public.journal');
      expect(faults).toEqual([]);
      expect(looks).toBeGreaterThan(ROUNDS);
      // Else the target's crashes were too gentle to prove anything.
      expect(lost).toBeGreaterThan(0);
    } finally {
      await load.stop();
    }
  },
);

test('a source that loses commits in its crash: the target has never seen them', { timeout: LIMIT_MS }, async () => {
  await using db = await ownServers({ source: { settings: LOSES_ASYNCHRONOUS_COMMITS } });
  await sql(db.source, `${BANK}; ${OPEN_ACCOUNTS}`);
  await sql(db.target, BANK);
  await using running = await startVictims(db);
  await running.replicator.streaming();
  const bank = watchBank(db.target);
  await using load = startTransfers(db.source, 4, 'SET LOCAL synchronous_commit = off;');
  let lost = 0;
  for (let round = 0; round < Math.max(3, ROUNDS / 3); round++) {
    await progress(db);
    await sleep(Math.random() * 800);
    const before = Number(await value(db.source, 'SELECT count(*) FROM journal'));
    await running.kill('source');
    const after = Number(await eventually(() => value(db.source, 'SELECT count(*) FROM journal')));
    if (after < before) lost++;
  }
  await load.stop();
  await caughtUp(db);
  expect((await bank.stop()).faults).toEqual([]);
  await compareTables(db.source, db.target, 'public.account', 'public.journal');
  expect(lost).toBeGreaterThan(0);
});

test('whoever is killed while tables are copied again beside the stream: they end up equal', { timeout: LIMIT_MS }, async () => {
  await using db = await ownServers({ target: { settings: LOSES_ASYNCHRONOUS_COMMITS } });
  await sql(db.source, `${BANK}; ${OPEN_ACCOUNTS}; INSERT INTO journal SELECT 1, 2, 0 FROM generate_series(1, 30000)`);
  await sql(db.target, BANK);
  await using load = startTransfers(db.source, 3);
  await using running = await startVictims(db);
  await running.replicator.streaming();
  const met = new Set<string>();
  for (const victim of victims(ROUNDS)) {
    for (const table of ['journal', 'account']) {
      await eventually(async () => (await running.replicator.request('POST', `tables/public/${table}/resync`)) === 202, {
        timeout: 40_000,
      });
    }
    await sleep(Math.random() * 500);
    for (const { state } of await running.replicator.tables()) met.add(state);
    await running.kill(victim);
  }
  const standing = async () => (await running.replicator.tables()).map(({ state }) => state);
  await eventually(async () => expect(await standing()).toEqual(['streaming', 'streaming']), { timeout: 60_000 });
  await load.stop();
  await eventually(() => compareTables(db.source, db.target, 'public.account', 'public.journal'), {
    timeout: 40_000,
    interval: 500,
  });
  expect([...met].some((state) => state !== 'streaming')).toBe(true);
});

/** Every kind in every three rounds, in any order. */
function victims(rounds: number): Victim[] {
  const all: Victim[] = [];
  while (all.length < rounds) all.push(...(['replicator', 'target', 'source'] as const).toSorted(() => Math.random() - 0.5));
  return all.slice(0, rounds);
}

/** Kills the target; whether it had shown a checkpoint that it did not keep. What the slot was told, it must have kept. */
async function killTarget(db: TestDatabases, running: Victims): Promise<boolean> {
  // What is stored at the start of a session flushes everything; later there is something to lose.
  await sleep(1200);
  const shown = await checkpoint(db);
  await running.kill('target');
  const told = await value(db.source, 'SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = $1', [db.name]);
  const kept = await checkpoint(db);
  expect(parseLsn(told ?? '')).toBeLessThanOrEqual(kept);
  return kept < shown;
}

async function checkpoint(db: TestDatabases): Promise<Lsn> {
  const text = await eventually(() =>
    value(db.target, 'SELECT applied_lsn FROM pgfollow.checkpoint WHERE pipeline = $1', [db.name]),
  );
  return parseLsn(text ?? '');
}

/** Waits until something more is applied. */
async function progress(db: TestDatabases): Promise<void> {
  const before = await checkpoint(db);
  await eventually(async () => (await checkpoint(db)) > before, { timeout: 40_000, interval: 20 });
}

async function caughtUp(db: TestDatabases): Promise<void> {
  const end = parseLsn((await value(db.source, 'SELECT pg_current_wal_insert_lsn()')) ?? '');
  await eventually(async () => (await checkpoint(db)) >= end, { timeout: 40_000 });
}
