import { expect, test } from 'vitest';
import { examine } from '../doctor/examine.ts';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value, type TestDatabase } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startCaughtUp, testConfig, type RunningPipeline } from '../testing/run-pipeline.ts';

const TABLES = `CREATE TABLE other (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY) PARTITION BY RANGE (id);
  CREATE TABLE near PARTITION OF t FOR VALUES FROM (0) TO (100)`;
const SAYS = /another server, of a foreign table, does not answer: could not connect to server "far"/;

/** A partition whose rows are in another table of this database, as if it were another server's. */
async function putFar(database: TestDatabase, port: string): Promise<void> {
  const { hostname, username, password } = new URL(database.url);
  await sql(
    database,
    `ALTER TABLE t DROP CONSTRAINT t_pkey; CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.rows (id int); CREATE EXTENSION postgres_fdw;
     CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '${hostname}', port '${port}', dbname '${database.name}');
     CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (user '${decodeURIComponent(username)}', password '${decodeURIComponent(password)}');
     CREATE FOREIGN TABLE away PARTITION OF t FOR VALUES FROM (100) TO (1000) SERVER far OPTIONS (schema_name 'elsewhere', table_name 'rows')`,
  );
}

const moveTo = (database: TestDatabase, port: string) => sql(database, `ALTER SERVER far OPTIONS (SET port '${port}')`);
const table = ({ pipeline }: RunningPipeline) => pipeline.model.table('public.t');
const FOLLOWED = { tables: { include: ['public.t', 'public.other'] } };

test('a partition of the target on a server that goes away stops its table alone', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `${TABLES}; CREATE TABLE away PARTITION OF t FOR VALUES FROM (100) TO (1000); INSERT INTO t VALUES (1), (500)`,
  );
  const { port } = new URL(db.target.url);
  await sql(db.target, TABLES);
  await putFar(db.target, port);
  await using running = await startCaughtUp(db, FOLLOWED);
  await compareTables(db.source, db.target, 'public.t');
  await moveTo(db.target, '1');
  await sql(
    db.source,
    'INSERT INTO t SELECT n FROM generate_series(501, 540) n; INSERT INTO t VALUES (2); INSERT INTO other VALUES (1)',
  );
  await eventually(() =>
    expect(table(running)).toMatchObject({
      state: 'error',
      error: {
        code: 'APPLY_FAILED',
        message: expect.stringMatching(SAYS),
        remedy: expect.stringContaining('DETACH PARTITION'),
      },
    }),
  );
  await sql(db.source, 'INSERT INTO other VALUES (2)');
  await eventually(async () => expect(await value(db.target, 'SELECT count(*) FROM other')).toBe('2'));
  expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [{ table: 'public.t' }] });
  await moveTo(db.target, port);
  await running.pipeline.controls.retryTable('public.t', 'test').catch(() => {});
  await eventually(() => expect(table(running)).toMatchObject({ state: 'streaming', error: null }), { timeout: 30_000 });
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.t');
});

test.each(['source', 'target'] as const)(
  'a partition of the %s on a server that is away when its table is copied: its table alone waits, doctor says it',
  async (where) => {
    await using db = await testDatabases();
    await sql(db.source, `${TABLES}; INSERT INTO t VALUES (1); INSERT INTO other VALUES (1)`);
    await sql(db.target, where === 'target' ? TABLES : 'CREATE TABLE other (id int PRIMARY KEY); CREATE TABLE t (id int)');
    await putFar(db[where], '1');
    const found = await examine(testConfig(db, FOLLOWED));
    const expected =
      where === 'target'
        ? { code: 'CHECK_FAILED', table: 'public.t', message: expect.stringMatching(SAYS) }
        : { code: 'NOT_A_TABLE', table: 'public.away' };
    expect(found).toEqual(expect.arrayContaining([expect.objectContaining(expected)]));
    // Others are looked at all the same.
    expect(found).toEqual(expect.arrayContaining([expect.objectContaining({ code: 'EXISTING_ROWS', level: 'ok' })]));
    await using running = await startCaughtUp(db, FOLLOWED);
    expect(table(running)).toMatchObject({
      state: 'error',
      error: { code: 'COPY_FAILED', message: expect.stringMatching(SAYS), remedy: expect.stringContaining('ALTER SERVER') },
    });
    await compareTables(db.source, db.target, 'public.other');
    await sql(db[where], 'ALTER TABLE t DETACH PARTITION away');
    await running.pipeline.controls.retryTable('public.t', 'test').catch(() => {});
    await eventually(() => expect(table(running)).toMatchObject({ state: 'streaming', error: null }), { timeout: 30_000 });
    await running.caughtUp();
    await compareTables(db.source, db.target, 'public.t');
  },
);
