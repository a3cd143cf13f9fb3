import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startCaughtUp } from '../testing/run-pipeline.ts';

// Keys on both sides of zero; what lies between them and is not touched has to stay as it is.
const TYPES = [
  { source: 'int', target: 'int' },
  { source: 'bigint', target: 'bigint' },
  { source: 'smallint', target: 'bigint' },
  { source: 'bigint', target: 'positive', also: 'CREATE DOMAIN positive AS bigint' },
  { source: 'int', target: 'numeric' },
];

test.concurrent.for(TYPES)(
  'changes of many rows with neighbouring keys: $source to $target',
  async ({ source, target, also = '' }) => {
    await using db = await testDatabases();
    await sql(db.source, `CREATE TABLE t (id ${source} PRIMARY KEY, v int, w text)`);
    await sql(db.target, `${also}; CREATE TABLE t (id ${target} PRIMARY KEY, v int, w text)`);
    await sql(db.source, `INSERT INTO t SELECT n, 0, 'w' || n FROM generate_series(-1500, 1500) n`);
    await using running = await startCaughtUp(db);
    // Until it ends the changes gather, all but the first that came.
    const lock = await db.target.session();
    await lock.query('BEGIN; LOCK TABLE t IN SHARE MODE');
    await sql(db.source, 'UPDATE t SET v = v + 1 WHERE id % 3 <> 0');
    await sql(db.source, `UPDATE t SET v = v + 1, w = 'x' WHERE id % 3 <> 0; DELETE FROM t WHERE id < -700 AND id % 3 <> 0`);
    await sql(db.source, 'DELETE FROM t WHERE id <= 400 AND id % 3 <> 0');
    await lock.end();
    await running.caughtUp();
    if (source === target) await compareTables(db.source, db.target);
    // In one go, and not row by row.
    if (target !== 'numeric') {
      const looks = (): Promise<string | null | undefined> =>
        value(db.target, `SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 't_pkey' AND idx_tup_read > 0`);
      await eventually(async () => expect(Number(await looks())).toBeGreaterThan(0), { timeout: 20_000 });
      expect(Number(await looks())).toBeLessThan(600);
    }
    const image = `SELECT md5(string_agg(concat_ws(',', id, v, w), ';' ORDER BY id)) FROM t`;
    expect(await value(db.target, image)).toBe(await value(db.source, image));
    expect(running.pipeline.model.table('public.t')?.conflicts).toEqual({ insertExists: 0, updateMissing: 0, deleteMissing: 0 });
  },
);

test.concurrent('a row that is missing on the target is noticed, and the others are changed', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, 'CREATE TABLE t (id int PRIMARY KEY, v int)');
  await sql(db.source, 'INSERT INTO t SELECT n, 0 FROM generate_series(1, 2000) n');
  await using running = await startCaughtUp(db);
  await sql(db.target, 'DELETE FROM t WHERE id IN (1, 1000)');
  await sql(db.source, 'UPDATE t SET v = 1');
  await running.caughtUp();
  expect(await value(db.target, 'SELECT count(*) FROM t WHERE v = 1')).toBe('1998');
  await sql(db.source, 'DELETE FROM t WHERE id <= 1500');
  await running.caughtUp();
  expect(await value(db.target, 'SELECT count(*) FROM t')).toBe('500');
  expect(running.pipeline.model.table('public.t')?.conflicts).toEqual({ insertExists: 0, updateMissing: 2, deleteMissing: 2 });
});

test.concurrent('into a partitioned table, and one without statistics', async () => {
  await using db = await testDatabases();
  await sql(db.source, 'CREATE TABLE t (id int PRIMARY KEY, v int)');
  await sql(
    db.target,
    `CREATE TABLE t (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
     CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (MINVALUE) TO (1000); CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM (1000) TO (MAXVALUE)`,
  );
  await using running = await startCaughtUp(db);
  await sql(db.source, 'INSERT INTO t SELECT n, 0 FROM generate_series(1, 3000) n');
  await sql(db.source, 'UPDATE t SET v = id WHERE id > 200');
  await sql(db.source, 'DELETE FROM t WHERE id BETWEEN 500 AND 1700');
  await running.caughtUp();
  await compareTables(db.source, db.target);
});
