import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { becomesEqual } from '../testing/becomes.ts';
import { compareTables, type TableNames } from '../testing/compare.ts';
import { sql, testDatabases, value } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startCaughtUp, startPipeline, type RunningPipeline } from '../testing/run-pipeline.ts';
import { TEST_VERSION } from '../testing/servers.ts';

// tables.map is another one than when a table was copied: the stream brings neither the rows nor the values that its target lacks then.

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY, a int, b text)';
const ROWS = `INSERT INTO t SELECT i, i, 'b' || i FROM generate_series(1, 200) i`;

const mapped = (entry: object): Record<string, unknown> => ({
  tables: { map: [{ from: 'public.t', to: 'public.t', ...entry }] },
});
const told = (running: RunningPipeline, code: string) => running.pipeline.events.after().filter((event) => event.code === code);

interface Remapping {
  readonly what: string;
  readonly before?: object;
  readonly after?: object;
  readonly tables?: TableNames;
  readonly since?: number;
}

const REMAPPED: Remapping[] = [
  { what: 'a column that was left out', before: { columns: { exclude: ['a'] } } },
  { what: 'the last column, which was left out', before: { columns: { exclude: ['b'] } } },
  {
    what: 'a column that goes elsewhere',
    after: { columns: { rename: { a: 'c' } } },
    tables: { source: 'public.t', target: 'public.t', rename: { a: 'c' } },
  },
  { what: 'a table that goes elsewhere', after: { to: 'public.u' }, tables: { source: 'public.t', target: 'public.u' } },
  { what: 'no filter any more', before: { where: 'id > 50' }, since: 15 },
];

test.concurrent.for(REMAPPED.filter(({ since = 0 }) => TEST_VERSION >= since))(
  '$what: the table is copied again',
  { timeout: 90_000 },
  async ({ before = {}, after = {}, tables }) => {
    await using db = await testDatabases();
    await sql(db.source, `${TABLE}; ${ROWS}`);
    await sql(db.target, `${TABLE}; ALTER TABLE t ADD c int; CREATE TABLE u (LIKE t INCLUDING ALL)`);
    await (await startCaughtUp(db, mapped(before))).stop();
    await sql(db.source, 'UPDATE t SET a = -a WHERE id < 9; DELETE FROM t WHERE id = 60');
    {
      await using running = startPipeline(db, mapped(after));
      await eventually(() => compareTables(db.source, db.target, tables ?? 'public.t'), { timeout: 30_000 });
      await sql(db.source, 'UPDATE t SET a = 7 WHERE id = 100; DELETE FROM t WHERE id = 61');
      await running.caughtUp();
      await compareTables(db.source, db.target, tables ?? 'public.t');
      expect(told(running, 'TABLE_REMAPPED')).toEqual([expect.objectContaining({ table: 'public.t', level: 'warn' })]);
    }
    await using again = await startCaughtUp(db, mapped(after));
    expect(told(again, 'TABLE_REMAPPED')).toHaveLength(1);
  },
);

test.runIf(TEST_VERSION >= 15)('fewer rows by a filter: those that are no longer asked for go', { timeout: 60_000 }, async () => {
  await using db = await testDatabases();
  await sql(db.source, `${TABLE}; ${ROWS}`);
  await (await startCaughtUp(db)).stop();
  await using running = startPipeline(db, mapped({ where: 'id > 50' }));
  await eventually(async () => expect(await value(db.target, 'SELECT min(id) FROM t')).toBe('51'), { timeout: 30_000 });
  await running.caughtUp();
  expect(await value(db.target, 'SELECT count(*) FROM t')).toBe('150');
});

test.concurrent('rows of others in the new target table are left alone', { timeout: 60_000 }, async () => {
  await using db = await testDatabases();
  await sql(db.source, `${TABLE}; ${ROWS}; CREATE TABLE other (id int PRIMARY KEY)`);
  await sql(db.target, `${TABLE}; CREATE TABLE u (LIKE t INCLUDING ALL); INSERT INTO u VALUES (-1, 0, 'of others')`);
  await (await startCaughtUp(db)).stop();
  await using running = startPipeline(db, mapped({ to: 'public.u' }));
  await eventually(
    () => expect(running.pipeline.model.table('public.t')?.error).toMatchObject({ code: 'TARGET_TABLE_NOT_EMPTY' }),
    { timeout: 30_000 },
  );
  await sql(db.source, 'INSERT INTO other VALUES (1); DELETE FROM t WHERE id = 1');
  await eventually(async () => expect(await value(db.target, 'SELECT count(*) FROM other')).toBe('1'));
  expect(await sql(db.target, 'SELECT id FROM u')).toEqual([{ id: '-1' }]);
  expect(await value(db.target, 'SELECT count(*) FROM t')).toBe('200');
  await sql(db.target, 'DELETE FROM u');
  await eventually(() => compareTables(db.source, db.target, { source: 'public.t', target: 'public.u' }), { timeout: 30_000 });
});

test.concurrent('left, and back to another target table: rows of others there are left alone', { timeout: 60_000 }, async () => {
  await using db = await testDatabases();
  await sql(db.source, `${TABLE}; ${ROWS}; CREATE TABLE other (id int PRIMARY KEY)`);
  await sql(db.target, `${TABLE}; CREATE TABLE u (LIKE t INCLUDING ALL); INSERT INTO u VALUES (-1, 0, 'of others')`);
  await (await startCaughtUp(db)).stop();
  await (await startCaughtUp(db, { tables: { include: ['public.other'] } })).stop();
  await using running = startPipeline(db, mapped({ to: 'public.u' }));
  await eventually(
    () => expect(running.pipeline.model.table('public.t')?.error).toMatchObject({ code: 'TARGET_TABLE_NOT_EMPTY' }),
    { timeout: 30_000 },
  );
  expect(await sql(db.target, 'SELECT id FROM u')).toEqual([{ id: '-1' }]);
});

test.concurrent.for([
  { what: 'a column that is left out from now on', after: { columns: { exclude: ['a'] } } },
  { what: 'a column that was renamed on the source, by an entry', after: { columns: { rename: { amount: 'a' } } }, rename: true },
  { what: 'nothing, noted by a version before', after: {}, forgotten: true },
])('$what: nothing is copied again', { timeout: 60_000 }, async ({ after, rename, forgotten }) => {
  await using db = await testDatabases();
  await sql(db.source, `${TABLE}; ${ROWS}`);
  await (await startCaughtUp(db)).stop();
  if (rename) await sql(db.source, 'ALTER TABLE t RENAME a TO amount');
  if (forgotten) await sql(db.target, 'UPDATE pgfollow.table_state SET mapping = NULL');
  await using running = await startCaughtUp(db, mapped(after));
  await sql(db.source, `UPDATE t SET b = 'new' WHERE id = 5`);
  // Long enough for a copy to begin, had it been decided on.
  await sleep(500);
  await running.caughtUp();
  expect(await value(db.target, 'SELECT b FROM t WHERE id = 5')).toBe('new');
  expect(told(running, 'TABLE_REMAPPED')).toEqual([]);
  expect(told(running, 'COPY_STARTED')).toHaveLength(1);
  expect(await value(db.target, 'SELECT mapping FROM pgfollow.table_state')).not.toBeNull();
});

test.concurrent('with a publication that is used as it is too', { timeout: 60_000 }, async () => {
  await using db = await testDatabases();
  await sql(db.source, `${TABLE}; ${ROWS}; CREATE PUBLICATION mine FOR TABLE t`);
  const settings = { publication: { managed: false, names: ['mine'] } };
  await (await startCaughtUp(db, settings)).stop();
  await using running = startPipeline(db, { ...settings, ...mapped({ columns: { exclude: ['a'] } }) });
  await running.caughtUp();
  await sql(db.source, 'UPDATE t SET b = 1 WHERE id = 3');
  await running.caughtUp();
  await running.stop();
  await using again = startPipeline(db, settings);
  await becomesEqual(db, again);
  expect(told(again, 'TABLE_REMAPPED')).toHaveLength(1);
});
