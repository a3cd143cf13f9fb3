import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { ownServers, sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline } from '../testing/run-pipeline.ts';

/** Whether the creation of the slot waits for this transaction. */
async function waitsFor({ source }: TestDatabases, xid: string | null | undefined): Promise<boolean> {
  const waiting = `SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE a.query LIKE 'CREATE_REPLICATION_SLOT%' AND l.locktype = 'transactionid' AND NOT l.granted AND l.transactionid::text = '${xid}'`;
  return (await value(source, waiting)) === '1';
}

const XID = 'SELECT pg_current_xact_id()::text';

// As long as it waits for the first of three transactions, each older than the next one, the server takes no notice of what commits.
test('a TRUNCATE while the slot is being created is known to it', { timeout: 120_000 }, async () => {
  await using db = await ownServers({ source: { settings: { max_prepared_transactions: '5' } } });
  for (const side of [db.source, db.target]) await sql(side, 'CREATE TABLE t (id int PRIMARY KEY, v int)');
  await using session = await db.source.session();
  await using second = await db.source.session();
  await using third = await db.source.session();
  await session.query('BEGIN');
  const first = await value(session, XID);
  await session.query(`PREPARE TRANSACTION 'first'`);
  await using running = startPipeline(db);
  await eventually(() => waitsFor(db, first), { timeout: 30_000 });
  await second.query('BEGIN');
  const xid = await value(second, XID);
  await sql(db.source, 'TRUNCATE t; INSERT INTO t VALUES (1, 1)');
  await session.query(`ROLLBACK PREPARED 'first'`);
  await eventually(() => waitsFor(db, xid), { timeout: 30_000 });
  await third.query('BEGIN; INSERT INTO t VALUES (2, 2)');
  const last = await value(third, XID);
  await second.query('COMMIT');
  await eventually(async () => running.pipeline.model.status().state !== 'starting' || (await waitsFor(db, last)), {
    timeout: 30_000,
  });
  await third.query('COMMIT');
  await sql(db.source, 'UPDATE t SET id = -id');
  await running.caughtUp();
  await compareTables(db.source, db.target);
  expect(running.pipeline.model.status().problems).toEqual([]);
});

test(
  'relations change during each creation of the slot: none of them is used, and it says so',
  { timeout: 120_000 },
  async () => {
    await using db = await testDatabases();
    for (const side of [db.source, db.target]) await sql(side, 'CREATE TABLE t (id int PRIMARY KEY, v int)');
    await sql(db.source, 'INSERT INTO t VALUES (1, 1)');
    await using even = await db.source.session();
    await using odd = await db.source.session();
    let [older, newer] = [even, odd];
    await older.query('BEGIN');
    let xid = await value(older, XID);
    await using running = startPipeline(db);
    const told = () => running.pipeline.events.after().filter(({ code }) => code === 'SLOT_UNSETTLED');
    await eventually(() => waitsFor(db, xid), { timeout: 30_000 });
    // Whichever creation it is that waits, there is a change before the transaction that it waits for ends, and another one to wait for next.
    for (let turn = 0; told().length === 0; turn++) {
      expect(turn).toBeLessThan(40);
      await sql(db.source, `CREATE TABLE other_${turn} ()`);
      await newer.query('BEGIN');
      xid = await value(newer, XID);
      await older.query('COMMIT');
      [older, newer] = [newer, older];
      await eventually(async () => told().length > 0 || (await waitsFor(db, xid)), { timeout: 30_000 });
    }
    expect(await value(db.target, 'SELECT count(*) FROM t')).toBe('0');
    expect(told()[0]?.remedy).toContain('DDL');
    await older.query('COMMIT');
    await running.caughtUp();
    await compareTables(db.source, db.target);
    expect(running.pipeline.model.status().problems).toEqual([]);
  },
);
