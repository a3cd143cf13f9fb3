import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline } from '../testing/run-pipeline.ts';

const TABLES = 300;

const each = (statement: (name: string, n: number) => string): string =>
  Array.from({ length: TABLES }, (_, n) => statement(`t${n}`, n)).join('; ');

test('hundreds of tables, most of them empty: each is complete, and followed', { timeout: 60_000 }, async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target])
    await sql(
      side,
      each((name) => `CREATE TABLE ${name} (i int PRIMARY KEY, v text)`),
    );
  // Rows, rows that are gone, rows that are there already, rows that somebody is about to write.
  await sql(db.source, `INSERT INTO t1 VALUES (1, 'x'), (2, 'y'); INSERT INTO t2 VALUES (1, 'x')`);
  await sql(db.source, `DELETE FROM t2; INSERT INTO t3 VALUES (1, 'x'); TRUNCATE t3`);
  await sql(db.target, `INSERT INTO t4 VALUES (1, 'mine')`);
  await using writer = await db.source.session();
  await using running = startPipeline(db);
  await eventually(() => running.pipeline.model.table('public.t0')?.state === 'streaming', { timeout: 40_000 });
  await writer.query(`BEGIN; INSERT INTO t5 VALUES (1, 'late')`);
  await sql(
    db.source,
    each((name, n) => (n % 40 === 0 ? `INSERT INTO ${name} VALUES (7, 'new')` : 'SELECT 1')),
  );
  await writer.query('COMMIT');
  await running.caughtUp(40_000);
  expect(running.pipeline.model.table('public.t4')).toMatchObject({ state: 'error', error: { code: 'TARGET_TABLE_NOT_EMPTY' } });
  expect(running.pipeline.model.status().tables).toMatchObject({ total: TABLES, streaming: TABLES - 1, error: 1 });
  await sql(db.target, 'TRUNCATE t4');
  await running.pipeline.controls.retryTable('public.t4', 'test');
  await eventually(() => running.pipeline.model.table('public.t4')?.state === 'streaming', { timeout: 20_000 });
  await compareTables(db.source, db.target);
  expect(await value(db.target, `SELECT count(*) FROM pgfollow.table_state WHERE copy_finished_at IS NULL`)).toBe('0');
});

test('they are taken up again after a restart, and those that left are forgotten', { timeout: 60_000 }, async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target])
    await sql(
      side,
      each((name) => `CREATE TABLE ${name} (i int PRIMARY KEY)`),
    );
  {
    await using running = startPipeline(db);
    await running.caughtUp(40_000);
  }
  await sql(db.source, 'DROP TABLE t0; INSERT INTO t1 VALUES (1)');
  await using running = startPipeline(db);
  await running.caughtUp(40_000);
  expect(running.pipeline.model.status().tables).toMatchObject({ total: TABLES - 1, streaming: TABLES - 1 });
  await sql(db.target, 'DROP TABLE t0');
  await compareTables(db.source, db.target);
});

test('a table of 1,600 columns', { timeout: 60_000 }, async () => {
  await using db = await testDatabases();
  const columns = Array.from({ length: 1600 }, (_, n) => `c${n}`);
  const wide = `CREATE TABLE wide (${columns.map((name) => `${name} int`).join(', ')}, PRIMARY KEY (c0))`;
  for (const side of [db.source, db.target]) await sql(side, wide);
  const row = (first: string): string => `SELECT ${columns.map((_, n) => (n === 0 ? first : `n + ${n}`)).join(', ')}`;
  await sql(db.source, `INSERT INTO wide ${row('n')} FROM generate_series(1, 200) n`);
  await using running = startPipeline(db);
  await running.caughtUp();
  expect(running.pipeline.model.table('public.wide')?.snapshot.rowsCopied).toBe(200);
  await sql(
    db.source,
    `INSERT INTO wide ${row('n + 1000')} FROM generate_series(1, 50) n; UPDATE wide SET c1599 = -1 WHERE c0 % 3 = 0; DELETE FROM wide WHERE c0 % 7 = 0`,
  );
  await running.caughtUp();
  await compareTables(db.source, db.target);
});
