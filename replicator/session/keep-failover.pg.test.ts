import { expect, test } from 'vitest';
import { sql, testDatabases, value } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline } from '../testing/run-pipeline.ts';

test('slot.failover that is set later holds for the slot that is there, and is told where the server knows none', async () => {
  await using db = await testDatabases();
  await sql(db.source, 'CREATE TABLE t (id int PRIMARY KEY)');
  const version = Number(await value(db.source, `SELECT current_setting('server_version_num')`));
  const ran = async (settings: Record<string, unknown>) => {
    await using running = startPipeline(db, settings);
    await running.caughtUp();
  };
  await ran({});
  if (version < 170000) {
    await using running = startPipeline(db, { slot: { failover: true } });
    const problem = { code: 'SOURCE_UNSUITABLE', message: expect.stringContaining('slot.failover') };
    await eventually(() => expect(running.pipeline.model.status().problems[0]).toMatchObject(problem), { timeout: 20_000 });
    return;
  }
  const failover = `SELECT failover FROM pg_replication_slots WHERE slot_name = '${db.name}'`;
  expect(await value(db.source, failover)).toBe('f');
  await ran({ slot: { failover: true } });
  expect(await value(db.source, failover)).toBe('t');
  await ran({});
  expect(await value(db.source, failover)).toBe('t');
});
