import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { becomesEqual } from '../testing/becomes.ts';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startCaughtUp, startPipeline, type RunningPipeline } from '../testing/run-pipeline.ts';

// ADD COLUMN fills the rows that are there without a word in the stream.

const TABLES = `CREATE TABLE t (id int PRIMARY KEY, v int); CREATE TABLE parted (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
  CREATE TABLE part PARTITION OF parted DEFAULT`;
const ROWS = ['t', 'parted'].map((table) => `INSERT INTO ${table} SELECT i, i FROM generate_series(1, 100) i`).join('; ');

const told = (running: RunningPipeline) => running.pipeline.events.after().filter(({ code }) => code === 'COLUMN_FILLED');
const both = (alter: string): string => `ALTER TABLE t ${alter}; ALTER TABLE parted ${alter}`;

const FILLED = [
  { what: 'a DEFAULT on the source alone', source: 'ADD c int DEFAULT 5', target: 'ADD c int' },
  { what: 'a DEFAULT on the target alone', source: 'ADD c int', target: 'ADD c int DEFAULT 5' },
  { what: 'the time of the ALTER on both', source: 'ADD c timestamptz DEFAULT now()', target: 'ADD c timestamptz DEFAULT now()' },
  { what: 'a value of its own for each row', source: 'ADD c float8 DEFAULT random()', target: 'ADD c float8 DEFAULT random()' },
];

test.concurrent.for(FILLED)('$what: the table is copied again', { timeout: 90_000 }, async ({ source, target }) => {
  await using db = await testDatabases();
  await sql(db.source, `${TABLES}; ${ROWS}`);
  await using running = await startCaughtUp(db);
  await sql(db.target, both(target));
  await sql(
    db.source,
    `UPDATE t SET v = 0 WHERE id = 1; ${both(source)}; UPDATE t SET v = 0 WHERE id = 2; DELETE FROM t WHERE id = 3`,
  );
  await becomesEqual(db, running);
  expect(new Set(told(running).map(({ table }) => table))).toEqual(new Set(['public.parted', 'public.t']));
  await sql(db.source, 'UPDATE t SET v = 7 WHERE id < 20; INSERT INTO parted (id) VALUES (500)');
  await running.caughtUp();
  await compareTables(db.source, db.target);
  expect(told(running)).toHaveLength(2);
});

test.concurrent(
  'on the source first, with pgfollow away: copied again once the target has the column',
  { timeout: 90_000 },
  async () => {
    await using db = await testDatabases();
    await sql(db.source, `${TABLES}; ${ROWS}`);
    await (await startCaughtUp(db)).stop();
    await sql(db.source, `${both('ADD c int DEFAULT 5')}; UPDATE t SET v = 0 WHERE id = 2`);
    await using running = startPipeline(db);
    await eventually(
      () => expect(running.pipeline.model.table('public.t')?.error).toMatchObject({ code: 'TARGET_COLUMN_MISSING' }),
      { timeout: 30_000 },
    );
    await sql(db.target, both('ADD c int'));
    await becomesEqual(db, running);
    expect(told(running)).toHaveLength(2);
  },
);

test.concurrent.for([
  { what: 'the same constant on both', alter: 'ADD c int DEFAULT 5' },
  { what: 'NULL on both', alter: 'ADD c int' },
  { what: 'NULL on both, and a DEFAULT for those that come', alter: 'ADD c int', later: 'ALTER c SET DEFAULT 5' },
])('$what: nothing is copied again', { timeout: 60_000 }, async ({ alter, later }) => {
  await using db = await testDatabases();
  await sql(db.source, `${TABLES}; ${ROWS}`);
  await using running = await startCaughtUp(db);
  await sql(db.target, both(alter));
  await sql(db.source, later ? `${both(alter)}; ${both(later)}` : both(alter));
  await sql(db.source, 'INSERT INTO t (id) VALUES (200); UPDATE t SET v = 0 WHERE id = 2');
  await eventually(async () =>
    expect(await value(db.target, `SELECT count(*) FROM pgfollow.table_state WHERE columns::text LIKE '%"c"%'`)).toBe('2'),
  );
  // Long enough for a copy to begin, had it been decided on.
  await sleep(500);
  await running.caughtUp();
  await compareTables(db.source, db.target);
  expect(told(running)).toEqual([]);
});
