import { describe, expect, test } from 'vitest';
import { sql, testDatabases, value, type TestDatabase } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline } from '../testing/run-pipeline.ts';
import { TEST_VERSION } from '../testing/servers.ts';
import { known, stageShapes, type Shape } from '../testing/shapes.ts';

const SHAPES: Shape[] = [
  {
    name: 'a row filter on the key',
    source: 'CREATE TABLE t (id int PRIMARY KEY, v text)',
    target: 'CREATE TABLE t (id int PRIMARY KEY, v text)',
    rows: `INSERT INTO t SELECT i, 'v' FROM generate_series(-5, 5) i`,
    changes: [
      `INSERT INTO t VALUES (6, 'in'), (-6, 'out')`,
      `UPDATE t SET v = 'w'`,
      // Out, and in.
      'UPDATE t SET id = -100 WHERE id = 3',
      `UPDATE t SET id = 100, v = 'came in' WHERE id = -3`,
      'DELETE FROM t WHERE id IN (1, -1)',
    ],
    map: [{ from: 't', where: 'id > 0 -- and nothing else' }],
    tables: [],
    sameAnswer: 'SELECT * FROM t WHERE id > 0 ORDER BY id',
    targetAnswer: { query: 'SELECT count(*) AS n FROM t WHERE id <= 0', gives: [{ n: '0' }] },
  },
  {
    name: 'a row filter on another column, under FULL',
    source: 'CREATE TABLE t (id int PRIMARY KEY, active bool, big text); ALTER TABLE t REPLICA IDENTITY FULL',
    target: 'CREATE TABLE t (id int PRIMARY KEY, active bool, big text)',
    rows: `INSERT INTO t SELECT i, i % 2 = 0, (SELECT string_agg(md5(i::text || n), '') FROM generate_series(1, 300) n) FROM generate_series(1, 10) i`,
    changes: [
      'UPDATE t SET active = NOT active',
      'UPDATE t SET active = NULL WHERE id = 1',
      'UPDATE t SET active = true WHERE id IN (1, 4)',
      'DELETE FROM t WHERE id = 5',
    ],
    map: [{ from: 't', where: 'active' }],
    tables: [],
    sameAnswer: 'SELECT * FROM t WHERE active ORDER BY id',
    targetAnswer: { query: 'SELECT count(*) AS n FROM t WHERE active IS NOT true', gives: [{ n: '0' }] },
  },
  {
    name: 'a row filter on a partitioned table',
    source: `CREATE TABLE t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10); CREATE TABLE t2 PARTITION OF t DEFAULT`,
    target: 'CREATE TABLE t (id int PRIMARY KEY, v text)',
    rows: `INSERT INTO t SELECT i, 'v' FROM generate_series(-5, 15) i`,
    changes: [`UPDATE t SET v = 'w'; UPDATE t SET id = 3 - 100 WHERE id = 3; UPDATE t SET id = 30 WHERE id = -3`],
    map: [{ from: 't', where: 'id > 0' }],
    tables: [],
    sameAnswer: 'SELECT * FROM t WHERE id > 0 ORDER BY id',
    targetAnswer: { query: 'SELECT count(*) AS n FROM t WHERE id <= 0', gives: [{ n: '0' }] },
  },
];

if (TEST_VERSION >= 15) {
  describe.each([
    { binary: 'auto', format: 'binary' },
    { binary: 'never', format: 'text', gathered: true },
  ] as const)('row filters in a $format stream', ({ binary, ...staging }) => {
    const shapes = known(SHAPES);
    const stage = stageShapes(shapes, { ...staging, settings: { apply: { binary } } });
    test.each(shapes)('$name', (shape) => stage.expectSame(shape));
  });
}

test.each([1, 50])(
  '%s rows come to fit a filter by their key alone: without their long values none comes, and the table says what to do',
  async (rows) => {
    if (TEST_VERSION < 15) return;
    await using db = await testDatabases();
    for (const side of [db.source, db.target])
      await sql(side, 'CREATE TABLE t (id int PRIMARY KEY, big text); ALTER TABLE t ALTER big SET STORAGE EXTERNAL');
    await sql(db.source, `INSERT INTO t SELECT i, repeat('x', 5000) FROM generate_series(-${3 * rows}, 10) i`);
    await using running = startPipeline(db, { tables: { map: [{ from: 'public.t', to: 'public.t', where: 'id > 0' }] } });
    await running.caughtUp();
    const fit = async (side: TestDatabase): Promise<unknown> => side.query('SELECT * FROM t WHERE id > 0 ORDER BY id');
    // One whose value is not long, or is written by the UPDATE, comes.
    await sql(
      db.source,
      `UPDATE t SET id = 10000, big = 'new' WHERE id = -1; UPDATE t SET id = id + 1000 WHERE id < -${2 * rows}`,
    );
    const error = await eventually(() => running.pipeline.model.table('public.t')?.error ?? false);
    expect(error).toMatchObject({ code: 'VALUE_NOT_SENT', message: expect.stringContaining('left big unchanged') });
    expect(await value(db.target, 'SELECT count(*) FROM t WHERE big IS NULL')).toBe('0');
    await sql(db.source, 'ALTER TABLE "public"."t" REPLICA IDENTITY FULL');
    expect(error.remedy).toContain('ALTER TABLE "public"."t" REPLICA IDENTITY FULL; then: pgfollow resync public.t');
    await running.pipeline.controls.resyncTable('public.t', 'the test');
    await eventually(async () => expect(await fit(db.target)).toEqual(await fit(db.source)), { timeout: 20_000 });
    await sql(db.source, `UPDATE t SET id = id + 2000 WHERE id < -${rows}`);
    await running.caughtUp();
    expect(await fit(db.target)).toEqual(await fit(db.source));
    expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
  },
);

test('a row filter on 14 is refused for its table alone, and writes go on', async () => {
  if (TEST_VERSION >= 15) return;
  await using db = await testDatabases();
  for (const side of [db.source, db.target])
    await sql(side, 'CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)');
  await using running = startPipeline(db, { tables: { map: [{ from: 'public.t', to: 'public.t', where: 'id > 1' }] } });
  await running.caughtUp();
  await sql(db.source, 'INSERT INTO t VALUES (1); INSERT INTO u VALUES (1); UPDATE t SET id = 2; DELETE FROM t');
  await eventually(async () => (await value(db.target, 'SELECT count(*) FROM u')) === '1');
  expect(running.pipeline.model.table('public.t')).toMatchObject({
    state: 'error',
    error: { code: 'ROW_FILTER_UNSUPPORTED', remedy: expect.stringContaining('upgrade the source') },
  });
});
