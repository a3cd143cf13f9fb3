import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { becomesEqual } from '../testing/becomes.ts';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startCaughtUp, startPipeline, type RunningPipeline } from '../testing/run-pipeline.ts';

// A name stands for another column of the source than the one whose values the target has under it. The stream tells columns by their names.

const TABLE = `CREATE TABLE t (id int PRIMARY KEY, a int, b int, c text); INSERT INTO t SELECT i, i, -i, 'old' FROM generate_series(1, 200) i`;

const told = (running: RunningPipeline) => running.pipeline.events.after().filter(({ code }) => code === 'COLUMNS_EXCHANGED');

const EXCHANGES = [
  { what: 'dropped and made anew', statement: 'ALTER TABLE t DROP a; ALTER TABLE t ADD a int' },
  { what: 'the last one, dropped and made anew in one command', statement: `ALTER TABLE t DROP c, ADD c text DEFAULT 'new'` },
  {
    what: 'two that trade names',
    statement: 'ALTER TABLE t RENAME a TO x; ALTER TABLE t RENAME b TO a; ALTER TABLE t RENAME x TO b',
  },
];

test.concurrent.for(EXCHANGES)('$what: the table is copied again', { timeout: 60_000 }, async ({ statement }) => {
  await using db = await testDatabases();
  await sql(db.source, TABLE);
  await using running = await startCaughtUp(db);
  await sql(db.source, `BEGIN; UPDATE t SET a = 7 WHERE id = 7; ${statement}; UPDATE t SET a = 5 WHERE id = 5; COMMIT`);
  await becomesEqual(db, running);
  expect(told(running)).toEqual([expect.objectContaining({ table: 'public.t', level: 'warn' })]);
  await sql(db.source, 'UPDATE t SET b = 9, a = 3 WHERE id < 20; DELETE FROM t WHERE id = 30');
  await running.caughtUp();
  await compareTables(db.source, db.target);
  expect(told(running)).toHaveLength(1);
});

test.concurrent.for(EXCHANGES)(
  '$what while pgfollow was away: the table is copied again',
  { timeout: 60_000 },
  async ({ statement }) => {
    await using db = await testDatabases();
    await sql(db.source, TABLE);
    await (await startCaughtUp(db)).stop();
    await sql(db.source, statement);
    await using running = startPipeline(db);
    await becomesEqual(db, running);
    expect(told(running)).toHaveLength(1);
  },
);

test.concurrent(
  'dropped on the source alone, and made anew much later: the table is copied again',
  { timeout: 60_000 },
  async () => {
    await using db = await testDatabases();
    await sql(db.source, TABLE);
    await using running = await startCaughtUp(db);
    await sql(db.source, 'ALTER TABLE t DROP a; UPDATE t SET b = 1 WHERE id = 1');
    await running.caughtUp();
    const looked = (): Promise<unknown> =>
      eventually(async () =>
        expect(await value(db.target, 'SELECT columns FROM pgfollow.table_state')).toMatch(/"c", 4.*"a", 2/),
      );
    await looked();
    expect(told(running)).toEqual([]);
    await sql(db.source, 'ALTER TABLE t ADD a int');
    await becomesEqual(db, running);
    expect(told(running)).toHaveLength(1);
  },
);

test.concurrent('renamed on both sides, or with more columns: nothing is copied again', { timeout: 60_000 }, async () => {
  await using db = await testDatabases();
  await sql(db.source, TABLE);
  await using running = await startCaughtUp(db);
  for (const side of [db.target, db.source]) await sql(side, 'ALTER TABLE t RENAME a TO amount; ALTER TABLE t ADD more int');
  await sql(db.source, 'UPDATE t SET amount = 5, more = 1 WHERE id = 5');
  await eventually(async () => expect(await value(db.target, 'SELECT columns FROM pgfollow.table_state')).toContain('more'));
  // Long enough for a copy to begin, had it been decided on.
  await sleep(500);
  await running.caughtUp();
  await compareTables(db.source, db.target);
  expect(told(running)).toEqual([]);
  expect(running.pipeline.events.after().filter(({ code }) => code === 'COPY_STARTED')).toHaveLength(1);
});
