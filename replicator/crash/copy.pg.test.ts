import { expect, test } from 'vitest';
import { parseLsn, type Lsn } from '../postgres/lsn.ts';
import { compareTables } from '../testing/compare.ts';
import { ownServers, sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { BANK, OPEN_ACCOUNTS, startTransfers, watchBank } from '../testing/load.ts';
import { spawnReplicator } from '../testing/replicator-process.ts';
import { startPipeline } from '../testing/run-pipeline.ts';

// No keys, so that nothing but the count tells a row that was copied twice.
const TABLES = 'CREATE TABLE done (i int); CREATE TABLE held (i int)';

test('killed while copying: the slot is dropped, everything is copied again, once', { timeout: 90_000 }, async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `${TABLES}; INSERT INTO done SELECT generate_series(1, 500); INSERT INTO held SELECT generate_series(1, 500)`,
  );
  await sql(db.target, TABLES);
  const slots: Lsn[] = [];
  // Twice, because what a second attempt finds is not what the first one did.
  for (let attempt = 1; attempt <= 2; attempt++) {
    await using lock = await db.target.session();
    await lock.query('BEGIN; LOCK TABLE held IN SHARE MODE');
    await using replicator = await spawnReplicator(db);
    await eventually(async () =>
      (await replicator.tables()).some((table) => table.source === 'public.done' && table.state === 'catching_up'),
    );
    await eventually(async () => (await waiting(db, 'copy')) === '1');
    slots.push(await slotStart(db));
    await replicator.kill();
    // Its backend notices that nobody is there any more, although the lock is still held.
    await eventually(async () => (await waiting(db, 'copy')) === '0', { timeout: 6000 });
    await sql(db.source, `INSERT INTO done VALUES (${1000 + attempt}); DELETE FROM held WHERE i = ${attempt}`);
  }
  await using replicator = await spawnReplicator(db);
  await replicator.streaming();
  slots.push(await slotStart(db));
  expect(new Set(slots).size).toBe(3);
  await sql(db.source, 'INSERT INTO done VALUES (2000)');
  await eventually(() => compareTables(db.source, db.target));
  expect(await replicator.stop()).toMatchObject({ exitCode: 0 });
});

test('whoever is killed during the first copy, under load: copied exactly once', { timeout: 120_000 }, async () => {
  await using db = await ownServers();
  // Large enough that the copy is met at work.
  const bulk = 'CREATE TABLE bulk (id bigint PRIMARY KEY, filler text)';
  await sql(
    db.source,
    `${BANK}; ${OPEN_ACCOUNTS}; ${bulk}; INSERT INTO bulk SELECT n, repeat('x', 300) FROM generate_series(1, 150000) n`,
  );
  await sql(db.target, `${BANK}; ${bulk}`);
  const load = startTransfers(db.source, 2);
  let replicator = await spawnReplicator(db);
  try {
    for (const victim of ['replicator', 'target', 'source'] as const) {
      await eventually(async () => Number(await value(db.target, copying)) > 0, { timeout: 30_000, interval: 5 });
      expect(await finished(db)).toBe('f');
      if (victim === 'replicator') {
        await replicator[Symbol.asyncDispose]();
        replicator = await spawnReplicator(db);
      } else {
        await db[victim].server?.kill();
        await db[victim].server?.start();
      }
    }
    await replicator.streaming(60_000);
    const bank = watchBank(db.target);
    await load.stop();
    await eventually(() => compareTables(db.source, db.target), { timeout: 30_000 });
    expect((await bank.stop()).faults).toEqual([]);
  } finally {
    await load.stop();
    await replicator[Symbol.asyncDispose]();
  }
});

test('rows that were to be kept are not mixed up with those of an interrupted copy', async () => {
  await using db = await testDatabases();
  await sql(db.source, `${TABLES}; INSERT INTO done VALUES (1)`);
  await sql(db.target, `${TABLES}; INSERT INTO done VALUES (100)`);
  const settings = { snapshot: { existingRows: 'keep' } };
  await using lock = await db.target.session();
  await lock.query('BEGIN; LOCK TABLE held IN SHARE MODE');
  {
    await using interrupted = startPipeline(db, settings);
    await eventually(() => interrupted.pipeline.model.table('public.done')?.state === 'catching_up');
  }
  await lock.query('ROLLBACK');
  await using again = startPipeline(db, settings);
  await eventually(() => again.pipeline.model.status().state === 'streaming');
  expect(again.pipeline.model.table('public.done')).toMatchObject({ state: 'error', error: { code: 'TARGET_TABLE_NOT_EMPTY' } });
  expect(await sql(db.target, 'SELECT i FROM done ORDER BY i')).toEqual([{ i: '1' }, { i: '100' }]);
});

/** Rows that a copy has brought so far, which nobody can see yet. */
const copying = `SELECT coalesce(max(tuples_processed), 0) FROM pg_stat_progress_copy WHERE relid = 'bulk'::regclass`;

async function finished(db: TestDatabases): Promise<string | null | undefined> {
  return value(db.target, 'SELECT snapshot_finished FROM pgfollow.pipeline WHERE name = $1', [db.name]);
}

async function waiting(db: TestDatabases, purpose: string): Promise<string | null | undefined> {
  return value(db.target, `SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'`, [
    `pgfollow ${db.name} ${purpose}`,
  ]);
}

async function slotStart(db: TestDatabases): Promise<Lsn> {
  return parseLsn(
    (await value(db.source, 'SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = $1', [db.name])) ?? '',
  );
}
