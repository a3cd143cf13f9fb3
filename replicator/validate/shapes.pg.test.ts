import { expect, test } from 'vitest';
import { sql, testDatabases } from '../testing/databases.ts';
import { startPipeline } from '../testing/run-pipeline.ts';
import { inShort, validated } from '../testing/validation.ts';
import { TEST_VERSION } from '../testing/servers.ts';

test('other names, fewer columns, other types, a filter, partitions, quoted names: equal as they should be, and what is wrong is found', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `CREATE TYPE mood AS ENUM ('sad', 'so so', 'happy'); CREATE DOMAIN price AS numeric(10,2);
     CREATE TABLE "Odd t$" ("Key $1" int PRIMARY KEY, "v, w" text, secret text, "NULL" text);
     CREATE TABLE typed (id int PRIMARY KEY, m mood, j json, n numeric(12,4), f real, d date, b boolean, c char(5), p price, ts timestamptz, i int, x bytea, a int[], net inet, z numeric, cl regclass);
     CREATE TABLE part (id int, at date, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
     CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
     CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
     CREATE TABLE gen (id int PRIMARY KEY, a int, g int GENERATED ALWAYS AS (a * 2) STORED)`,
  );
  await sql(
    db.target,
    `CREATE TYPE mood AS ENUM ('happy', 'so so', 'sad'); CREATE SCHEMA other; CREATE DOMAIN price AS numeric(10,2);
     CREATE TABLE other."Odd t" (key bigint PRIMARY KEY, "v, w" text, "NULL" varchar(100), local text DEFAULT 'mine');
     CREATE TABLE typed (id bigint PRIMARY KEY, m text, j jsonb, n numeric(12,2), f double precision, d timestamp, b text, c varchar(10), p price, ts timestamp(0), i numeric(8,1), x bytea, a bigint[], net text, z numeric, cl regclass, extra int DEFAULT 1);
     CREATE TABLE part (id int, at date, v text, PRIMARY KEY (id, at));
     CREATE TABLE gen (id int PRIMARY KEY, a int, g int GENERATED ALWAYS AS (a * 3) STORED)`,
  );
  await sql(
    db.source,
    `INSERT INTO "Odd t$" SELECT n, 'ä,"(' || n, 'secret', CASE WHEN n % 2 = 0 THEN 'x' END FROM generate_series(1, 50) n;
     INSERT INTO typed SELECT n, (enum_range(NULL::mood))[1 + n % 3], '{"b": 1.0,  "a": [1,2], "b": 2}', n / 7.0, n / 3.0, date '2026-01-01' + n, n % 2 = 0, 'x' || n,
       n * 1.5, timestamptz '2026-01-01 12:00:00.6+03' + n * interval '1 hour', n, decode(md5(n::text), 'hex'), ARRAY[n, NULL, -n], '10.0.0.1', CASE n % 3 WHEN 0 THEN 1.00 WHEN 1 THEN 1.0 END, 'typed'
       FROM generate_series(1, 200) n;
     INSERT INTO part SELECT n, date '2026-01-01' + n % 59, 'v' || n FROM generate_series(1, 300) n; INSERT INTO gen SELECT n, n FROM generate_series(1, 20) n`,
  );
  const filtered = TEST_VERSION >= 15;
  if (filtered) for (const side of [db.source, db.target]) await sql(side, 'CREATE TABLE chosen (id int PRIMARY KEY, v int)');
  await sql(db.source, filtered ? 'INSERT INTO chosen SELECT n, n % 10 FROM generate_series(1, 500) n' : 'SELECT 1');
  const map = [
    { from: 'public.Odd t$', to: 'other.Odd t', columns: { exclude: ['secret'], rename: { 'Key $1': 'key' } } },
    ...(filtered ? [{ from: 'public.chosen', to: 'public.chosen', where: 'id > 400 -- of the newest' }] : []),
  ];
  await using running = startPipeline(db, { tables: { map } });
  await running.caughtUp();
  await sql(
    db.source,
    `UPDATE typed SET f = f + 0.1, n = -n, z = z * 1.000 WHERE id % 2 = 0; INSERT INTO typed (id) VALUES (1000)`,
  );
  await running.caughtUp();
  const equal = await validated(running);
  expect(Object.fromEntries(Object.entries(equal).map(([table, found]) => [table, inShort(found)]))).toEqual({
    'public.Odd t$': 'equal 50',
    ...(filtered && { 'public.chosen': 'equal 100' }),
    'public.gen': 'equal 20',
    'public.part': 'equal 300',
    'public.typed': 'equal 201',
  });
  expect(equal['public.typed']?.columnsNotCompared).toEqual(['cl']);

  await sql(
    db.target,
    `UPDATE other."Odd t" SET "NULL" = 'NULL' WHERE key = 7; UPDATE typed SET z = 1.000 WHERE id = 3; UPDATE typed SET m = 'so  so' WHERE id = 4;
     UPDATE typed SET ts = ts + interval '1 s' WHERE id = 5; UPDATE typed SET c = c || ' ' WHERE id = 6; UPDATE part SET v = 'V' WHERE id = 299`,
  );
  if (filtered) await sql(db.target, 'DELETE FROM chosen WHERE id = 500; INSERT INTO chosen VALUES (3, 3)');
  const found = await validated(running);
  expect(Object.fromEntries(Object.entries(found).map(([table, each]) => [table, inShort(each)]))).toEqual({
    'public.Odd t$': 'different 50 different 1',
    ...(filtered && { 'public.chosen': 'different 100 missing 1 extra 1' }),
    'public.gen': 'equal 20',
    'public.part': 'different 300 different 1',
    'public.typed': 'different 201 different 4',
  });
});

test('a target in LATIN1 holds the same characters', async () => {
  await using db = await testDatabases({ targetEncoding: 'LATIN1' });
  await sql(
    db.source,
    `CREATE TABLE word (w text PRIMARY KEY, v text); INSERT INTO word VALUES ('Größe', 'é'), ('a', 'ÿ'), ('', NULL);
     CREATE TABLE bare (v text); INSERT INTO bare VALUES ('ñ'), ('ñ'), (NULL)`,
  );
  await using running = startPipeline(db);
  await running.caughtUp();
  const equal = await validated(running);
  expect(Object.values(equal).map(inShort)).toEqual(['equal 3', 'equal 3']);
  await sql(db.target, `UPDATE word SET v = 'è' WHERE w = 'Größe'; UPDATE bare SET v = 'n' WHERE ctid = '(0,1)'`);
  const found = await validated(running);
  expect(found['public.word']).toMatchObject({ state: 'different', examples: [{ kind: 'different', key: 'w=Größe' }] });
  expect(inShort(found['public.bare'] ?? expect.fail())).toBe('different 3 missing 1 extra 1');
});

test('a domain over an enum as the key', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target])
    await sql(
      side,
      `CREATE TYPE mood AS ENUM ('so', 'la', 'gone'); CREATE DOMAIN feeling AS mood; CREATE TABLE t (id feeling PRIMARY KEY, v int)`,
    );
  await sql(db.source, `INSERT INTO t VALUES ('so', 1), ('la', 2)`);
  await using running = startPipeline(db);
  await running.caughtUp();
  const found = async (): Promise<string[]> => Object.values(await validated(running)).map((table) => inShort(table));
  expect(await found()).toEqual(['equal 2']);
  await sql(db.target, `INSERT INTO t VALUES ('gone', 3); UPDATE t SET v = 5 WHERE id::mood = 'la'`);
  expect(await found()).toEqual(['different 2 extra 1 different 1']);
});
