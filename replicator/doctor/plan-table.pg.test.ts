import { expect, test } from 'vitest';
import { sql, testDatabases, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline, testConfig } from '../testing/run-pipeline.ts';
import type { TablePlan } from '../table-plan.ts';
import { planResync, planTable } from './plan-table.ts';

test('a table that the target lacks: what would be made, set and copied, and that is what happens', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `CREATE TABLE first (id int PRIMARY KEY); CREATE SCHEMA shop; CREATE TYPE shop.mood AS ENUM ('good');
     CREATE TABLE shop.more (m shop.mood, v text); INSERT INTO shop.more SELECT 'good', repeat('x', 100) FROM generate_series(1, 2000)`,
  );
  await sql(db.source, 'ANALYZE shop.more');
  const config = { tables: { include: ['public.*'] } };
  await using running = startPipeline(db, config);
  await running.caughtUp();

  const plan = await planTable(testConfig(db, config), 'shop.more');
  expect(plan).toMatchObject({
    table: 'shop.more',
    target: 'shop.more',
    possible: true,
    rows: 2000,
    identity: 'full',
    targetExists: false,
    targetHasRows: null,
    sourceStatements: ['ALTER TABLE ONLY "shop"."more" REPLICA IDENTITY FULL;'],
    creates: ['schema shop', 'type shop.mood', 'table shop.more'],
  });
  expect(plan.bytes).toBeGreaterThan(200_000);
  expect(plan.findings.map(({ level, code }) => `${level} ${code}`)).toEqual(['warning REPLICA_IDENTITY']);
  expect(plan.steps).toEqual([
    'shop.more is put into the publication on the source.',
    expect.stringContaining('REPLICA IDENTITY FULL;'),
    'On the target are created: schema shop, type shop.mood, table shop.more; its indexes and constraints once its rows are there.',
    expect.stringMatching(/^About 2,000 rows are copied \(\d+ kB\)\.$/),
    expect.stringContaining('go on meanwhile'),
  ]);
  // Looking has changed nothing.
  expect(await sql(db.target, `SELECT FROM pg_namespace WHERE nspname = 'shop'`)).toEqual([]);
  expect(await sql(db.source, `SELECT relreplident FROM pg_class WHERE oid = 'shop.more'::regclass`)).toEqual([
    { relreplident: 'd' },
  ]);

  await running.pipeline.controls.addTable('shop.more', 'a test');
  await eventually(() => expect(running.pipeline.model.table('shop.more')?.state).toBe('streaming'));
  expect(await sql(db.target, 'SELECT count(*), min(m) AS m FROM shop.more')).toEqual([{ count: '2000', m: 'good' }]);
  expect(running.pipeline.model.table('shop.more')).toMatchObject({ state: 'streaming', identity: plan.identity });
});

test('a target table that is there: whether it fits, and what becomes of its rows', async () => {
  await using db = await testDatabases();
  await sql(db.source, 'CREATE TABLE t (id int PRIMARY KEY, v text)');
  await sql(db.target, 'CREATE TABLE t (id int PRIMARY KEY, v text)');
  const plan = async (settings: Record<string, unknown> = {}): Promise<TablePlan> =>
    planTable(testConfig(db, settings), 'public.t');
  expect(await plan()).toMatchObject({ possible: true, rows: null, identity: 'primary_key', targetHasRows: false, creates: [] });

  await sql(db.target, `INSERT INTO t VALUES (1, 'theirs')`);
  const refused = await plan();
  expect([refused.possible, refused.targetHasRows, codes(refused)]).toEqual([false, true, ['TARGET_TABLE_NOT_EMPTY']]);
  const replaced = await plan({ snapshot: { existingRows: 'truncate' } });
  expect([replaced.possible, codes(replaced)]).toEqual([true, ['EXISTING_ROWS']]);
  expect(replaced.steps.join(' ')).toContain('they replace those that public.t holds');
  const kept = await plan({ snapshot: { existingRows: 'keep' } });
  expect([kept.possible, codes(kept)]).toEqual([true, []]);
  expect(kept.steps.join(' ')).toContain('stay beside them');
  expect((await plan({ snapshot: { copy: false } })).steps.join(' ')).toContain('No rows are copied');

  await sql(db.target, 'ALTER TABLE t DROP COLUMN v');
  expect(codes(await plan({ snapshot: { existingRows: 'keep' } }))).toEqual(['TARGET_COLUMN_MISSING']);
});

test('a table that is copied again: how much is read, and what becomes of its rows', async () => {
  await using db = await testDatabases();
  await sql(db.source, 'CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t SELECT generate_series(1, 500)');
  await sql(db.source, 'ANALYZE t');
  {
    await using running = startPipeline(db);
    await running.caughtUp();
    const plan = await running.pipeline.controls.planResync('public.t');
    expect(plan).toMatchObject({ possible: true, rows: 500, targetExists: true, targetHasRows: true, creates: [], findings: [] });
    expect(plan.steps[0]).toMatch(/^About 500 rows are copied \(\d+ kB\), beside public\.t/);
    expect(plan.steps[1]).toContain('rows that only the target has are deleted');
    expect(running.pipeline.model.table('public.t')).toMatchObject({ state: 'streaming' });
  }
  await sql(db.target, 'DROP TABLE t');
  const gone = await planResync(testConfig(db), 'public.t');
  expect(gone).toMatchObject({ possible: true, targetExists: false, creates: ['table public.t'] });
  expect(gone.steps[0]).toBe('On the target are created: table public.t.');
  await expect(planResync(testConfig(db, { snapshot: { existingRows: 'keep' } }), 'public.t')).rejects.toMatchObject({
    code: 'NOT_POSSIBLE_NOW',
  });
});

test('a table that was followed before: its rows become those of the source again', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    'CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2); CREATE TABLE other (id int PRIMARY KEY)',
  );
  await using running = startPipeline(db);
  await running.caughtUp();
  const { controls } = running.pipeline;
  await controls.removeTable('public.t', 'a test');
  await eventually(() => expect(running.pipeline.model.table('public.t')).toBeUndefined());
  await sql(db.target, 'INSERT INTO t VALUES (3)');
  const plan = await controls.planTable('public.t');
  expect(plan).toMatchObject({ possible: true, targetHasRows: true, findings: [] });
  expect(plan.steps.join(' ')).toContain('rows that only the target has are deleted');
  const kept = await planTable(testConfig(db, { snapshot: { existingRows: 'keep' } }), 'public.t');
  expect([kept.possible, codes(kept)]).toEqual([false, ['TARGET_TABLE_NOT_EMPTY']]);
  await controls.addTable('public.t', 'a test');
  await eventually(() => expect(running.pipeline.model.table('public.t')?.state).toBe('streaming'));
  expect(await sql(db.target, 'SELECT id FROM t ORDER BY id')).toEqual([{ id: '1' }, { id: '2' }]);
});

test('what cannot be added is said as the command would', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `CREATE TABLE parts (id int) PARTITION BY RANGE (id); CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (9);
     CREATE UNLOGGED TABLE fleeting (id int PRIMARY KEY)`,
  );
  const config = testConfig(db);
  await expect(planTable(config, 'public.nothing')).rejects.toMatchObject({ code: 'SOURCE_TABLE_MISSING' });
  await expect(planTable(config, 'public.part')).rejects.toMatchObject({ code: 'NOT_POSSIBLE_NOW' });
  await expect(planTable(config, 'public.fleeting')).rejects.toMatchObject({
    code: 'NOT_POSSIBLE_NOW',
    message: expect.stringContaining('unlogged'),
  });
  await expect(planTable(testConfig(db, { publication: { managed: false } }), 'public.parts')).rejects.toMatchObject({
    code: 'NOT_POSSIBLE_NOW',
    remedy: expect.stringContaining('ALTER PUBLICATION'),
  });
  await expect(planTable(away(db), 'public.parts')).rejects.toMatchObject({ code: 'TARGET_UNREACHABLE' });
});

function away(db: TestDatabases): ReturnType<typeof testConfig> {
  return testConfig(db, { target: { url: Object.assign(new URL(db.target.url), { port: '1' }).href } });
}

function codes({ findings }: TablePlan): string[] {
  return findings.map(({ code }) => code);
}
