import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { ownServers, sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { BANK, OPEN_ACCOUNTS, startTransfers, watchBank } from '../testing/load.ts';
import { spawnReplicator } from '../testing/replicator-process.ts';
import { startPipeline } from '../testing/run-pipeline.ts';
import { startVictims } from '../testing/victims.ts';

// No keys, so that nothing but the count tells a row that was copied twice.
const TABLES = 'CREATE TABLE done (i int); CREATE TABLE held (i int)';

test('killed while copying: what is finished stays, the rest is copied again, once', { timeout: 90_000 }, async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `${TABLES}; INSERT INTO done SELECT generate_series(1, 500); INSERT INTO held SELECT generate_series(1, 500)`,
  );
  await sql(db.target, TABLES);
  const copied = new Set<string | null | undefined>();
  // Twice, because what a second attempt finds is not what the first one did.
  for (let attempt = 1; attempt <= 2; attempt++) {
    await using lock = await db.target.session();
    await lock.query('BEGIN; LOCK TABLE held IN SHARE MODE');
    await using replicator = await spawnReplicator(db);
    await eventually(async () =>
      (await replicator.tables()).some((table) => table.source === 'public.done' && table.state === 'streaming'),
    );
    await eventually(async () => (await waiting(db, 'copy')) === '1');
    expect((await replicator.status()).state).toBe('copying');
    copied.add(await copiedAt(db, 'done'));
    // The others go on meanwhile.
    await sql(db.source, `INSERT INTO done VALUES (${1000 + attempt}); DELETE FROM held WHERE i = ${attempt}`);
    await eventually(async () => (await value(db.target, `SELECT count(*) FROM done WHERE i = ${1000 + attempt}`)) === '1');
    await replicator.kill();
    // Its backend notices that nobody is there any more, although the lock is still held.
    await eventually(async () => (await waiting(db, 'copy')) === '0', { timeout: 6000 });
    await sql(db.source, `INSERT INTO done VALUES (${2000 + attempt}); DELETE FROM held WHERE i = 10 + ${attempt}`);
  }
  await using replicator = await spawnReplicator(db);
  await replicator.streaming();
  copied.add(await copiedAt(db, 'done'));
  expect(copied.size).toBe(1);
  await sql(db.source, 'INSERT INTO done VALUES (3000); INSERT INTO held VALUES (3000)');
  await eventually(() => compareTables(db.source, db.target));
  expect(await replicator.stop()).toMatchObject({ exitCode: 0 });
});

test('killed while what was kept is applied: nothing is lost, nothing comes twice', { timeout: 90_000 }, async () => {
  await using db = await testDatabases();
  await sql(db.source, `${TABLES}; INSERT INTO held SELECT generate_series(1, 100)`);
  // Slow enough to be met at it.
  await sql(
    db.target,
    `${TABLES}; CREATE FUNCTION rest() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN NEW; END $$;
     CREATE TRIGGER rest BEFORE INSERT ON held FOR EACH ROW WHEN (NEW.i % 500 = 0) EXECUTE FUNCTION rest();
     ALTER TABLE held ENABLE REPLICA TRIGGER rest`,
  );
  const rows = async (): Promise<number> => Number(await value(db.target, 'SELECT count(*) FROM held'));
  await using lock = await db.target.session();
  await lock.query('BEGIN; LOCK TABLE held IN SHARE MODE');
  let replicator = await spawnReplicator(db);
  try {
    await eventually(async () => (await waiting(db, 'copy')) === '1');
    for (let n = 0; n < 60; n++)
      await sql(db.source, `INSERT INTO held SELECT generate_series(1000, 1999); INSERT INTO done VALUES (${n})`);
    await eventually(async () => (await value(db.target, 'SELECT count(*) FROM done')) === '60');
    await lock.query('ROLLBACK');
    let met = 0;
    for (let seen = 100; met < 3; met++) {
      await eventually(async () => (await rows()) > seen, { interval: 5 });
      seen = await rows();
      if (seen === 60_100) break;
      await replicator[Symbol.asyncDispose]();
      replicator = await spawnReplicator(db);
    }
    await replicator.streaming();
    await eventually(() => compareTables(db.source, db.target));
    expect(met).toBeGreaterThan(0);
    expect(await value(db.target, 'SELECT count(*) FROM pgfollow.spool')).toBe('0');
  } finally {
    await replicator[Symbol.asyncDispose]();
  }
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
  await using running = await startVictims(db);
  try {
    for (const victim of ['replicator', 'target', 'source'] as const) {
      await eventually(async () => Number(await value(db.target, copying)) > 0, { timeout: 30_000, interval: 5 });
      expect(await value(db.target, 'SELECT first_copy_done FROM pgfollow.pipeline')).toBe('f');
      await running.kill(victim);
    }
    await running.replicator.streaming(60_000);
    const bank = watchBank(db.target);
    await load.stop();
    await eventually(() => compareTables(db.source, db.target), { timeout: 30_000 });
    expect((await bank.stop()).faults).toEqual([]);
  } finally {
    await load.stop();
  }
});

test('rows that were to be kept stay beside those of a copy whose neighbours were interrupted', async () => {
  await using db = await testDatabases();
  await sql(db.source, `${TABLES}; INSERT INTO done VALUES (1)`);
  await sql(db.target, `${TABLES}; INSERT INTO done VALUES (100)`);
  const settings = { snapshot: { existingRows: 'keep' } };
  await using lock = await db.target.session();
  await lock.query('BEGIN; LOCK TABLE held IN SHARE MODE');
  {
    await using interrupted = startPipeline(db, settings);
    await eventually(() => interrupted.pipeline.model.table('public.done')?.state === 'streaming');
  }
  await lock.query('ROLLBACK');
  await using again = startPipeline(db, settings);
  await eventually(() => again.pipeline.model.status().state === 'streaming');
  expect(again.pipeline.model.table('public.done')).toMatchObject({ state: 'streaming' });
  expect(await sql(db.target, 'SELECT i FROM done ORDER BY i')).toEqual([{ i: '1' }, { i: '100' }]);
});

/** Rows that a copy has brought so far, which nobody can see yet. */
const copying = `SELECT coalesce(max(tuples_processed), 0) FROM pg_stat_progress_copy WHERE relid = 'bulk'::regclass`;

async function copiedAt(db: TestDatabases, table: string): Promise<string | null | undefined> {
  return value(db.target, 'SELECT copy_finished_at FROM pgfollow.table_state WHERE pipeline = $1 AND source_table = $2', [
    db.name,
    table,
  ]);
}

async function waiting(db: TestDatabases, purpose: string): Promise<string | null | undefined> {
  return value(db.target, `SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'`, [
    `pgfollow ${db.name} ${purpose}`,
  ]);
}
