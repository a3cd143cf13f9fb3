import { Client } from 'pg';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { mismatches } from '../observe/validation.ts';
import { sql, testDatabases, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startCaughtUp, type RunningPipeline } from '../testing/run-pipeline.ts';
import { validated } from '../testing/validation.ts';
import { KeptValidations } from './kept-validations.ts';

const STORED = 'SELECT source_table, state, missing + extra + different AS differ FROM pgfollow.validation ORDER BY 1';

const stored = async (db: TestDatabases): Promise<string[]> =>
  (await sql(db.target, STORED)).map((row) => `${row['source_table']} ${row['state']} ${row['differ']}`);

function known({ pipeline }: RunningPipeline) {
  const { problems } = pipeline.model.status();
  return {
    tables: pipeline.model.followed.all().map(({ source, validation }) => ({ source, validation })),
    problems: problems
      .filter(({ code }) => code === 'ROWS_DIFFER')
      .map(({ table, message, remedy }) => ({ table, message, remedy })),
  };
}

test('a restart forgets neither rows that differ nor tables that were equal', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `CREATE TABLE "Wrong" (id text PRIMARY KEY, v int); INSERT INTO "Wrong" VALUES ('é1', 1), ('b', 2);
     CREATE TABLE once (id int PRIMARY KEY); INSERT INTO once VALUES (1); CREATE TABLE never (id int PRIMARY KEY)`,
  );
  let before: ReturnType<typeof known>;
  {
    await using running = await startCaughtUp(db);
    await validated(running, ['public.once', 'public.Wrong']);
    await sql(db.target, `UPDATE "Wrong" SET v = 0 WHERE id = 'é1'; INSERT INTO "Wrong" VALUES ('c', 3)`);
    await validated(running, ['public.Wrong']);
    before = known(running);
    await eventually(async () => expect(await stored(db)).toEqual(['Wrong different 2', 'once equal 0']));
  }
  expect(before.problems).toHaveLength(1);
  expect(before.tables.map(({ validation }) => validation && mismatches(validation))).toEqual([2, null, 0]);
  expect(before.tables[0]?.validation?.equalAt).toBeTruthy();

  await using running = await startCaughtUp(db);
  expect(known(running)).toEqual(before);
  const told = await sql(db.target, `SELECT FROM pgfollow.event WHERE code = 'ROWS_DIFFER'`);
  expect(told).toHaveLength(1);
  const metrics = await running.pipeline.metrics.text();
  expect(metrics).toMatch(/^pgfollow_validation_mismatched_rows\{table="public.Wrong"\} 2$/m);
  expect(metrics).toMatch(/^pgfollow_validation_last_success_timestamp_seconds\{table="public.once"\} \d/m);
  // It is this process's now: over when a comparison finds the table equal.
  await sql(db.target, `UPDATE "Wrong" SET v = 1 WHERE id = 'é1'; DELETE FROM "Wrong" WHERE id = 'c'`);
  await validated(running, ['public.Wrong']);
  expect(known(running).problems).toEqual([]);
  await eventually(async () => expect(await stored(db)).toEqual(['Wrong equal 0', 'once equal 0']));
});

test('the schedule goes on from the last time, so that restarts do not put it off', async () => {
  await using db = await testDatabases();
  await sql(db.source, 'CREATE TABLE a (id int PRIMARY KEY)');
  {
    await using running = await startCaughtUp(db);
    await validated(running);
    await eventually(async () => expect(await stored(db)).toEqual(['a equal 0']));
  }
  await sql(db.target, `UPDATE pgfollow.validation SET finished_at = finished_at - interval '25 hours'`);
  await using running = await startCaughtUp(db, { validation: { interval: '1d' } });
  await eventually(() => expect(running.pipeline.model.validations.read().requestedBy).toBe('the schedule'));
  await eventually(() => expect(running.pipeline.model.validations.read().running).toBe(false));
});

test('what was found before a table was copied again or was not followed for a while is over after a restart, too', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    'CREATE TABLE again (id int PRIMARY KEY); CREATE TABLE gone (id int PRIMARY KEY); CREATE TABLE stays (id int PRIMARY KEY)',
  );
  {
    await using running = await startCaughtUp(db);
    await sql(db.target, 'INSERT INTO again VALUES (1); INSERT INTO gone VALUES (1); INSERT INTO stays VALUES (1)');
    await validated(running);
    await eventually(async () => expect(await stored(db)).toHaveLength(3));
    await running.pipeline.controls.resyncTable('public.again', 'a test');
    await eventually(() => known(running).problems.length === 2);
    await running.pipeline.controls.removeTable('public.gone', 'a test');
    await eventually(() => known(running).problems.length === 1);
  }
  // So that the one that comes back is not told by its copy.
  await using running = await startCaughtUp(db, { snapshot: { copy: false } });
  expect(known(running)).toMatchObject({
    tables: [
      { source: 'public.again', validation: null },
      { source: 'public.stays', validation: { state: 'different', extra: 1, examples: [{ kind: 'extra', key: 'id=1' }] } },
    ],
    problems: [{ table: 'public.stays' }],
  });
  await running.pipeline.controls.addTable('public.gone', 'a test');
  await eventually(() => running.pipeline.model.table('public.gone')?.state === 'streaming');
  await running.stop();
  await using later = await startCaughtUp(db);
  expect(later.pipeline.model.table('public.gone')?.validation).toBeNull();
});

test('what is found while the target is away is stored once it is there', async () => {
  await using db = await testDatabases();
  await sql(db.source, 'CREATE TABLE a (id int PRIMARY KEY)');
  {
    await using _running = await startCaughtUp(db);
  }
  const target = new Client({ connectionString: db.target.url });
  await target.connect();
  try {
    const kept = new KeptValidations(pino({ level: 'silent' }));
    const found = { startedAt: null, finishedAt: new Date().toISOString(), equalAt: null, rows: 1, missing: 0, extra: 0 };
    const rest = { unsettled: 0, complete: true, examples: [], columnsNotCompared: ['r'] };
    const source = { schema: 'public', name: 'a' };
    kept.keep(source, { ...found, ...rest, state: 'equal', different: 0 });
    kept.keep(source, { ...found, ...rest, state: 'different', different: 1, examples: [{ kind: 'different', key: 'id=1' }] });
    kept.keep({ schema: 'public', name: 'b' }, { ...found, ...rest, state: 'equal', different: 0 });
    kept.drop('public.b');
    expect(await kept.connected(target, db.name)).toEqual([]);
    await eventually(async () => expect(await stored(db)).toEqual(['a different 1']));
    const again = new KeptValidations(pino({ level: 'silent' }));
    expect(await again.connected(target, db.name)).toEqual([
      {
        source,
        found: { ...found, ...rest, state: 'different', different: 1, examples: [{ kind: 'different', key: 'id=1' }] },
      },
    ]);
  } finally {
    await target.end();
  }
});
