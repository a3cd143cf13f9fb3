import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { spawnReplicator } from '../testing/replicator-process.ts';

const TABLES = 'CREATE TABLE other (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, v int, filler text)';

// What is merged takes its time, and so can be met.
const SLOWLY = `
  CREATE FUNCTION rest() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN NEW; END $$;
  CREATE TRIGGER rest BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION rest(); ALTER TABLE t ENABLE REPLICA TRIGGER rest`;

const shadows = (db: TestDatabases) =>
  sql(db.target, `SELECT relname FROM pg_class WHERE relnamespace = 'pgfollow'::regnamespace AND relname ~ '^shadow_[0-9]+$'`);

test(
  'killed while a table is copied again: no reader sees it half done, and nothing is left of it',
  { timeout: 120_000 },
  async () => {
    await using db = await testDatabases();
    for (const side of [db.source, db.target]) await sql(side, `${TABLES}; ALTER TABLE t ALTER filler SET STORAGE PLAIN`);
    await sql(db.source, `INSERT INTO t SELECT i, 0, repeat('x', 3500) FROM generate_series(1, 24000) i`);
    let replicator = await spawnReplicator(db, { snapshot: { workers: 2 } });
    await replicator.streaming(60_000);
    await sql(db.target, `${SLOWLY}; DELETE FROM t WHERE id <= 50; UPDATE t SET v = 7 WHERE id > 23900`);
    const seen = new Set<string | null | undefined>();
    const looking = new AbortController();
    const reader = (async () => {
      await using session = await db.target.session();
      while (!looking.signal.aborted) seen.add(await value(session, 'SELECT count(*) FROM t WHERE v = 0 AND id <= 23950'));
    })();
    const active = (query: string) =>
      value(
        db.target,
        `SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND state = 'active' AND query LIKE $2`,
        [`pgfollow ${db.name} copy`, query],
      );
    try {
      for (const phase of ['COPY%', 'LOCK TABLE%', 'UPDATE%']) {
        if (phase === 'COPY%') expect(await replicator.request('POST', 'tables/public/t/resync')).toBe(202);
        await using holder = await db.target.session();
        const found = await eventuallyOne(db);
        if (phase === 'LOCK TABLE%') await holder.query(`BEGIN; LOCK TABLE pgfollow.${found} IN SHARE UPDATE EXCLUSIVE MODE`);
        await eventually(async () => Number(await active(phase)) > 0, { timeout: 30_000, interval: 2 });
        await sql(db.source, `UPDATE t SET v = v WHERE id <= 10; INSERT INTO other SELECT coalesce(max(id), 0) + 1 FROM other`);
        await replicator.kill();
        await holder.query('ROLLBACK');
        expect(await shadows(db)).not.toEqual([]);
        await replicator[Symbol.asyncDispose]();
        replicator = await spawnReplicator(db, { snapshot: { workers: 2 } });
        // Each start begins the copy anew, and clears away what the one before has left.
        await eventually(async () => expect(await shadows(db)).not.toContainEqual({ relname: found }), { timeout: 30_000 });
      }
      await replicator.streaming(60_000);
      await eventually(async () => expect(await shadows(db)).toEqual([]), { timeout: 30_000 });
      await eventually(() => compareTables(db.source, db.target), { timeout: 30_000 });
      looking.abort();
      await reader;
      expect(seen).toEqual(new Set(['23850', '23950']));
    } finally {
      looking.abort();
      await reader;
      await replicator[Symbol.asyncDispose]();
    }
  },
);

async function eventuallyOne(db: TestDatabases): Promise<string> {
  let name = '';
  await eventually(async () => (name = (await shadows(db))[0]?.['relname'] ?? '') !== '', { timeout: 30_000, interval: 2 });
  return name;
}
