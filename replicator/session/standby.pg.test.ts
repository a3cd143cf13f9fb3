// A standby as source (PostgreSQL 16 and newer): it takes no writes, so nothing can be sent through it to measure with.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { DEFAULT_VERSION } from '../embedded/binaries.ts';
import { ownServers, sql, value } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline } from '../testing/run-pipeline.ts';
import { TEST_VERSION } from '../testing/servers.ts';
import { startStandby } from '../testing/standby.ts';

const VERSION = TEST_VERSION >= 16 ? TEST_VERSION : DEFAULT_VERSION;

test('a standby as source: rows come, the lag is near zero when idle and grows when stuck', { timeout: 120_000 }, async () => {
  await using db = await ownServers({ source: { version: VERSION } });
  for (const side of [db.source, db.target]) await sql(side, 'CREATE TABLE t (id int PRIMARY KEY)');
  await sql(db.source, 'CREATE PUBLICATION p FOR TABLE t; INSERT INTO t VALUES (1)');
  await using standby = await startStandby(db.source);
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
