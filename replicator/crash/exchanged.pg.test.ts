import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { spawnReplicator, type ReplicatorProcess } from '../testing/replicator-process.ts';

const TABLES = 'CREATE TABLE held (i int PRIMARY KEY, v text); CREATE TABLE t (i int PRIMARY KEY, v text)';

// Its copy is about to begin, as of a snapshot, when it becomes another table to us; then that copy ends, and pgfollow with it.
test.concurrent.each([
  {
    what: 'out of the publication and back',
    exchange: async (_: ReplicatorProcess, each: (statement: string) => Promise<unknown>, publication: string) => {
      await each(`ALTER PUBLICATION "${publication}" DROP TABLE t`);
      await each(`INSERT INTO t VALUES (1000, 'unsent'); DELETE FROM t WHERE i < 5`);
      await each(`ALTER PUBLICATION "${publication}" ADD TABLE t`);
    },
    event: 'TABLE_REPUBLISHED',
  },
  {
    what: 'out of the publication',
    exchange: async (_: ReplicatorProcess, each: (statement: string) => Promise<unknown>, publication: string) => {
      // pgfollow puts it back by itself.
      await each(
        `BEGIN; ALTER PUBLICATION "${publication}" DROP TABLE t; INSERT INTO t VALUES (1000, 'unsent'); DELETE FROM t WHERE i < 5; COMMIT`,
      );
    },
    event: 'TABLE_REPUBLISHED',
  },
  {
    what: 'removed and added again',
    exchange: async (replicator: ReplicatorProcess, each: (statement: string) => Promise<unknown>) => {
      expect(await replicator.request('DELETE', 'tables/public/t')).toBe(202);
      await eventually(async () => (await replicator.tables()).length === 1);
      await each(`INSERT INTO t VALUES (1000, 'unsent'); DELETE FROM t WHERE i < 5`);
      expect(await replicator.request('POST', 'tables', { table: 'public.t' })).toBe(202);
      await eventually(async () => (await replicator.tables()).length === 2);
    },
    event: null,
  },
])('$what while it waits to be copied, killed once that is done: nothing is missing', { timeout: 90_000 }, async (how) => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, TABLES);
  await sql(
    db.source,
    `INSERT INTO held SELECT n, repeat('x', 500) FROM generate_series(1, 2000) n; INSERT INTO t SELECT n, 'old' FROM generate_series(1, 100) n`,
  );
  await using lock = await db.target.session();
  await lock.query('BEGIN; LOCK TABLE held IN SHARE MODE');
  await using writer = await db.source.session();
  {
    await using replicator = await spawnReplicator(db, { snapshot: { workers: 1 } });
    const state = async (source: string): Promise<string | undefined> =>
      (await replicator.tables()).find((table) => table.source === source)?.state;
    await eventually(async () => expect(await state('public.held')).toBe('copying'), { timeout: 30_000 });
    await how.exchange(replicator, (statement) => sql(db.source, statement), db.name);
    const { event } = how;
    if (event !== null)
      await eventually(
        async () => (await value(db.target, 'SELECT count(*) FROM pgfollow.event WHERE code = $1', [event])) === '1',
        { timeout: 20_000 },
      );
    // Whoever writes to it now is waited for before it is copied as what it has become.
    await sql(writer, 'BEGIN; LOCK TABLE t IN ROW EXCLUSIVE MODE');
    await lock.query('ROLLBACK');
    await eventually(async () => expect(await state('public.held')).toBe('streaming'), { timeout: 20_000 });
    await eventually(
      async () =>
        (await value(db.source, 'SELECT count(*) FROM pg_stat_activity WHERE application_name = $1', [
          `pgfollow ${db.name} snapshot`,
        ])) === '1',
      { timeout: 20_000 },
    );
    await replicator.kill();
  }
  await sql(writer, 'ROLLBACK');
  await using again = await spawnReplicator(db);
  await again.streaming();
  await eventually(() => compareTables(db.source, db.target), { timeout: 20_000 });
});
