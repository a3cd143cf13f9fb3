import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Settings } from '../embedded/server.ts';
import { parseLsn, type Lsn } from '../postgres/lsn.ts';
import { compareTables } from '../testing/compare.ts';
import { ownServers, sql, value, type TestDatabase, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { BANK, OPEN_ACCOUNTS, startTransfers, watchBank } from '../testing/load.ts';
import { spawnReplicator, type ReplicatorProcess } from '../testing/replicator-process.ts';

/** How many rounds of crashes; PGFOLLOW_TEST_CRASHES=200 for a long run. */
const ROUNDS = Number(process.env['PGFOLLOW_TEST_CRASHES'] ?? 8);
const LIMIT_MS = 60_000 + ROUNDS * 15_000;

/**
 * A server that loses what was committed with synchronous_commit=off when it is killed: nobody writes WAL unasked. With the
 * defaults it would be on its way within 200 ms, and what the kernel has survives the death of a process.
 */
const LOSES_ASYNCHRONOUS_COMMITS: Settings = {
  wal_writer_delay: '10s',
  wal_writer_flush_after: '1GB',
  wal_buffers: '32MB',
  bgwriter_lru_maxpages: '0',
  checkpoint_timeout: '1h',
  autovacuum: 'off',
};

type Victim = 'replicator' | 'target' | 'source';

test(
  'whoever is killed in the middle of transfers: the target only ever shows a state of the source, and ends up equal',
  { timeout: LIMIT_MS },
  async () => {
    await using db = await ownServers({ target: { settings: LOSES_ASYNCHRONOUS_COMMITS } });
    await sql(db.source, `${BANK}; ${OPEN_ACCOUNTS}`);
    await sql(db.target, BANK);
    const load = startTransfers(db.source, 4);
    let replicator = await spawnReplicator(db);
    try {
      await replicator.streaming();
      const bank = watchBank(db.target);
      let lost = 0;
      for (const victim of victims(ROUNDS)) {
        await progress(db);
        await sleep(Math.random() * 400);
        if (victim === 'target') lost += Number(await killTarget(db));
        else if (victim === 'source') await crash(db.source);
        else replicator = await respawn(replicator, db);
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
      await replicator[Symbol.asyncDispose]();
    }
  },
);

/** Every kind in every three rounds, in any order. */
function victims(rounds: number): Victim[] {
  const all: Victim[] = [];
  while (all.length < rounds) all.push(...(['replicator', 'target', 'source'] as const).toSorted(() => Math.random() - 0.5));
  return all.slice(0, rounds);
}

async function respawn(
  replicator: ReplicatorProcess,
  db: TestDatabases,
  settings: Record<string, unknown> = {},
): Promise<ReplicatorProcess> {
  await replicator.kill();
  await replicator[Symbol.asyncDispose]();
  return spawnReplicator(db, settings);
}

async function crash(database: TestDatabase): Promise<void> {
  await database.server?.kill();
  await sleep(Math.random() * 300);
  await database.server?.start();
}

/** Kills the target; whether it had shown a checkpoint that it did not keep. What the slot was told, it must have kept. */
async function killTarget(db: TestDatabases): Promise<boolean> {
  const shown = await checkpoint(db);
  await crash(db.target);
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
