// A standby as source (PostgreSQL 16 and newer): it takes no writes, so nothing can be sent through it to measure with.
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { DEFAULT_VERSION } from '../embedded/binaries.ts';
import { startServer, type EmbeddedServer } from '../embedded/server.ts';
import { ownServers, sql, value, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline } from '../testing/run-pipeline.ts';
import { TEST_VERSION } from '../testing/servers.ts';

const VERSION = TEST_VERSION >= 16 ? TEST_VERSION : DEFAULT_VERSION;

/** A standby of the source's server, beside its data. */
async function startStandby({ source }: TestDatabases): Promise<EmbeddedServer> {
  const primary = source.server!;
  const dataDir = join(dirname(primary.dataDir), 'standby');
  await primary.stop();
  await promisify(execFile)('cp', ['-a', primary.dataDir, dataDir]);
  // A copy of any file has the right owner.
  await promisify(execFile)('cp', ['-a', join(dataDir, 'PG_VERSION'), join(dataDir, 'standby.signal')]);
  await writeFile(join(dataDir, 'standby.signal'), '');
  await primary.start();
  return startServer({
    version: VERSION,
    dataDir,
    password: primary.password,
    settings: {
      wal_level: 'logical',
      max_wal_senders: '40',
      max_connections: '200',
      max_worker_processes: '40',
      max_prepared_transactions: '10',
      hot_standby_feedback: 'on',
      primary_conninfo: `host=127.0.0.1 port=${primary.port} user=postgres password=${primary.password}`,
    },
  });
}

test('a standby as source: rows come, the lag is near zero when idle and grows when stuck', { timeout: 120_000 }, async () => {
  await using db = await ownServers({ source: { version: VERSION } });
  for (const side of [db.source, db.target]) await sql(side, 'CREATE TABLE t (id int PRIMARY KEY)');
  await sql(db.source, 'CREATE PUBLICATION p FOR TABLE t; INSERT INTO t VALUES (1)');
  await using standby = await startStandby(db);
  const url = standby.url(db.source.name);
  await using running = startPipeline(db, { source: { url }, publication: { managed: false, names: ['p'] } });
  const { model } = running.pipeline;
  await eventually(
    async () => {
      // A slot on a standby waits for the primary to tell which transactions run.
      await sql(db.source, 'SELECT pg_log_standby_snapshot()');
      expect([model.state, model.status().problems]).toEqual(['streaming', []]);
    },
    { timeout: 60_000, interval: 500 },
  );
  await sql(db.source, 'INSERT INTO t VALUES (2)');
  await eventually(async () => expect(await value(db.target, 'SELECT count(*) FROM t')).toBe('2'));
  await eventually(() => expect(model.lag().seconds).toBeLessThan(1));
  // Nothing is written at all.
  await sleep(4000);
  expect(model.lag().seconds).toBeLessThan(2);
  await using lock = await db.target.session();
  await lock.query('BEGIN; LOCK TABLE t');
  await sql(db.source, 'INSERT INTO t VALUES (3)');
  await eventually(() => expect(model.lag().seconds).toBeGreaterThan(3));
  await lock.query('ROLLBACK');
  await eventually(() => expect(model.lag().seconds).toBeLessThan(1));
});
