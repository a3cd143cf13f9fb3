import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline } from '../testing/run-pipeline.ts';

const TABLES = `
  CREATE TABLE "größe" (id int PRIMARY KEY, v text, j jsonb);
  CREATE TABLE keyless (v text);
  CREATE TABLE strange (id text PRIMARY KEY, v text);
  CREATE TABLE copied (id int PRIMARY KEY, v text);`;

test.each(['auto', 'never'])('a target in LATIN1 (binary: %s)', async (binary) => {
  await using db = await testDatabases({ targetEncoding: 'LATIN1' });
  for (const side of [db.source, db.target]) await sql(side, TABLES);
  await sql(
    db.source,
    `INSERT INTO "größe" SELECT i, 'ñ é ' || i, '{"ü": "ß"}' FROM generate_series(1, 9) i;
     INSERT INTO keyless VALUES ('é'), ('é'), ('ü'); INSERT INTO strange VALUES ('ä', 'a'); INSERT INTO copied VALUES (1, '表')`,
  );
  await using running = startPipeline(db, { apply: { binary } });
  const state = (table: string) => running.pipeline.model.table(`public.${table}`);
  await running.caughtUp();
  // What cannot be written there stops its own table, in the copy and in the stream.
  expect(state('copied')).toMatchObject({
    state: 'error',
    error: { code: 'COPY_FAILED', message: expect.stringContaining('LATIN1') },
  });

  await sql(
    db.source,
    `INSERT INTO "größe" SELECT i, 'Ñ É ' || i, NULL FROM generate_series(10, 300) i; UPDATE "größe" SET v = 'ÿ' WHERE id < 5;
     DELETE FROM keyless WHERE ctid = (SELECT min(ctid) FROM keyless); UPDATE keyless SET v = 'Ü' WHERE v = 'ü'`,
  );
  await sql(db.source, `INSERT INTO strange VALUES ('表', 'é'); INSERT INTO strange VALUES ('o', '€')`);
  await sql(db.source, `DELETE FROM "größe" WHERE id = 7`);
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.größe', 'public.keyless');
  const stopped = await eventually(() => state('strange')?.error ?? false);
  expect(stopped).toMatchObject({
    code: 'APPLY_FAILED',
    message: expect.stringMatching(/id=表.*LATIN1/),
    remedy: expect.stringMatching(/UTF8.*pgfollow resync public\.strange/s),
  });
  expect(await value(db.target, `SELECT error_message FROM pgfollow.table_state WHERE source_table = 'strange'`)).toContain(
    '\\u{8868}',
  );
  expect(state('keyless')?.state).toBe('streaming');

  await sql(
    db.source,
    `DELETE FROM strange WHERE id = '表'; UPDATE strange SET v = 'euro' WHERE id = 'o'; UPDATE copied SET v = 'table'`,
  );
  await running.pipeline.controls.resyncTable('public.strange', 'the test');
  await running.pipeline.controls.retryTable('public.copied', 'the test');
  // Each begins in a moment.
  for (const table of ['strange', 'copied'])
    await eventually(() => expect(state(table)).toMatchObject({ state: 'streaming', error: null }), { timeout: 30_000 });
  await running.caughtUp();
  await compareTables(db.source, db.target);
  expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
});

const ANY_BYTES = `CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE keyless (v text); CREATE TABLE other (id int PRIMARY KEY)`;
/** No UTF-8. */
const BYTES = String.raw`convert_from('\xe4f6fc', 'SQL_ASCII')`;

test.each(['auto', 'never'])('any bytes, between databases in SQL_ASCII (binary: %s)', async (binary) => {
  await using db = await testDatabases({ sourceEncoding: 'SQL_ASCII', targetEncoding: 'SQL_ASCII' });
  await sql(
    db.source,
    `${ANY_BYTES}; INSERT INTO t SELECT i, ${BYTES} || i FROM generate_series(1, 40) i; INSERT INTO keyless SELECT v FROM t`,
  );
  await using running = startPipeline(db, { apply: { binary } });
  await running.caughtUp();
  await sql(db.source, `UPDATE t SET v = ${BYTES} || v; UPDATE keyless SET v = ${BYTES} || v; INSERT INTO t VALUES (0, 'é')`);
  await sql(db.source, `DELETE FROM keyless WHERE ctid = (SELECT min(ctid) FROM keyless)`);
  await running.caughtUp();
  const bytes = `SELECT md5(string_agg(v::bytea, ',' ORDER BY v::bytea)) FROM (SELECT v FROM t UNION ALL SELECT v FROM keyless) AS a`;
  expect(await value(db.target, bytes)).toBe(await value(db.source, bytes));
  expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
});

test('bytes of a source in SQL_ASCII that a target in UTF8 refuses stop their tables alone', async () => {
  await using db = await testDatabases({ sourceEncoding: 'SQL_ASCII' });
  for (const side of [db.source, db.target]) await sql(side, ANY_BYTES);
  await sql(db.source, `INSERT INTO keyless VALUES (${BYTES})`);
  await using running = startPipeline(db);
  await running.caughtUp();
  await sql(db.source, `INSERT INTO t VALUES (1, 'é'), (2, ${BYTES}); INSERT INTO other VALUES (1)`);
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.other');
  const error = (table: string) => running.pipeline.model.table(`public.${table}`)?.error;
  expect(error('keyless')).toMatchObject({ code: 'COPY_FAILED', message: expect.stringContaining('UTF8') });
  expect(error('t')).toMatchObject({ code: 'APPLY_FAILED', message: expect.stringMatching(/id=2.*UTF8/) });
});
