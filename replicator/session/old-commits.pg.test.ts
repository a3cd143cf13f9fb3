// Commits that came to the target in an earlier process and still wait for a standby: the source does not show them, and this
// process has not seen them come.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { ownServers, sql, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startCaughtUp, type RunningPipeline } from '../testing/run-pipeline.ts';
import { inShort, validated } from '../testing/validation.ts';

const TABLES = `CREATE TABLE k (id int PRIMARY KEY, v int); INSERT INTO k SELECT n, n FROM generate_series(1, 100) n;
  CREATE TABLE word (w text PRIMARY KEY, v int); INSERT INTO word VALUES ('a', 1), ('b', 2)`;

/** Sees its own sessions only; the tables are its own. Gives the source's URL for it. */
async function narrowRole(db: TestDatabases): Promise<string> {
  await sql(
    db.source,
    `CREATE ROLE narrow LOGIN REPLICATION PASSWORD 'secret'; GRANT CREATE ON DATABASE ${db.source.name} TO narrow;
     ALTER TABLE k OWNER TO narrow; ALTER TABLE word OWNER TO narrow`,
  );
  return Object.assign(new URL(db.source.url), { username: 'narrow', password: 'secret' }).href;
}

async function setStandbys(db: TestDatabases, names: string): Promise<void> {
  await sql(db.source, `ALTER SYSTEM SET synchronous_standby_names = '${names}'`);
  await sql(db.source, 'SELECT pg_reload_conf()');
  await eventually(async () =>
    expect(await sql(db.source, 'SHOW synchronous_standby_names')).toEqual([{ synchronous_standby_names: names }]),
  );
}

// What is told of the wait: the reason and the remedy.
const REASONS = {
  'a superuser': { message: 'that wait for a synchronous standby', remedy: 'synchronous_standby_names' },
  'a role that does not see other sessions': {
    message: 'the role does not see which',
    remedy: 'GRANT pg_read_all_stats TO "narrow";',
  },
};

const found = async (running: RunningPipeline): Promise<Record<string, string>> =>
  Object.fromEntries(Object.entries(await validated(running)).map(([table, each]) => [table, inShort(each)]));

test.concurrent.each(Object.keys(REASONS) as (keyof typeof REASONS)[])(
  '%s takes no such row for a different one, and copies none away',
  { timeout: 180_000 },
  async (who) => {
    await using db = await ownServers({ source: { settings: { synchronous_commit: 'local', max_prepared_transactions: '5' } } });
    await sql(db.source, TABLES);
    const url = who === 'a superuser' ? db.source.url : await narrowRole(db);
    {
      await using earlier = await startCaughtUp(db, { source: { url } });
      await sql(db.source, `BEGIN; UPDATE word SET v = 0 WHERE w = 'a'; PREPARE TRANSACTION 'p'`);
      await setStandbys(db, 'nobody');
      await using waiting = await db.source.session();
      await using other = await db.source.session();
      const commit = waiting.query(
        'SET synchronous_commit = on; BEGIN; UPDATE k SET v = 0 WHERE id = 7; DELETE FROM k WHERE id = 8; INSERT INTO k VALUES (1000, 1); COMMIT',
      );
      await other.query('SET synchronous_commit = on');
      const second = other.query(`COMMIT PREPARED 'p'`);
      await eventually(async () => {
        expect(await sql(db.target, 'SELECT FROM k WHERE id = 1000')).toHaveLength(1);
        expect(await sql(db.target, 'SELECT FROM word WHERE v = 0')).toHaveLength(1);
      });
      expect(await sql(db.source, 'SELECT FROM k WHERE id = 1000')).toEqual([]);
      await earlier.stop();

      await using running = await startCaughtUp(db, { source: { url } });
      expect(await found(running)).toEqual({
        'public.k': 'unsettled 100 unsettled 3',
        'public.word': 'unsettled 2 unsettled 1',
      });
      const reason = {
        message: expect.stringContaining(REASONS[who].message),
        remedy: expect.stringContaining(REASONS[who].remedy),
      };
      const awaited = () => running.pipeline.events.after().filter(({ code }) => code === 'COMMITS_AWAITED');
      // Once, though two tables have waited.
      expect(awaited()).toMatchObject([reason]);
      expect(awaited()[0]?.message).toMatch(/^public\.\w+: Waits to be compared/);
      expect(running.pipeline.model.table('public.k')).toMatchObject({ waiting: null });
      await running.pipeline.controls.resyncTable('public.k', 'a test');
      await eventually(() => expect(running.pipeline.model.table('public.k')?.state).not.toBe('streaming'));
      await sleep(1500);
      expect(running.pipeline.model.table('public.k')?.state).toBe('pending');
      await eventually(() => expect(running.pipeline.model.table('public.k')).toMatchObject({ waiting: reason }));
      expect(running.pipeline.model.table('public.word')).toMatchObject({ waiting: null });
      expect(awaited().at(-1)).toMatchObject({ table: 'public.k', message: expect.stringContaining(': Waits to be copied') });

      await setStandbys(db, '');
      await Promise.all([commit, second]);
      await eventually(() => expect(running.pipeline.model.table('public.k')?.state).toBe('streaming'), { timeout: 30_000 });
      await running.caughtUp();
      await compareTables(db.source, db.target);
      expect(running.pipeline.model.table('public.k')).toMatchObject({ waiting: null });
      expect(await found(running)).toEqual({ 'public.k': 'equal 100', 'public.word': 'equal 2' });
    }
  },
);

test.concurrent('where no commit waits for a standby, transactions that were open before hold up nothing', async () => {
  await using db = await ownServers();
  await sql(db.source, TABLES);
  const url = await narrowRole(db);
  {
    await using _earlier = await startCaughtUp(db, { source: { url } });
  }
  await using open = await db.source.session();
  await open.query('BEGIN; INSERT INTO k VALUES (-1, 0)');
  await using running = await startCaughtUp(db, { source: { url } });
  await sql(db.target, 'UPDATE k SET v = -1 WHERE id = 5');
  expect(await found(running)).toEqual({ 'public.k': 'different 100 different 1', 'public.word': 'equal 2' });
  await running.pipeline.controls.resyncTable('public.k', 'a test');
  await eventually(() => expect(running.pipeline.model.status().problems).toEqual([]), { timeout: 30_000 });
  await open.query('ROLLBACK');
});
