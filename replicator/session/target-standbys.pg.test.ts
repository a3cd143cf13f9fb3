import { Client } from 'pg';
import { expect, test } from 'vitest';
import type { EmbeddedServer } from '../embedded/server.ts';
import { ownServers, sql, value, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { executeTeardown, planTeardown } from '../teardown.ts';
import { startCaughtUp, startPipeline, testConfig, type RunningPipeline } from '../testing/run-pipeline.ts';
import { startStandby } from '../testing/standby.ts';

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY)';

const problems = ({ pipeline }: RunningPipeline) => pipeline.model.status().problems.map(({ code }) => code);

/** As many standbys as this names have to have what is committed. */
async function wants(db: TestDatabases, names: string): Promise<void> {
  await sql(db.target, `ALTER SYSTEM SET synchronous_standby_names = '${names}'`);
  await sql(db.target, 'SELECT pg_reload_conf()');
  await eventually(async () => (await value(db.target, 'SHOW synchronous_standby_names')) === names);
}

const checkpoint = (db: TestDatabases) => value(db.target, 'SELECT applied_lsn FROM pgfollow.checkpoint');

async function isAcknowledged(db: TestDatabases, position: string | null | undefined): Promise<boolean> {
  const confirmed = 'SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1 AND confirmed_flush_lsn >= $2::pg_lsn';
  return (await value(db.source, confirmed, [db.name, position])) === '1';
}

const waiting = (db: TestDatabases) => value(db.target, `SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`);

test('a standby that is missing holds up what is acknowledged, and nothing else', { timeout: 120_000 }, async () => {
  await using db = await ownServers();
  for (const side of [db.source, db.target]) await sql(side, TABLE);
  const inserted = async (id: number): Promise<string | null | undefined> => {
    await sql(db.source, `INSERT INTO t VALUES (${id})`);
    await eventually(async () => expect(await value(db.target, 'SELECT count(*) FROM t')).toBe(String(id)));
    return checkpoint(db);
  };
  {
    await using running = await startCaughtUp(db);
    await wants(db, 'nobody');
    const position = await inserted(1);
    await eventually(() => expect(problems(running)).toEqual(['TARGET_STANDBY_AWAITED']), { timeout: 20_000 });
    await inserted(2);
    expect(await isAcknowledged(db, position)).toBe(false);
  }
  // Whoever still waits there would do so for ever.
  await eventually(async () => expect(await waiting(db)).toBe('0'));
  await sql(db.source, 'CREATE TABLE made (id int PRIMARY KEY); INSERT INTO made VALUES (1)');
  await using running = startPipeline(db, { apply: { onMissing: 'error' } });
  await eventually(async () => expect(await value(db.target, `SELECT count(*) FROM made`)).toBe('1'), { timeout: 20_000 });
  const position = await inserted(3);
  await eventually(() => expect(problems(running)).toEqual(['TARGET_STANDBY_AWAITED']), { timeout: 20_000 });
  expect(await isAcknowledged(db, position)).toBe(false);
  // An operator ends the wait: the commit stands, and no standby has it.
  await sql(db.target, `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'`);
  await eventually(async () => expect(await waiting(db)).toBe('1'));
  expect(await isAcknowledged(db, position)).toBe(false);
  await wants(db, '');
  await eventually(() => isAcknowledged(db, position));
  await eventually(() => expect(problems(running)).toEqual([]));
});

test('a teardown does not wait for a standby that is missing', { timeout: 60_000 }, async () => {
  await using db = await ownServers();
  for (const side of [db.source, db.target]) await sql(side, TABLE);
  {
    await using running = await startCaughtUp(db);
    await running.stop();
  }
  await wants(db, 'nobody');
  const config = testConfig(db);
  await executeTeardown(config, await planTeardown(config));
  expect(await value(db.target, `SELECT to_regnamespace('pgfollow')::text`)).toBeNull();
  expect(await value(db.source, 'SELECT count(*) FROM pg_replication_slots')).toBe('0');
});

test('a synchronous standby that is promoted goes on where the stream is', { timeout: 180_000 }, async () => {
  await using db = await ownServers();
  for (const side of [db.source, db.target]) await sql(side, TABLE);
  await using standby = await startStandby(db.target);
  await wants(db, '*');
  await eventually(async () => expect(await value(db.target, 'SELECT sync_state FROM pg_stat_replication')).toBe('sync'));
  {
    await using running = await startCaughtUp(db);
    await sql(db.source, 'INSERT INTO t SELECT generate_series(1, 100)');
    await eventually(async () => expect(await value(db.target, 'SELECT count(*) FROM t')).toBe('100'));
    const position = await checkpoint(db);
    await eventually(() => isAcknowledged(db, position));
    await standby.stop();
    await sql(db.source, 'INSERT INTO t SELECT generate_series(101, 200)');
    await eventually(async () => expect(await value(db.target, 'SELECT count(*) FROM t')).toBe('200'));
    await eventually(() => expect(problems(running)).toEqual(['TARGET_STANDBY_AWAITED']), { timeout: 20_000 });
  }
  await db.target.server?.kill();
  await standby.start();
  await ask(standby, db, 'SELECT pg_promote()');
  await eventually(async () => expect(await ask(standby, db, 'SELECT NOT pg_is_in_recovery()')).toBe('true'));
  expect(await ask(standby, db, 'SELECT count(*) FROM t')).toBe('100');
  await using running = startPipeline(db, { target: { url: standby.url(db.target.name) } });
  await eventually(async () => expect(await ask(standby, db, 'SELECT count(*) FROM t')).toBe('200'), { timeout: 30_000 });
  expect(await ask(standby, db, 'SELECT sum(id) FROM t')).toBe(await value(db.source, 'SELECT sum(id) FROM t'));
  await eventually(() => expect(problems(running)).toEqual([]));
});

async function ask(server: EmbeddedServer, { target }: TestDatabases, text: string): Promise<string | undefined> {
  const client = new Client({ connectionString: server.url(target.name) });
  await client.connect();
  try {
    const { rows } = await client.query<Record<string, unknown>>(text);
    return String(Object.values(rows[0] ?? {})[0]);
  } finally {
    await client.end();
  }
}
