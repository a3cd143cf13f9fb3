// A standby as source (PostgreSQL 16 and newer): it takes no writes, so nothing can be sent through it to measure with.
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { expect, test } from 'vitest';
import { DEFAULT_VERSION } from '../embedded/binaries.ts';
import { compareTables } from '../testing/compare.ts';
import { ownServers, sql, value } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline, type RunningPipeline } from '../testing/run-pipeline.ts';
import { TEST_VERSION } from '../testing/servers.ts';
import { startStandby } from '../testing/standby.ts';

const VERSION = TEST_VERSION >= 16 ? TEST_VERSION : DEFAULT_VERSION;

test.concurrent(
  'a standby as source: rows come, the lag is near zero when idle and grows when stuck',
  { timeout: 120_000 },
  async () => {
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
    await eventually(() => expect(model.stream.lag().seconds).toBeLessThan(1));
    // Nothing is written at all.
    await sleep(4000);
    expect(model.stream.lag().seconds).toBeLessThan(2);
    await using lock = await db.target.session();
    await lock.query('BEGIN; LOCK TABLE t');
    await sql(db.source, 'INSERT INTO t VALUES (3)');
    await eventually(() => expect(model.stream.lag().seconds).toBeGreaterThan(3));
    await lock.query('ROLLBACK');
    await eventually(() => expect(model.stream.lag().seconds).toBeLessThan(1));
  },
);

test.concurrent(
  'a first copy from a standby that is interrupted begins anew, with a new slot',
  { timeout: 180_000 },
  async () => {
    await using db = await ownServers({ source: { version: VERSION } });
    for (const side of [db.source, db.target])
      await sql(side, 'CREATE TABLE t (id int PRIMARY KEY, v int); CREATE TABLE held (id int PRIMARY KEY)');
    await sql(
      db.source,
      'CREATE PUBLICATION p FOR TABLE t, held; INSERT INTO t VALUES (1, 1), (2, 1); INSERT INTO held SELECT generate_series(1, 100)',
    );
    await using standby = await startStandby(db.source);
    const url = standby.url(db.source.name);
    const start = () => startPipeline(db, { source: { url }, publication: { managed: false, names: ['p'] } });
    const lock = await db.target.session();
    await lock.query('BEGIN; LOCK TABLE held IN SHARE MODE');
    const position = () => value(db.target, 'SELECT copy_finished_at FROM pgfollow.table_state WHERE source_table = $1', ['t']);
    const copiedAt = new Set<string | null | undefined>();
    const begun = async (running: RunningPipeline): Promise<void> => {
      await eventually(
        async () => {
          // A slot on a standby waits for the primary to tell which transactions run.
          await sql(db.source, 'SELECT pg_log_standby_snapshot()');
          expect(running.pipeline.model.table('public.t')?.state).toBe('streaming');
          expect(running.pipeline.model.table('public.held')?.state).toBe('copying');
          expect(copiedAt).not.toContain(await position());
        },
        { timeout: 60_000, interval: 300 },
      );
      copiedAt.add(await position());
    };
    {
      await using stopped = start();
      await begun(stopped);
    }
    await sql(db.source, 'UPDATE t SET v = 2 WHERE id = 1; DELETE FROM held WHERE id <= 10');
    await using running = start();
    await begun(running);
    // And so it does when the session that holds the snapshot is lost and somebody needs it, without anybody's help.
    await sql(db.source, 'UPDATE t SET v = 3 WHERE id = 2; DELETE FROM held WHERE id > 90');
    const onStandby = new Client({ connectionString: url });
    await onStandby.connect();
    const terminate = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1';
    expect((await onStandby.query(terminate, [`pgfollow ${db.name} slot`])).rows).toHaveLength(1);
    expect(await sql(db.target, `${terminate} AND wait_event_type = 'Lock'`, [`pgfollow ${db.name} copy`])).toHaveLength(1);
    await onStandby.end();
    await begun(running);
    await lock.end();
    await eventually(
      async () => {
        await sql(db.source, 'SELECT pg_log_standby_snapshot()');
        expect([running.pipeline.model.state, running.pipeline.model.status().problems]).toEqual(['streaming', []]);
      },
      { timeout: 60_000, interval: 300 },
    );
    await sql(db.source, 'INSERT INTO t VALUES (3, 3)');
    await eventually(() => compareTables(db.source, db.target), { timeout: 30_000 });
    expect(copiedAt.size).toBe(3);
    expect(running.pipeline.model.table('public.held')).toMatchObject({ snapshot: { rowsCopied: 80 } });
  },
);
