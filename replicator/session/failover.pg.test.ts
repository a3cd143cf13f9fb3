// A standby that is promoted and has the slot, as a synchronized one would be.
import { Client } from 'pg';
import { expect, test } from 'vitest';
import { DEFAULT_VERSION } from '../embedded/binaries.ts';
import type { EmbeddedServer } from '../embedded/server.ts';
import { compareTables } from '../testing/compare.ts';
import { ownServers, sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startCaughtUp, startPipeline } from '../testing/run-pipeline.ts';
import { TEST_VERSION } from '../testing/servers.ts';
import { startStandby } from '../testing/standby.ts';

const FOLLOWABLE_STANDBY = TEST_VERSION >= 16 ? TEST_VERSION : DEFAULT_VERSION;

test(
  'a promoted standby that lacks what the target has is refused, whatever it has written since',
  { timeout: 120_000 },
  async () => {
    await using db = await ownServers();
    await using standby = await withSlot(db);
    await ask(standby, db, `ALTER SYSTEM SET primary_conninfo = ''`);
    await ask(standby, db, 'SELECT pg_reload_conf()');
    await eventually(async () => expect(await ask(standby, db, 'SELECT FROM pg_stat_wal_receiver')).toHaveLength(0));
    await follow(db, 'INSERT INTO t VALUES (2)');
    await promote(db, standby);
    const checkpoint = await value(db.target, 'SELECT applied_lsn FROM pgfollow.checkpoint');
    await ask(standby, db, 'INSERT INTO t VALUES (3)');
    await ask(standby, db, 'SELECT pg_switch_wal()');
    await ask(standby, db, 'INSERT INTO t VALUES (4)');
    expect(await ask(standby, db, `SELECT FROM pg_current_wal_lsn() AS l WHERE l > '${checkpoint}'`)).toHaveLength(1);
    await using running = startPipeline(db, { source: { url: standby.url(db.source.name) } });
    const { model } = running.pipeline;
    await eventually(() => expect(model.status().problems.map(({ code }) => code)).toEqual(['FOREIGN_CHECKPOINT']));
    expect(model.state).toBe('failed');
    expect(await sql(db.target, 'SELECT id FROM t ORDER BY id')).toEqual([{ id: '1' }, { id: '2' }]);
  },
);

test('a promoted standby that has all that the target has is followed on', { timeout: 120_000 }, async () => {
  await using db = await ownServers();
  await using standby = await withSlot(db);
  await follow(db, 'INSERT INTO t VALUES (2)');
  const end = await value(db.source, 'SELECT pg_current_wal_lsn()');
  await eventually(async () =>
    expect(await ask(standby, db, `SELECT FROM pg_last_wal_replay_lsn() AS l WHERE l >= '${end}'`)).toHaveLength(1),
  );
  await promote(db, standby);
  await ask(standby, db, 'INSERT INTO t VALUES (3)');
  const url = standby.url(db.source.name);
  for (const id of [4, 5]) {
    await using running = startPipeline(db, { source: { url } });
    await ask(standby, db, `INSERT INTO t VALUES (${id})`);
    await eventually(async () => expect(await value(db.target, 'SELECT count(*) FROM t')).toBe(String(id)));
    expect(running.pipeline.model.status().problems).toEqual([]);
  }
});

/** Follows a standby until it is where its primary is, then stops. A slot on it waits for the primary to tell which transactions run. */
async function followStandby(db: TestDatabases, standby: EmbeddedServer): Promise<void> {
  await using running = startPipeline(db, ofStandby(db, standby));
  await eventually(
    async () => {
      await sql(db.source, 'SELECT pg_log_standby_snapshot()');
      expect(running.pipeline.model.state).toBe('streaming');
      await compareTables(db.source, db.target);
    },
    { timeout: 60_000, interval: 300 },
  );
  await running.stop();
}

const ofStandby = (db: TestDatabases, standby: EmbeddedServer) => ({
  source: { url: standby.url(db.source.name) },
  publication: { managed: false, names: ['p'] },
});

async function published(): Promise<TestDatabases> {
  const db = await ownServers({ source: { version: FOLLOWABLE_STANDBY } });
  await sql(db.source, 'CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE t; INSERT INTO t VALUES (1)');
  return db;
}

test(
  'where a standby was followed, a promoted one that lacks what the target has is refused too',
  { timeout: 180_000 },
  async () => {
    await using db = await published();
    await using promoted = await startStandby(db.source, 'promoted');
    await ask(promoted, db, `ALTER SYSTEM SET primary_conninfo = ''`);
    await ask(promoted, db, 'SELECT pg_reload_conf()');
    await eventually(async () => expect(await ask(promoted, db, 'SELECT FROM pg_stat_wal_receiver')).toHaveLength(0));
    await using standby = await startStandby(db.source, 'followed');
    await followStandby(db, standby);
    await sql(db.source, 'INSERT INTO t SELECT generate_series(2, 2000)');
    await followStandby(db, standby);
    // What a standby has replayed for certain is noted when a session begins.
    await sql(db.source, 'CHECKPOINT');
    await ask(standby, db, 'CHECKPOINT');
    await sql(db.source, 'INSERT INTO t VALUES (0)');
    await followStandby(db, standby);
    await promote(db, promoted);
    await ask(promoted, db, `SELECT pg_create_logical_replication_slot('${db.name}', 'pgoutput')`);
    const checkpoint = await value(db.target, 'SELECT applied_lsn FROM pgfollow.checkpoint');
    await ask(promoted, db, 'INSERT INTO t SELECT generate_series(2, 20000)');
    expect(await ask(promoted, db, `SELECT FROM pg_current_wal_lsn() AS l WHERE l > '${checkpoint}'`)).toHaveLength(1);
    await using running = startPipeline(db, ofStandby(db, promoted));
    const { model } = running.pipeline;
    await eventually(() => expect(model.status().problems.map(({ code }) => code)).toEqual(['FOREIGN_CHECKPOINT']));
    expect(await value(db.target, 'SELECT count(*) FROM t')).toBe('2001');
  },
);

test('a standby, its primary, and the standby again, promoted meanwhile, are followed on', { timeout: 180_000 }, async () => {
  await using db = await published();
  await using standby = await startStandby(db.source);
  await sql(db.source, `SELECT pg_create_logical_replication_slot('${db.name}', 'pgoutput')`);
  await followStandby(db, standby);
  const noted = () => value(db.target, 'SELECT source_timeline_until FROM pgfollow.pipeline');
  expect(await noted()).not.toBeNull();
  {
    await using primary = await startCaughtUp(db, { ...ofStandby(db, standby), source: { url: db.source.url } });
    expect(primary.pipeline.model.status().problems).toEqual([]);
    expect(await noted()).toBeNull();
  }
  const arrives = async (id: number): Promise<void> => {
    await eventually(() => ask(standby, db, `INSERT INTO t VALUES (${id})`), { timeout: 30_000 });
    await eventually(async () => expect(await value(db.target, 'SELECT count(*) FROM t')).toBe(String(id)), { timeout: 30_000 });
  };
  {
    await using running = startPipeline(db, ofStandby(db, standby));
    await eventually(() => expect(running.pipeline.model.state).toBe('streaming'));
    await promote(db, standby);
    await arrives(2);
  }
  await using running = startPipeline(db, ofStandby(db, standby));
  await arrives(3);
  expect(running.pipeline.model.status().problems).toEqual([]);
});

async function withSlot(db: TestDatabases): Promise<EmbeddedServer> {
  await sql(db.source, 'CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)');
  await follow(db, 'SELECT 1');
  return startStandby(db.source);
}

async function follow(db: TestDatabases, change: string): Promise<void> {
  await using running = startPipeline(db);
  await eventually(() => expect(running.pipeline.model.state).toBe('streaming'));
  await sql(db.source, change);
  await eventually(() => compareTables(db.source, db.target));
  await running.stop();
}

async function promote(db: TestDatabases, standby: EmbeddedServer): Promise<void> {
  await db.source.server?.stop();
  await ask(standby, db, 'SELECT pg_promote()');
}

async function ask(standby: EmbeddedServer, db: TestDatabases, text: string): Promise<unknown[]> {
  const client = new Client({ connectionString: standby.url(db.source.name) });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

test('where the source does not tell its timeline, it is followed all the same', async () => {
  await using db = await testDatabases();
  const role = `${db.name}_role`;
  await sql(
    db.source,
    `CREATE TABLE t (id int PRIMARY KEY); CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'secret'; ALTER TABLE t OWNER TO ${role}`,
  );
  await sql(
    db.source,
    `GRANT CREATE ON DATABASE ${db.source.name} TO ${role}; REVOKE EXECUTE ON FUNCTION pg_walfile_name(pg_lsn) FROM PUBLIC`,
  );
  try {
    const url = Object.assign(new URL(db.source.url), { username: role, password: 'secret' }).href;
    await using running = await startCaughtUp(db, { source: { url } });
    expect(running.pipeline.model.status().problems).toEqual([]);
  } finally {
    await sql(db.source, `GRANT EXECUTE ON FUNCTION pg_walfile_name(pg_lsn) TO PUBLIC; DROP OWNED BY ${role}; DROP ROLE ${role}`);
  }
});
