import { expect, test } from 'vitest';
import { sql, testDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline } from '../testing/run-pipeline.ts';

test('a batch that waits for a lock on the target says for whose, and where the time goes', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, 'CREATE TABLE t (id int PRIMARY KEY, v int)');
  await using running = startPipeline(db);
  await running.caughtUp();
  const { model } = running.pipeline;

  await using other = await db.target.session();
  await other.query(`SET application_name = 'report'; BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE`);
  const [holder] = await other.query('SELECT pg_backend_pid() AS pid');
  await sql(db.source, 'INSERT INTO t VALUES (1, 1)');
  await eventually(
    () =>
      expect(model.status()).toMatchObject({
        work: { bottleneck: 'lock' },
        problems: [{ code: 'TARGET_LOCKED', message: expect.stringContaining(`process ${holder?.['pid']} (report)`) }],
      }),
    { timeout: 40_000 },
  );

  await other.query('ROLLBACK');
  await running.caughtUp();
  await eventually(() => expect(model.status().problems).toEqual([]), { timeout: 15_000 });
  await eventually(() => expect(model.status().work.shares.source).toBeGreaterThan(0), { timeout: 15_000 });
});

test('what a stream costs is booked on what it goes into', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, 'CREATE TABLE t (id int PRIMARY KEY, v text)');
  await using running = startPipeline(db);
  await running.caughtUp();
  for (let from = 0; from < 20_000; from += 2000)
    await sql(db.source, `INSERT INTO t SELECT n, repeat('x', 200) FROM generate_series(${from + 1}, ${from + 2000}) AS n`);
  await running.caughtUp();
  const { model } = running.pipeline;
  await eventually(() => {
    for (const activity of ['source', 'decode', 'apply', 'commit'] as const)
      expect(model.stream.secondsSpent(activity)).toBeGreaterThan(0);
  });
  await running.pipeline.controls.pause('test');
  await sql(db.source, `INSERT INTO t VALUES (0, '')`);
  await eventually(() => expect(model.stream.secondsSpent('paused')).toBeGreaterThan(0), { timeout: 15_000 });
  await running.pipeline.controls.resume('test');
});
