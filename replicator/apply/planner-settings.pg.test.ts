import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value, type TestDatabase } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startCaughtUp } from '../testing/run-pipeline.ts';

// Counts reach the view when a session has been idle, or now and then.
async function scans(db: TestDatabase, kind: 'seq_scan' | 'idx_scan', table: string): Promise<number> {
  return Number(await value(db, `SELECT ${kind} FROM pg_stat_user_tables WHERE relname = '${table}'`));
}

// A table that fits on a page is read in one go as cheaply as by its index, and that plan would be kept while the table grows.
test('however small a table is, single rows and sets of them are found by the key', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target])
    await sql(
      side,
      'CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT i, 0 FROM generate_series(1, 30) i; ANALYZE t',
    );
  await using running = await startCaughtUp(db, { snapshot: { copy: false } });
  for (let n = 1; n <= 20; n++) await sql(db.source, `UPDATE t SET v = v + 1 WHERE id = ${n}`);
  await sql(db.source, 'UPDATE t SET v = v + 1');
  await sql(db.source, 'DELETE FROM t WHERE id = 30; DELETE FROM t WHERE id < 12');
  await running.caughtUp();
  await eventually(async () => (await scans(db.target, 'idx_scan', 't')) >= 20, { timeout: 30_000 });
  // Making the table has read it.
  expect(await scans(db.target, 'seq_scan', 't')).toBeLessThan(5);
  await compareTables(db.source, db.target, 't');
});

test('rows without a key are found whichever way is possible, between others that have one', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target])
    await sql(
      side,
      `CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT i, 0 FROM generate_series(1, 30) i;
       CREATE TABLE keyless (id int, v int); INSERT INTO keyless SELECT i, 0 FROM generate_series(1, 30) i; ALTER TABLE keyless REPLICA IDENTITY FULL`,
    );
  await using running = await startCaughtUp(db, { snapshot: { copy: false } });
  await sql(
    db.source,
    `BEGIN; ${Array.from({ length: 7 }, (_, n) => `UPDATE t SET v = v + 1 WHERE id = ${n + 1}; UPDATE keyless SET v = v + 1 WHERE id = ${n + 1}`).join('; ')}; COMMIT`,
  );
  await running.caughtUp();
  await compareTables(db.source, db.target, 't', 'keyless');
});
