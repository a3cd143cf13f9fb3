import { expect, test } from 'vitest';
import { compareTables } from './compare.ts';
import { ownServers, sql, testDatabases, value } from './databases.ts';
import { eventually } from './eventually.ts';

test('each test has a source that can decode and a target, dropped with slots, origins and prepared transactions', async () => {
  let name;
  {
    await using db = await testDatabases();
    name = db.name;
    expect(await value(db.source, 'SHOW wal_level')).toBe('logical');
    await sql(db.source, `SELECT pg_create_logical_replication_slot('${name}', 'pgoutput')`);
    await sql(db.target, `SELECT pg_replication_origin_create('${name}')`);
    await sql(db.target, `CREATE TABLE t (i int); BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION '${name}'`);
    expect(await sql(db.target, `SELECT 1 AS one, true AS yes, NULL AS nothing`)).toEqual([
      { one: '1', yes: 't', nothing: null },
    ]);
  }
  await using other = await testDatabases();
  expect(await value(other.source, 'SELECT count(*) FROM pg_database WHERE datname LIKE $1', [`${name}%`])).toBe('0');
  expect(await value(other.source, 'SELECT count(*) FROM pg_replication_slots WHERE slot_name = $1', [name])).toBe('0');
  expect(await value(other.target, 'SELECT count(*) FROM pg_replication_origin WHERE roname = $1', [name])).toBe('0');
});

test('compareTables finds what differs, counting duplicates', async () => {
  await using db = await testDatabases();
  const table = `CREATE SCHEMA s; CREATE TABLE s."T x" (a int, at timestamptz DEFAULT '2026-03-01 12:00+01')`;
  await sql(db.source, `${table}; INSERT INTO s."T x" VALUES (1), (1), (2), (NULL)`);
  await sql(db.target, `${table}; INSERT INTO s."T x" VALUES (2), (1), (NULL), (1)`);
  await compareTables(db.source, db.target);
  await sql(db.target, `DELETE FROM s."T x" WHERE ctid = '(0,2)'; INSERT INTO s."T x" VALUES (3)`);
  await expect(compareTables(db.source, db.target, 's.T x')).rejects.toThrow(
    /4 rows on the source, s.T x 4 on the target[^]*missing on the target: 1\n    \(1,"2026-03-01 11:00:00\+00"\) 00000001 \w+\n  only on the target: 1\n    \(3/,
  );
  for (const [side, end] of [
    [db.source, 'a'],
    [db.target, 'b'],
  ] as const)
    await sql(
      side,
      `CREATE TABLE wide AS SELECT i, repeat('é', 1000) || CASE WHEN i = 7 THEN '${end}' ELSE '' END AS v FROM generate_series(1, 9) i`,
    );
  await expect(compareTables(db.source, db.target, 'public.wide')).rejects.toThrow(
    /missing on the target: 1\n    \(7,é+... 1005 characters[^]*only on the target: 1\n    \(7,é+... 1005 characters/,
  );
});

test('servers of a test alone are told apart, and can be crashed; the connection for queries comes back', async () => {
  await using db = await ownServers();
  const [source, target] = await Promise.all(
    [db.source, db.target].map((side) => value(side, 'SELECT system_identifier FROM pg_control_system()')),
  );
  expect(source).not.toBe(target);
  await sql(db.source, 'CREATE TABLE kept (i int); INSERT INTO kept VALUES (1)');
  await db.source.server?.kill();
  await db.source.server?.start();
  expect(await eventually(() => value(db.source, 'SELECT i FROM kept'))).toBe('1');
});
