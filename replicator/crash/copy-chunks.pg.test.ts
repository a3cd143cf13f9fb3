import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline } from '../testing/run-pipeline.ts';

const ROWS = 40_000;

// No key, so that nothing but the count tells a row that was copied twice. Uncompressed: 120 MB, which makes several chunks.
const WIDE = 'CREATE TABLE wide (i int, filler text); ALTER TABLE wide ALTER filler SET STORAGE PLAIN';

// The copy is to be met at work, so the target takes its time.
const SLOWLY = `
  CREATE FUNCTION rest() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.04); RETURN NEW; END $$;
  CREATE TRIGGER rest BEFORE INSERT ON wide FOR EACH ROW WHEN (NEW.i % 500 = 0) EXECUTE FUNCTION rest();
  ALTER TABLE wide ENABLE REPLICA TRIGGER rest`;

async function wideDatabases(target: string): Promise<TestDatabases> {
  const db = await testDatabases();
  await sql(db.source, WIDE);
  await sql(db.source, `INSERT INTO wide SELECT i, repeat('x', 3000) FROM generate_series(1, ${ROWS}) i`);
  await sql(db.target, `${WIDE}; ${target}`);
  return db;
}

test.concurrent('a worker that loses a connection repeats its chunk alone', { timeout: 90_000 }, async () => {
  await using db = await wideDatabases(SLOWLY);
  await using running = startPipeline(db, { snapshot: { workers: 2 } });
  const terminate = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = $1 AND query LIKE 'COPY%' AND state = 'active' AND datname = current_database() LIMIT 1`;
  const committed = async () => Number(await value(db.target, 'SELECT count(*) FROM pgfollow.copy_chunk'));
  let most = 0;
  let hits = 0;
  for (const side of [db.target, db.source, db.target, db.source]) {
    // Not before something is there to be repeated by mistake.
    await eventually(async () => (most = Math.max(most, await committed())) > 0, { timeout: 30_000, interval: 10 });
    // Between two chunks there is nobody to be met.
    const cut = async (): Promise<boolean> => (await sql(side, terminate, [`pgfollow ${db.name} copy`])).length > 0;
    if (await eventually(cut, { timeout: 2000, interval: 2 }).catch(() => false)) hits++;
    const left = await committed();
    if (left > 0) expect(left).toBeGreaterThanOrEqual(most);
  }
  await running.caughtUp();
  await compareTables(db.source, db.target);
  expect(hits).toBeGreaterThan(1);
  expect(running.pipeline.model.table('public.wide')).toMatchObject({ state: 'streaming', snapshot: { rowsCopied: ROWS } });
  expect(await committed()).toBe(0);
  const codes = running.pipeline.events.after().map(({ code }) => code);
  expect(codes).not.toContain('COPY_FAILED');
  expect(codes.filter((code) => code === 'COPY_STARTED')).toHaveLength(1);
});

test.concurrent(
  'a chunk that is refused ends its table; mended, the table is copied from the start',
  { timeout: 60_000 },
  async () => {
    await using db = await wideDatabases(`ALTER TABLE wide ADD CONSTRAINT narrow CHECK (i <> ${ROWS - 10})`);
    await using running = startPipeline(db, { snapshot: { workers: 3 } });
    await eventually(() => running.pipeline.model.table('public.wide')?.state === 'error', { timeout: 30_000 });
    expect(running.pipeline.model.table('public.wide')).toMatchObject({ error: { code: 'COPY_FAILED' } });
    await sql(db.target, 'ALTER TABLE wide DROP CONSTRAINT narrow');
    await sql(db.source, 'DELETE FROM wide WHERE i % 3 = 0; INSERT INTO wide VALUES (0, NULL)');
    await eventually(() => running.pipeline.model.table('public.wide')?.state === 'streaming', { timeout: 30_000 });
    await running.caughtUp();
    await compareTables(db.source, db.target);
    expect(await value(db.target, 'SELECT count(*) FROM pgfollow.copy_chunk')).toBe('0');
    expect(running.pipeline.model.status().problems).toEqual([]);
  },
);
