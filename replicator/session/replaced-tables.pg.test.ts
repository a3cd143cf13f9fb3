import { expect, test } from 'vitest';
import { becomesEqual } from '../testing/becomes.ts';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, type TestDatabases } from '../testing/databases.ts';
import { startCaughtUp, startPipeline, type RunningPipeline } from '../testing/run-pipeline.ts';

// A followed name that stands for another table on the source than the one whose rows the target has.

/** As jobs do it that fill a table beside the one that is read, and put it in its place. */
const SWAP = 'BEGIN; ALTER TABLE t RENAME TO t_old; ALTER TABLE t_new RENAME TO t; COMMIT';
const FILL = `CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'old'), (2, 'old'), (3, 'old');
  CREATE TABLE t_new (id int PRIMARY KEY, v text); INSERT INTO t_new VALUES (2, 'new'), (4, 'new')`;

async function copiedAgain(db: TestDatabases, running: RunningPipeline): Promise<void> {
  await sql(db.source, `INSERT INTO t VALUES (5, 'later'); UPDATE t SET v = 'newer' WHERE id = 2`);
  await becomesEqual(db, running);
  expect(told(running)).toEqual([expect.objectContaining({ table: 'public.t', level: 'warn' })]);
}

const told = (running: RunningPipeline) => running.pipeline.events.after().filter(({ code }) => code === 'TABLE_REPLACED');

test.concurrent('followed tables that take each other’s names are copied again', { timeout: 60_000 }, async () => {
  await using db = await testDatabases();
  await sql(db.source, FILL);
  await using running = await startCaughtUp(db);
  await sql(db.source, SWAP);
  await copiedAgain(db, running);
});

test.concurrent('so are those that did it while pgfollow was away', { timeout: 60_000 }, async () => {
  await using db = await testDatabases();
  await sql(db.source, FILL);
  await (await startCaughtUp(db)).stop();
  await sql(db.source, `${SWAP}; INSERT INTO t VALUES (6, 'meanwhile')`);
  await using running = startPipeline(db);
  await copiedAgain(db, running);
});

test.concurrent('dropped and made anew under a publication FOR ALL TABLES: copied again', { timeout: 60_000 }, async () => {
  await using db = await testDatabases();
  await sql(db.source, `${FILL}; CREATE PUBLICATION ${db.name}_own FOR ALL TABLES`);
  await using running = await startCaughtUp(db, { publication: { managed: false, names: [`${db.name}_own`] } });
  await sql(db.source, `BEGIN; DROP TABLE t; ALTER TABLE t_new RENAME TO t; COMMIT`);
  await copiedAgain(db, running);
});

const own = (db: TestDatabases): Record<string, unknown> => ({ publication: { managed: false, names: [`${db.name}_own`] } });

// The stream brings the new table's rows at once, and is told of it by the table's OID; the catalog is looked at a moment later.
test.concurrent.each([
  {
    what: 'dropped and made anew',
    statements: `INSERT INTO t VALUES (7, 'of the old one'); DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, v text)`,
  },
  {
    what: 'put aside, and another one in its place',
    statements: `ALTER TABLE t RENAME TO t_aside; CREATE TABLE t (id int PRIMARY KEY, v text); UPDATE t_aside SET v = 'aside'`,
  },
  {
    what: 'made anew as a partitioned one',
    statements: `DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE t_p PARTITION OF t DEFAULT`,
  },
])(
  '$what in the transaction that fills it: nothing of that reaches the old rows',
  { timeout: 90_000 },
  async ({ statements }) => {
    await using db = await testDatabases();
    await sql(
      db.source,
      `CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'old'), (2, 'old'), (3, 'old');
     CREATE PUBLICATION ${db.name}_own FOR ALL TABLES WITH (publish_via_partition_root)`,
    );
    await using running = await startCaughtUp(db, own(db));
    await sql(
      db.source,
      `BEGIN; ${statements}; INSERT INTO t VALUES (1, 'new'), (2, 'new'), (4, 'new'), (5, 'new'); UPDATE t SET v = 'newer' WHERE id = 4; DELETE FROM t WHERE id = 5; COMMIT`,
    );
    await sql(db.source, `UPDATE t SET v = 'newest' WHERE id = 4`);
    // Nobody is told before that everything is there.
    await running.caughtUp(40_000);
    await compareTables(db.source, db.target);
    expect(told(running)).toHaveLength(1);
    // Keys that are there already, rows that are not.
    expect(running.pipeline.events.after().filter(({ level }) => level === 'error')).toEqual([]);
    expect(running.pipeline.model.table('public.t')?.conflicts).toEqual({ insertExists: 0, updateMissing: 0, deleteMissing: 0 });
    await sql(db.source, `INSERT INTO t VALUES (9, 'later')`);
    await running.caughtUp();
    await compareTables(db.source, db.target);
  },
);
