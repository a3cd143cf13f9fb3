import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { cleared, counts, resync } from '../testing/resync.ts';
import { startPipeline } from '../testing/run-pipeline.ts';

// What a table that is copied again becomes, whatever it is. The tests wait more than they work.

test.concurrent('only what differs is touched; readers see the old rows or the new ones; what hangs on the table stays', async () => {
  await using db = await testDatabases();
  const table = 'CREATE TABLE t (id int PRIMARY KEY, v int, d jsonb, f float8, n numeric)';
  for (const side of [db.source, db.target]) await sql(side, table);
  await sql(db.source, `INSERT INTO t SELECT i, i, '{"a": 1}', 0, 1.0 FROM generate_series(1, 20000) i`);
  await using running = startPipeline(db);
  await running.caughtUp();
  const role = `${db.name}_reader`;
  await sql(
    db.target,
    `CREATE VIEW seen AS SELECT id FROM t; CREATE TABLE child (t_id int REFERENCES t); INSERT INTO child VALUES (7);
     CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'fired'; END $$;
     CREATE TRIGGER quiet BEFORE INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION nothing();
     CREATE POLICY everybody ON t FOR SELECT USING (true); CREATE ROLE ${role}; GRANT SELECT ON t TO ${role};
     SET session_replication_role = replica;
     DELETE FROM t WHERE id <= 300; INSERT INTO t SELECT i, 0 FROM generate_series(50001, 50020) i;
     UPDATE t SET v = -1 WHERE id BETWEEN 1001 AND 1010; UPDATE t SET n = 1.00, f = '-0' WHERE id BETWEEN 1011 AND 1013;
     UPDATE t SET d = NULL WHERE id = 1014; RESET session_replication_role`,
  );
  const oid = await value(db.target, `SELECT 't'::regclass::oid`);
  // Not 1 to 300, which come, nor what changes.
  const rest = `SELECT md5(string_agg(ctid::text || xmin::text, ',' ORDER BY id)) FROM t WHERE id > 2000 AND id <= 20000`;
  const untouched = await value(db.target, rest);
  const state = `SELECT count(*) || ' ' || sum(v) || ' ' || count(d) || ' ' || count(*) FILTER (WHERE n::text = '1.00') FROM t`;
  const seen = new Set<string | null | undefined>([await value(db.target, state)]);
  const looking = new AbortController();
  const reader = (async () => {
    await using session = await db.target.session();
    while (!looking.signal.aborted) seen.add(await value(session, state));
  })();
  expect(await resync(running)).toContain(counts(300, 20, 14));
  looking.abort();
  await reader;
  expect([...seen]).toHaveLength(2);
  await compareTables(db.source, db.target);
  expect(await value(db.target, `SELECT 't'::regclass::oid`)).toBe(oid);
  expect(await value(db.target, rest)).toBe(untouched);
  expect(await value(db.target, 'SELECT count(*) FROM seen')).toBe('20000');
  expect(await sql(db.target, 'SELECT t_id FROM child')).toEqual([{ t_id: '7' }]);
  await expect(sql(db.target, 'INSERT INTO child VALUES (60000)')).rejects.toThrow('foreign key');
  await expect(sql(db.target, 'DELETE FROM t WHERE id = 1')).rejects.toThrow('fired');
  expect(await value(db.target, `SELECT has_table_privilege('${role}', 't', 'SELECT')`)).toBe('t');
  expect(await value(db.target, `SELECT count(*) FROM pg_policy WHERE polrelid = 't'::regclass`)).toBe('1');
  await sql(db.target, `DROP OWNED BY ${role}; DROP ROLE ${role}; DROP TRIGGER quiet ON t`);

  expect(await resync(running)).toContain('every row was right');
  await sql(db.target, 'TRUNCATE t, child');
  expect(await resync(running)).toContain(counts(20_000, 0, 0));
  await compareTables(db.source, db.target);
  await cleared(db);
});

test.concurrent('without a key each row comes as often as it is there, whatever its types', async () => {
  await using db = await testDatabases();
  const table = 'CREATE TABLE t (i int, j json, p point, f float8, x xid); CREATE TABLE tag (a "char")';
  for (const side of [db.source, db.target]) await sql(side, table);
  await sql(db.target, `ALTER TABLE t ADD note text DEFAULT 'ours'`);
  await sql(
    db.source,
    `INSERT INTO t SELECT i % 10, '{"a": 1}', '(1,2)', 'NaN', '7' FROM generate_series(1, 100) i; INSERT INTO t VALUES (NULL, NULL, NULL, NULL, NULL);
     INSERT INTO tag SELECT NULL FROM generate_series(1, 5)`,
  );
  await using running = startPipeline(db);
  await running.caughtUp();
  await sql(
    db.target,
    `DELETE FROM t WHERE ctid IN (SELECT ctid FROM t WHERE i = 3 LIMIT 4); DELETE FROM t WHERE i IS NULL;
     INSERT INTO t SELECT 4, '{"a": 1}', '(1,2)', 'NaN', '7' FROM generate_series(1, 3); UPDATE t SET j = '{"a":1}' WHERE i = 5;
     UPDATE t SET note = 'kept' WHERE i = 6; INSERT INTO tag VALUES (NULL), ('x')`,
  );
  expect(await resync(running)).toContain(counts(4 + 1 + 10, 3 + 10, 0));
  expect(await resync(running, 'public.tag')).toContain(counts(0, 2, 0));
  expect(await value(db.target, `SELECT count(*) FROM t WHERE note = 'kept'`)).toBe('10');
  await compareTables(db.source, db.target);
  await cleared(db);
});

test.concurrent('a key whose type cannot be joined by: images are compared instead', async () => {
  await using db = await testDatabases();
  const method = (name: string, as: string): string =>
    `CREATE FUNCTION ${name}(code, code) RETURNS bool LANGUAGE internal IMMUTABLE STRICT AS '${as}'`;
  const types = `CREATE TYPE code; CREATE FUNCTION code_in(cstring) RETURNS code LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
    CREATE FUNCTION code_out(code) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
    CREATE TYPE code (INPUT = code_in, OUTPUT = code_out, LIKE = int4);
    ${method('code_lt', 'int4lt')}; ${method('code_le', 'int4le')}; ${method('code_eq', 'int4eq')}; ${method('code_ge', 'int4ge')}; ${method('code_gt', 'int4gt')};
    CREATE FUNCTION code_cmp(code, code) RETURNS int LANGUAGE internal IMMUTABLE STRICT AS 'btint4cmp';
    CREATE OPERATOR < (LEFTARG = code, RIGHTARG = code, FUNCTION = code_lt); CREATE OPERATOR <= (LEFTARG = code, RIGHTARG = code, FUNCTION = code_le);
    CREATE OPERATOR = (LEFTARG = code, RIGHTARG = code, FUNCTION = code_eq); CREATE OPERATOR >= (LEFTARG = code, RIGHTARG = code, FUNCTION = code_ge);
    CREATE OPERATOR > (LEFTARG = code, RIGHTARG = code, FUNCTION = code_gt);
    CREATE OPERATOR CLASS code_ops DEFAULT FOR TYPE code USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 code_cmp(code, code)`;
  for (const side of [db.source, db.target]) await sql(side, `${types}; CREATE TABLE t (c code PRIMARY KEY, v int)`);
  const rows = Array.from({ length: 20 }, (_, i) => `('${i + 1}', ${i + 1})`);
  await sql(db.source, `INSERT INTO t VALUES ${rows.join(', ')}`);
  await using running = startPipeline(db);
  await running.caughtUp();
  await sql(db.target, `DELETE FROM t WHERE v <= 2; UPDATE t SET v = 0 WHERE v = 7; INSERT INTO t VALUES ('99', 99)`);
  expect(await resync(running)).toContain(counts(3, 2, 0));
  await compareTables(db.source, db.target);
  await cleared(db);
});

test.concurrent('identity, generated columns, columns of the target alone, and unique values that were swapped', async () => {
  await using db = await testDatabases();
  const table = `CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code text UNIQUE, g int GENERATED ALWAYS AS (length(code)) STORED);
    CREATE TABLE odd (k text PRIMARY KEY, id int GENERATED ALWAYS AS IDENTITY)`;
  await sql(db.source, table);
  await sql(db.target, `${table}; ALTER TABLE t ADD note text, ADD "sid" int; ALTER TABLE odd ADD note text`);
  await sql(
    db.source,
    `INSERT INTO t (code) SELECT 'c' || i FROM generate_series(1, 50) i; INSERT INTO odd (k) SELECT i FROM generate_series(1, 5) i`,
  );
  await using running = startPipeline(db);
  await running.caughtUp();
  await sql(
    db.target,
    `UPDATE t SET note = 'n' || id, sid = id; UPDATE odd SET note = k; DELETE FROM t WHERE id = 50;
     UPDATE t SET code = 'x' WHERE id = 1; UPDATE t SET code = 'c1' WHERE id = 2; UPDATE t SET code = 'c2' WHERE id = 1;
     DELETE FROM odd WHERE k = '2'; INSERT INTO odd (k, id, note) OVERRIDING SYSTEM VALUE VALUES ('2', 77, '2')`,
  );
  expect(await resync(running)).toContain(counts(1, 0, 2));
  expect(await resync(running, 'public.odd')).toContain(counts(0, 0, 1));
  await compareTables(db.source, db.target);
  expect(await value(db.target, `SELECT count(*) FROM t WHERE note = 'n' || id AND sid = id`)).toBe('49');
  expect(await value(db.target, `SELECT count(*) FROM odd WHERE note = k`)).toBe('5');
  await cleared(db);
});

test.concurrent('a table that pgfollow has created a moment ago is compared by its key', async () => {
  await using db = await testDatabases();
  await sql(db.source, 'CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT i, i FROM generate_series(1, 10) i');
  await using running = startPipeline(db);
  await running.caughtUp();
  await sql(db.target, `ALTER TABLE t ADD note text; UPDATE t SET note = 'ours', v = 0 WHERE id = 3`);
  expect(await resync(running)).toContain(counts(0, 0, 1));
  expect(await sql(db.target, 'SELECT v, note FROM t WHERE id = 3')).toEqual([{ v: '3', note: 'ours' }]);
  await cleared(db);
});

test.concurrent('renamed and left out columns, a row filter', async () => {
  await using db = await testDatabases();
  await sql(db.source, 'CREATE TABLE t (id int PRIMARY KEY, secret text, amount numeric, at timestamptz)');
  await sql(db.target, 'CREATE TABLE there (total numeric(10, 2), id bigint PRIMARY KEY, at text, more text)');
  await sql(db.source, `INSERT INTO t SELECT i, 's', i, '2026-01-01' FROM generate_series(1, 100) i`);
  const version = Number(await value(db.source, `SELECT current_setting('server_version_num')`));
  const map = { from: 'public.t', to: 'public.there', columns: { exclude: ['secret'], rename: { amount: 'total' } } };
  const where = version >= 150000 ? { where: 't.id > 10 -- not the first' } : {};
  await using running = startPipeline(db, { tables: { map: [{ ...map, ...where }] } });
  await running.caughtUp();
  const rows = version >= 150000 ? 90 : 100;
  expect(await value(db.target, 'SELECT count(*) FROM there')).toBe(String(rows));
  const state = `SELECT md5(string_agg(there::text, ',' ORDER BY id)) FROM there`;
  const right = await value(db.target, state);
  await sql(
    db.target,
    `DELETE FROM there WHERE id = 20; UPDATE there SET total = 0 WHERE id = 21; INSERT INTO there VALUES (1, 1000, 'x')`,
  );
  expect(await resync(running)).toContain(counts(1, 1, 1));
  expect(await value(db.target, state)).toBe(right);
  await cleared(db);
});

test.concurrent('a partitioned table, partition by partition', async () => {
  await using db = await testDatabases();
  const table = (bound: number): string =>
    `CREATE TABLE t (id int, at int, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
     CREATE TABLE t_low PARTITION OF t FOR VALUES FROM (0) TO (${bound}); CREATE TABLE t_high PARTITION OF t FOR VALUES FROM (${bound}) TO (100) PARTITION BY LIST (at);
     CREATE TABLE t_rest PARTITION OF t_high DEFAULT`;
  await sql(db.source, `${table(50)}; ALTER TABLE t_low ALTER v SET STORAGE PLAIN`);
  await sql(db.target, table(20));
  await sql(
    db.source,
    `INSERT INTO t SELECT i, i % 100, i FROM generate_series(1, 3000) i; INSERT INTO t SELECT -i, i % 40, repeat('x', 7000) FROM generate_series(1, 9000) i`,
  );
  await using running = startPipeline(db, { snapshot: { workers: 2 } });
  await running.caughtUp(60_000);
  await compareTables(db.source, db.target);
  await sql(
    db.target,
    `DELETE FROM t WHERE id % 100 = 7; UPDATE t SET v = 'other' WHERE id % 100 = 9; INSERT INTO t VALUES (9000, 1), (9001, 60)`,
  );
  expect(await resync(running)).toContain(counts(30, 2, 30));
  await compareTables(db.source, db.target);
  expect(running.pipeline.model.table('public.t')).toMatchObject({ snapshot: { rowsCopied: 12_000 } });
  await cleared(db);
});

test.concurrent('a key that is twice on the source is told, and its table stays as it was', async () => {
  await using db = await testDatabases();
  await sql(db.source, 'CREATE TABLE t (id int, v int)');
  await sql(db.target, 'CREATE TABLE t (id int PRIMARY KEY, v int)');
  await sql(db.source, 'INSERT INTO t SELECT i, i FROM generate_series(1, 10) i');
  await using running = startPipeline(db);
  await running.caughtUp();
  await sql(db.source, 'INSERT INTO t VALUES (5, 50)');
  await eventually(() => expect(running.pipeline.model.table('public.t')).toMatchObject({ state: 'error' }));
  await running.pipeline.controls.resyncTable('public.t', 'test');
  await eventually(() =>
    expect(running.pipeline.model.table('public.t')).toMatchObject({
      state: 'error',
      error: { code: 'COPY_FAILED', message: expect.stringContaining('Key (id)=(5) is duplicated') },
    }),
  );
  expect(await value(db.target, 'SELECT count(*) FROM t')).toBe('10');
  await cleared(db);
  await sql(db.source, 'DELETE FROM t WHERE v = 50');
  await eventually(() => expect(running.pipeline.model.table('public.t')).toMatchObject({ state: 'streaming' }), {
    timeout: 30_000,
  });
  await compareTables(db.source, db.target);
});
