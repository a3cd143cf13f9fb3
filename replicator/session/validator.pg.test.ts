import { expect, test } from 'vitest';
import { sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline, type RunningPipeline } from '../testing/run-pipeline.ts';
import { inShort, validated } from '../testing/validation.ts';

const BIG = `CREATE TABLE big (id int PRIMARY KEY, v text); INSERT INTO big SELECT n, repeat('x', 100) || n FROM generate_series(1, 300000) n;
  CREATE TABLE small (id int PRIMARY KEY); INSERT INTO small VALUES (1)`;

async function startedOnBig(db: TestDatabases, running: RunningPipeline): Promise<void> {
  await sql(db.source, BIG);
  await eventually(() => running.pipeline.model.table('public.small')?.state === 'streaming', { timeout: 60_000 });
  await eventually(() => running.pipeline.model.table('public.big')?.state === 'streaming', { timeout: 60_000 });
  await running.caughtUp();
  // Whoever is to interfere has his connections.
  for (const side of [db.source, db.target]) await sql(side, 'SELECT');
  await running.pipeline.controls.validate(['public.big', 'public.small'], 'a test');
  await eventually(() => rowsOfBig(running) > 0, { interval: 5 });
}

function run({ pipeline }: RunningPipeline) {
  return pipeline.model.validations.read();
}

function rowsOfBig(running: RunningPipeline): number {
  return run(running).tables[0]?.rows ?? 0;
}

async function cut(db: TestDatabases, purpose: string): Promise<number> {
  const counts = await Promise.all(
    [db.source, db.target].map((side) =>
      value(
        side,
        `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE '%' || $1`,
        [purpose],
      ),
    ),
  );
  return counts.reduce((sum, count) => sum + Number(count), 0);
}

test('connections that are cut are made again, and a session that ends is followed by one that goes on', async () => {
  await using db = await testDatabases();
  await sql(db.source, 'CREATE TABLE first (id int PRIMARY KEY)');
  await using running = startPipeline(db);
  await startedOnBig(db, running);
  expect(await cut(db, ' validate')).toBe(2);
  await eventually(() => rowsOfBig(running) > 50_000, { interval: 5 });
  expect(run(running).running).toBe(true);
  // The stream's own: the session ends, and the next one begins this table again. With the one it may have closed the other by then.
  expect(await cut(db, ' control')).toBeGreaterThan(0);
  await eventually(() => !run(running).running, { timeout: 90_000 });
  expect(run(running).tables.map((found) => `${found.table} ${inShort(found)}`)).toEqual([
    'public.big equal 300000',
    'public.small equal 1',
  ]);
}, 180_000);

test.concurrent('one comparison at a time; it is cancelled, and ended by a stop, at once', async () => {
  await using db = await testDatabases();
  await sql(db.source, 'CREATE TABLE first (id int PRIMARY KEY)');
  await using running = startPipeline(db);
  await startedOnBig(db, running);
  const { controls } = running.pipeline;
  await expect(controls.validate([], 'a test')).rejects.toMatchObject({ code: 'NOT_POSSIBLE_NOW' });
  await controls.cancelValidation('a test');
  expect(run(running)).toMatchObject({ running: false, tables: [{ state: 'cancelled' }, { state: 'cancelled' }] });
  await expect(controls.cancelValidation('a test')).rejects.toMatchObject({ code: 'NOT_POSSIBLE_NOW' });
  expect(inShort((await validated(running, ['public.small']))['public.small'] ?? expect.fail())).toBe('equal 1');

  // Paused, the target comes to show nothing new: it waits, and can be cancelled all the same.
  await controls.validate(['public.big'], 'a test');
  await controls.pause('a test');
  await controls.cancelValidation('a test');
  await controls.resume('a test');

  await controls.validate(['public.big'], 'a test');
  await eventually(() => rowsOfBig(running) > 0, { interval: 5 });
  await running.stop();
});

test.concurrent('what cannot be compared is refused with the reason', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    'CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY, v int); INSERT INTO b VALUES (1, 1)',
  );
  await sql(db.target, 'CREATE TABLE b (id int PRIMARY KEY)');
  await using running = startPipeline(db);
  await eventually(
    () => running.pipeline.model.state === 'streaming' && running.pipeline.model.table('public.b')?.state === 'error',
  );
  const { controls } = running.pipeline;
  const refusal = (tables: string[]) =>
    controls.validate(tables, 'a test').then(
      () => null,
      (error: Error) => error.message,
    );
  expect(await refusal(['public.b'])).toBe('public.b is error: only a table that streams can be compared.');
  expect(await refusal(['public.c'])).toBe('public.c is not followed.');
  await eventually(() => running.pipeline.model.table('public.a')?.state === 'streaming');
  await controls.pause('a test');
  expect(await refusal([])).toBe('The pipeline is paused.');
  await controls.resume('a test');
  // None named: those that stream.
  expect(Object.keys(await validated(running))).toEqual(['public.a']);
});

test.concurrent('a table that is copied again meanwhile is compared with its new rows, or not at all', async () => {
  await using db = await testDatabases();
  await sql(db.source, 'CREATE TABLE first (id int PRIMARY KEY)');
  await using running = startPipeline(db);
  await startedOnBig(db, running);
  await running.pipeline.controls.resyncTable('public.big', 'a test');
  await eventually(() => !run(running).running, { timeout: 90_000 });
  const [big, small] = run(running).tables;
  expect(['equal', 'failed']).toContain(big?.state);
  expect(small?.state).toBe('equal');
  await running.caughtUp(60_000);
}, 180_000);

test.concurrent('a table that somebody has locked is waited for, and nobody queues behind us for long', async () => {
  await using db = await testDatabases();
  await sql(db.source, 'CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)');
  await using running = startPipeline(db);
  await running.caughtUp();
  await using owner = await db.source.session();
  await owner.query('BEGIN; LOCK TABLE a');
  await running.pipeline.controls.validate([], 'a test');
  const waiting = async (): Promise<boolean> =>
    (await sql(db.source, `SELECT FROM pg_locks WHERE NOT granted AND relation = 'a'::regclass`)).length > 0;
  // It waits, gives way, and comes again.
  for (const waits of [true, false, true]) await eventually(async () => (await waiting()) === waits, { interval: 10 });
  await owner.query('COMMIT');
  await eventually(() => !run(running).running, { timeout: 30_000 });
  expect(run(running).tables.map(({ state }) => state)).toEqual(['equal', 'equal']);
});

test.concurrent('on a schedule, again and again, by itself', async () => {
  await using db = await testDatabases();
  await sql(db.source, 'CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1)');
  await using running = startPipeline(db, { validation: { interval: '1s' } });
  const found = () =>
    eventually(() => !run(running).running && run(running).finishedAt !== null && run(running), { timeout: 30_000 });
  const first = await found();
  expect(first).toMatchObject({ requestedBy: 'the schedule', tables: [{ table: 'public.a', state: 'equal', rows: 1 }] });
  await sql(db.target, 'INSERT INTO a VALUES (2)');
  await eventually(() => running.pipeline.model.status().problems.some(({ code }) => code === 'ROWS_DIFFER'), {
    timeout: 30_000,
  });
  expect(run(running).startedAt).not.toBe(first.startedAt);
});
