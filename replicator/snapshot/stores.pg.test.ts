import { expect, test } from 'vitest';
import { readRelations } from '../catalog/read-relations.ts';
import { connect, disconnect } from '../postgres/connect.ts';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline } from '../testing/run-pipeline.ts';
import { planChunks } from './chunks.ts';
import { readStores } from './stores.ts';

const TREE = `
  CREATE TABLE t (id int, at int, v text) PARTITION BY RANGE (at);
  CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (10);
  CREATE TABLE t_2 (v text, at int, gone int, id int); ALTER TABLE t_2 DROP gone; ALTER TABLE t ATTACH PARTITION t_2 FOR VALUES FROM (10) TO (20);
  CREATE SCHEMA parts; CREATE TABLE parts.t_3 PARTITION OF t FOR VALUES FROM (20) TO (30) PARTITION BY LIST (at);
  CREATE TABLE parts.t_4 PARTITION OF parts.t_3 DEFAULT`;

const names = (stores: Awaited<ReturnType<typeof readStores>>): (string | undefined)[] =>
  stores.map(({ relation }) => relation?.name);

test('partitions are read by name where the role may, and sees there what it sees through the table', async () => {
  await using db = await testDatabases();
  const role = `${db.name}_reader`;
  await sql(
    db.source,
    `${TREE}; CREATE TABLE plain (id int); CREATE ROLE ${role} LOGIN; GRANT USAGE ON SCHEMA parts TO ${role}; GRANT SELECT ON t, t_1, t_2 TO ${role}`,
  );
  const client = await connect({ role: 'source', url: db.source.url, purpose: db.name });
  try {
    const of = async (name: string) => {
      const [relation] = await readRelations(client, { names: [{ schema: 'public', name }] });
      return readStores(client, relation!);
    };
    expect(names(await of('t'))).toEqual(['t_1', 't_2', 't_4']);
    expect(await of('plain')).toEqual([{ relation: null, bytes: 0, divisible: true }]);
    await client.query(`SET ROLE ${role}`);
    expect(await of('t')).toMatchObject([{ relation: null, divisible: false }]);
    await sql(db.source, `GRANT SELECT ON parts.t_4 TO ${role}`);
    expect(names(await of('t'))).toEqual(['t_1', 't_2', 't_4']);
    await sql(db.source, 'ALTER TABLE t_2 ENABLE ROW LEVEL SECURITY');
    expect(await of('t')).toMatchObject([{ relation: null, divisible: false }]);
  } finally {
    await disconnect(client);
    await sql(db.source, `DROP OWNED BY ${role}; DROP ROLE ${role}`);
  }
});

test('large and small partitions, one with other columns, a foreign one, under a row filter; a worker loses its connection', async () => {
  await using db = await testDatabases();
  const version = Number(await value(db.source, `SELECT current_setting('server_version_num')`));
  await sql(db.source, `${TREE}; ALTER TABLE t_2 ALTER v SET STORAGE PLAIN`);
  await sql(db.target, 'CREATE TABLE t (at int, id int, v text)');
  await sql(
    db.source,
    `INSERT INTO t SELECT i, i % 30, 'v' FROM generate_series(1, 3000) i; INSERT INTO t SELECT i, 15, repeat('x', 7000) FROM generate_series(3001, 15000) i;
     CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
     CREATE FOREIGN TABLE far PARTITION OF t FOR VALUES FROM (30) TO (40) SERVER files OPTIONS (program 'echo 70000,31,far', format 'csv')`,
  );
  // The copy is to be met at work.
  await sql(
    db.target,
    `CREATE FUNCTION rest() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.05); RETURN NEW; END $$;
     CREATE TRIGGER rest BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.id % 500 = 0) EXECUTE FUNCTION rest(); ALTER TABLE t ENABLE REPLICA TRIGGER rest`,
  );
  // A publication of somebody else's.
  await sql(
    db.source,
    `ALTER TABLE t REPLICA IDENTITY FULL; ALTER TABLE t_1 REPLICA IDENTITY FULL; ALTER TABLE t_2 REPLICA IDENTITY FULL;
     ALTER TABLE parts.t_4 REPLICA IDENTITY FULL;
     CREATE PUBLICATION own FOR TABLE t ${version >= 150000 ? 'WHERE (id > 10)' : ''} WITH (publish_via_partition_root)`,
  );
  await using running = startPipeline(db, { publication: { managed: false, names: ['own'] }, snapshot: { workers: 2 } });
  const chunks = () => value(db.target, 'SELECT count(*) FROM pgfollow.copy_chunk');
  await eventually(async () => Number(await chunks()) > 0, { timeout: 30_000, interval: 5 });
  expect(
    await sql(
      db.target,
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND query LIKE 'COPY%' AND state = 'active' LIMIT 1`,
      [`pgfollow ${db.name} copy`],
    ),
  ).toHaveLength(1);
  await running.caughtUp();
  const rows = version >= 150000 ? 14_991 : 15_001;
  expect(await value(db.target, 'SELECT count(*) FROM t')).toBe(String(rows));
  expect(await value(db.target, `SELECT count(*) FROM t WHERE v = 'far' AND id = 70000 AND at = 31`)).toBe('1');
  expect(running.pipeline.model.table('public.t')).toMatchObject({ state: 'streaming', snapshot: { rowsCopied: rows } });
  await sql(db.source, `INSERT INTO t VALUES (80000, 25, 'new'); UPDATE parts.t_4 SET v = 'other' WHERE id = 50`);
  await running.caughtUp();
  expect(await sql(db.target, `SELECT id, v FROM t WHERE v IN ('new', 'other') ORDER BY id`)).toEqual([
    { id: '50', v: 'other' },
    { id: '80000', v: 'new' },
  ]);
});

test('a database of many small partitions is copied in few transactions', async () => {
  await using db = await testDatabases();
  await sql(db.source, 'CREATE TABLE t (id int PRIMARY KEY) PARTITION BY RANGE (id)');
  await sql(
    db.source,
    `DO $$ BEGIN FOR i IN 0..249 LOOP EXECUTE format('CREATE TABLE t_%s PARTITION OF t FOR VALUES FROM (%s) TO (%s)', i, i * 10, i * 10 + 10); END LOOP; END $$;
     INSERT INTO t SELECT generate_series(0, 2499)`,
  );
  const client = await connect({ role: 'source', url: db.source.url, purpose: db.name });
  try {
    const [relation] = await readRelations(client, { names: [{ schema: 'public', name: 't' }] });
    expect(planChunks(await readStores(client, relation!), { workers: 4 })).toHaveLength(3);
  } finally {
    await disconnect(client);
  }
  await using running = startPipeline(db);
  await running.caughtUp(60_000);
  await compareTables(db.source, db.target);
});
