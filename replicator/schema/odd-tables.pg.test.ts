import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { complete } from '../testing/created.ts';
import { sql, testDatabases, value } from '../testing/databases.ts';
import { describeSchema } from '../testing/describe-schema.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline } from '../testing/run-pipeline.ts';

/** Of 63 bytes, the most that there are. */
const LONGEST = `${'ä'.repeat(31)}x`;

const NAMES = [`We"ird 'T'`, '表 テーブル', LONGEST, 'back\\slash', 'select', '{"a":1}', 'a.b', ' x '];

test('whatever tables, columns, indexes, constraints and sequences are called, also two that differ in their last byte', async () => {
  await using db = await testDatabases();
  const quote = (name: string): string => `"${name.replaceAll('"', '""')}"`;
  await sql(db.source, `CREATE SCHEMA ${quote(`S "1"`)}; CREATE SCHEMA ${quote(LONGEST)}`);
  for (const [at, name] of NAMES.entries()) {
    const table = `${quote(at % 2 === 0 ? `S "1"` : LONGEST)}.${quote(name)}`;
    const twin = `${quote(at % 2 === 0 ? `S "1"` : LONGEST)}.${quote(`${name.slice(0, 30)}y`)}`;
    await sql(
      db.source,
      `CREATE TABLE ${table} (${quote(name)} serial PRIMARY KEY, ${quote(`${name.slice(0, 30)}2`)} text DEFAULT E'a\\\\b''c' UNIQUE,
         own bigint GENERATED ALWAYS AS IDENTITY, parent int REFERENCES ${table} DEFERRABLE, CONSTRAINT ${quote(name)} CHECK (own > 0));
       COMMENT ON TABLE ${table} IS E'a\\\\b''c "d"'; CREATE INDEX ${quote(`${name.slice(0, 28)}i`)} ON ${table} (lower(${quote(`${name.slice(0, 30)}2`)}));
       CREATE TABLE ${twin} (${quote(name)} serial PRIMARY KEY, v text);
       INSERT INTO ${table} (${quote(`${name.slice(0, 30)}2`)}) SELECT 'v' || i FROM generate_series(1, 5) i; INSERT INTO ${twin} (v) VALUES ('a')`,
    );
  }
  await using running = startPipeline(db);
  await running.caughtUp(60_000);
  await complete(running, db);
  expect(running.pipeline.model.status().problems).toEqual([]);
  for (const [at, name] of NAMES.entries()) {
    const table = `${quote(at % 2 === 0 ? `S "1"` : LONGEST)}.${quote(name)}`;
    await sql(
      db.source,
      `UPDATE ${table} SET parent = 1 WHERE ${quote(name)} > 2; DELETE FROM ${table} WHERE ${quote(name)} = 2; INSERT INTO ${table} DEFAULT VALUES`,
    );
  }
  await running.caughtUp();
  await compareTables(db.source, db.target);
  expect(await describeSchema(db.target)).toEqual(await describeSchema(db.source));
});

test('a table without columns, and one with 1,600', { timeout: 60_000 }, async () => {
  await using db = await testDatabases();
  const columns = Array.from({ length: 1600 }, (_, n) => `c${n} int DEFAULT ${n}`);
  await sql(
    db.source,
    `CREATE TABLE bare (); INSERT INTO bare DEFAULT VALUES; CREATE TABLE wide (${columns.join(', ')}, PRIMARY KEY (c0))`,
  );
  await sql(db.source, 'INSERT INTO wide (c0) SELECT generate_series(1, 20)');
  await using running = startPipeline(db);
  await running.caughtUp(60_000);
  await complete(running, db);
  await sql(db.source, 'INSERT INTO bare DEFAULT VALUES; UPDATE wide SET c1599 = 7 WHERE c0 < 5');
  await running.caughtUp();
  expect(await value(db.target, 'SELECT count(*) FROM bare')).toBe('2');
  await compareTables(db.source, db.target);
  expect(await describeSchema(db.target)).toEqual(await describeSchema(db.source));
});

const KEYS = `
  CREATE COLLATION german (PROVIDER = icu, LOCALE = 'de-u-co-phonebk');
  CREATE COLLATION blunt (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false);
  CREATE TABLE named (name text COLLATE blunt PRIMARY KEY, other text COLLATE german, v int); CREATE INDEX named_other ON named (other COLLATE "C" DESC NULLS LAST) INCLUDE (v);
  CREATE TABLE late (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, u int UNIQUE DEFERRABLE, v int); ALTER TABLE late REPLICA IDENTITY FULL;
  CREATE TABLE loose (id int PRIMARY KEY, v int, late int); INSERT INTO loose VALUES (1, -1, NULL), (2, 1, 9);
  ALTER TABLE loose ADD CONSTRAINT positive CHECK (v > 0) NOT VALID; CREATE TABLE root (id int PRIMARY KEY); INSERT INTO root VALUES (1);
  ALTER TABLE loose ADD CONSTRAINT to_root FOREIGN KEY (late) REFERENCES root NOT VALID;
  CREATE TABLE apart (id int PRIMARY KEY, during int4range, EXCLUDE USING gist (during WITH &&) DEFERRABLE INITIALLY DEFERRED);
  INSERT INTO named VALUES ('Ä', 'ö', 1), ('b', 'z', 2); INSERT INTO late VALUES (1, 1, 1), (2, 2, 2); INSERT INTO apart VALUES (1, '[1,5)'), (2, '[5,9)')`;

const SINCE_15 = `; CREATE TABLE once (id int PRIMARY KEY, a int UNIQUE NULLS NOT DISTINCT, b int, UNIQUE NULLS NOT DISTINCT (a, b) INCLUDE (id)); INSERT INTO once VALUES (1, NULL, 1), (2, 2, NULL);
  CREATE UNIQUE INDEX once_b ON once (b, (a + 1)) NULLS NOT DISTINCT WHERE b > 5`;

const SINCE_18 = `; CREATE EXTENSION btree_gist;
  CREATE TABLE price (article int, at daterange, v int, PRIMARY KEY (article, at WITHOUT OVERLAPS), UNIQUE (v, at WITHOUT OVERLAPS));
  CREATE TABLE sale (id int PRIMARY KEY, article int, at daterange, FOREIGN KEY (article, PERIOD at) REFERENCES price (article, PERIOD at));
  CREATE TABLE free (id int PRIMARY KEY, v int, parent int, CONSTRAINT hope CHECK (v > 0) NOT ENFORCED, CONSTRAINT wish FOREIGN KEY (parent) REFERENCES free NOT ENFORCED);
  CREATE TABLE calc (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) VIRTUAL, thrice int GENERATED ALWAYS AS (a * 3) STORED);
  ALTER TABLE calc ADD CONSTRAINT calc_a NOT NULL a NOT VALID;
  INSERT INTO price VALUES (1, '[2026-01-01,2026-02-01)', 5), (1, '[2026-02-01,)', 6); INSERT INTO sale VALUES (1, 1, '[2026-01-05,2026-02-05)');
  INSERT INTO free VALUES (1, -1, 99); INSERT INTO calc VALUES (1, 1), (2, 2)`;

const CHANGES = `
  UPDATE named SET v = 7, name = 'ä' WHERE v = 1; UPDATE late SET u = 3 - u; UPDATE loose SET v = 5, late = 1; INSERT INTO loose VALUES (3, 3, 1);
  BEGIN; UPDATE apart SET during = '[20,25)' WHERE id = 1; UPDATE apart SET during = '[1,5)' WHERE id = 2; COMMIT`;

test('keys, constraints and collations of every kind that the version has', { timeout: 60_000 }, async () => {
  await using db = await testDatabases();
  const version = Number(await value(db.source, `SELECT current_setting('server_version_num')`));
  await sql(db.source, `${KEYS}${version >= 150000 ? SINCE_15 : ''}${version >= 180000 ? SINCE_18 : ''}`);
  await using running = startPipeline(db);
  await running.caughtUp(60_000);
  await complete(running, db);
  await sql(db.source, CHANGES);
  if (version >= 150000) await sql(db.source, 'UPDATE once SET a = 9 WHERE id = 1; INSERT INTO once VALUES (3, NULL, NULL)');
  if (version >= 180000)
    await sql(
      db.source,
      `UPDATE price SET v = 8 WHERE at @> '2026-03-01'::date; UPDATE price SET at = '[2026-02-01,2027-01-01)' WHERE upper_inf(at); INSERT INTO price VALUES (2, '[2026-01-01,)', 50);
       DELETE FROM price WHERE article = 2; UPDATE free SET v = -5; INSERT INTO free VALUES (2, -2, 77); UPDATE calc SET a = 5 WHERE id = 1; INSERT INTO sale VALUES (2, 1, '[2026-03-01,2026-03-02)')`,
    );
  await running.caughtUp();
  await compareTables(db.source, db.target);
  expect(await describeSchema(db.target)).toEqual(await describeSchema(db.source));
  expect(running.pipeline.model.status().problems).toEqual([]);
});

test('a partition that is a foreign table, which takes no UPDATE: the others are followed, its rows come once there is room for them', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `CREATE TABLE fine (id int PRIMARY KEY); CREATE TABLE t (a int, v int) PARTITION BY LIST (a); CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1, 2);
     INSERT INTO fine VALUES (1); INSERT INTO t VALUES (1, 1), (2, 2); CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
     CREATE FOREIGN TABLE far PARTITION OF t FOR VALUES IN (9) SERVER files OPTIONS (program 'echo 9,9', format 'csv')`,
  );
  await using running = startPipeline(db);
  const { model, controls } = running.pipeline;
  await eventually(() =>
    expect(model.table('public.t')).toMatchObject({
      state: 'error',
      error: { code: 'COPY_FAILED', message: expect.stringContaining('no partition of relation "t" found for row') },
    }),
  );
  await eventually(() => expect(model.table('public.fine')).toMatchObject({ state: 'streaming' }));
  await sql(db.target, 'CREATE TABLE far PARTITION OF t FOR VALUES IN (9)');
  await controls.retryTable('public.t', 'test');
  await eventually(() => expect(model.table('public.t')).toMatchObject({ state: 'streaming' }), { timeout: 30_000 });
  await sql(db.source, 'UPDATE t1 SET v = 7 WHERE a = 1; DELETE FROM t1 WHERE a = 2; INSERT INTO t VALUES (2, 3)');
  await running.caughtUp();
  expect(await sql(db.target, 'SELECT a, v FROM t ORDER BY a')).toEqual([
    { a: '1', v: '7' },
    { a: '2', v: '3' },
    { a: '9', v: '9' },
  ]);
});
