import { expect, test } from 'vitest';
import { connect, disconnect } from '../postgres/connect.ts';
import { sql, testDatabases, type TestDatabase } from '../testing/databases.ts';
import { readRelations, type RelationFilter } from './read-relations.ts';
import { displayName, type Relation } from './relation.ts';

async function relationsOf(database: TestDatabase, filter?: RelationFilter): Promise<Relation[]> {
  const client = await connect({ role: 'source', url: database.url, purpose: 'test' });
  try {
    return await readRelations(client, filter);
  } finally {
    await disconnect(client);
  }
}

const only = async (database: TestDatabase, name: string): Promise<Relation> => {
  const [relation] = await relationsOf(database, { names: [{ schema: 'public', name }] });
  if (!relation) throw new Error(`${name} was not found`);
  return relation;
};

test('tables and partitioned tables are read, what is no user table is not', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `CREATE TABLE plain (id int); CREATE VIEW v AS SELECT 1; CREATE MATERIALIZED VIEW mv AS SELECT 1; CREATE SEQUENCE sq;
     CREATE TEMPORARY TABLE tmp (id int); CREATE UNLOGGED TABLE fast (id int);
     CREATE SCHEMA pgfollow; CREATE TABLE pgfollow.checkpoint (id int);
     CREATE SCHEMA "We.ird ""x"""; CREATE TABLE "We.ird ""x"""."Tab, le" (id int)`,
  );
  const relations = await relationsOf(db.source);
  expect(relations.map((relation) => [displayName(relation), relation.kind, relation.persistence])).toEqual([
    ['We.ird "x".Tab, le', 'table', 'permanent'],
    ['public.fast', 'table', 'unlogged'],
    ['public.plain', 'table', 'permanent'],
  ]);
  expect(relations[0]?.estimatedRows).toBe(-1);
  expect(await relationsOf(db.source, { names: [{ schema: 'public', name: 'Plain' }] })).toEqual([]);
  expect(await relationsOf(db.source, { oids: [relations[2]?.oid ?? 0] })).toEqual([relations[2]]);
});

test('columns carry their types as SQL wants them', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `CREATE DOMAIN whole AS int; CREATE DOMAIN positive AS whole DEFAULT 7 CHECK (VALUE > 0); CREATE TYPE mood AS ENUM ('ok');
     CREATE TYPE "Pa ir" AS (a int, b text); CREATE TYPE span AS RANGE (subtype = int);
     CREATE DOMAIN feeling AS mood; CREATE COLLATION loose (provider = icu, locale = 'und', deterministic = false);
     CREATE TABLE t (gone int, a positive NOT NULL, b mood, c "Pa ir", d mood[], e numeric(10,2), f char(3), g varchar(5) DEFAULT 'x',
       h int GENERATED ALWAYS AS (1 + 1) STORED, i int GENERATED ALWAYS AS IDENTITY, j int[], k text COLLATE loose, l span, m feeling,
       n "char", o bit(3));
     ALTER TABLE t DROP COLUMN gone`,
  );
  const { columns } = await only(db.source, 't');
  const described = columns.map(({ name, attnum, type, typeText, notNull, generated, identity, hasDefault }) => [
    `${attnum} ${name} ${typeText} | ${type.sqlName} ${type.kind}`,
    [
      ...(notNull ? ['not null'] : []),
      ...(generated === 'no' ? [] : [generated]),
      ...(identity === 'no' ? [] : [identity]),
      ...(hasDefault ? ['default'] : []),
      ...(type.equalityIsIdentity ? ['exact'] : []),
      ...(type.elementOid === null ? [] : ['array']),
      ...(type.baseOid === type.oid ? [] : ['derived']),
    ].join(', '),
  ]);
  expect(described).toEqual([
    ['2 a public.positive | public.positive domain', 'not null, default, exact, derived'],
    ['3 b public.mood | public.mood enum', 'exact'],
    ['4 c public."Pa ir" | public."Pa ir" composite', ''],
    ['5 d public.mood[] | public.mood[] base', 'array'],
    ['6 e numeric(10,2) | numeric base', ''],
    ['7 f character(3) | bpchar base', ''],
    ['8 g character varying(5) | character varying base', 'default, exact'],
    ['9 h integer | integer base', 'stored, exact'],
    ['10 i integer | integer base', 'not null, always, exact'],
    ['11 j integer[] | integer[] base', 'array'],
    ['12 k text | text base', ''],
    ['13 l public.span | public.span range', ''],
    ['14 m public.feeling | public.feeling domain', 'exact, derived'],
    ['15 n "char" | "char" base', 'exact'],
    ['16 o bit(3) | "bit" base', ''],
  ]);
  expect(columns.find(({ name }) => name === 'a')?.type.baseOid).toBe(23);
  expect(columns.find(({ name }) => name === 'h')?.generatedAs).toBe('(1 + 1)');
});

const IDENTITIES: [name: string, ddl: string, expected: Pick<Relation, 'replicaIdentity' | 'identityColumns'>][] = [
  [
    'primary key',
    'CREATE TABLE t (v text, b int, a int, PRIMARY KEY (a, b))',
    { replicaIdentity: 'default', identityColumns: ['a', 'b'] },
  ],
  ['no key', 'CREATE TABLE t (a int UNIQUE)', { replicaIdentity: 'default', identityColumns: [] }],
  ['deferrable key', 'CREATE TABLE t (a int PRIMARY KEY DEFERRABLE)', { replicaIdentity: 'default', identityColumns: [] }],
  [
    'full',
    'CREATE TABLE t (a int PRIMARY KEY); ALTER TABLE t REPLICA IDENTITY FULL',
    { replicaIdentity: 'full', identityColumns: [] },
  ],
  [
    'nothing',
    'CREATE TABLE t (a int PRIMARY KEY); ALTER TABLE t REPLICA IDENTITY NOTHING',
    { replicaIdentity: 'nothing', identityColumns: [] },
  ],
  [
    'index',
    'CREATE TABLE t (a int PRIMARY KEY, b int NOT NULL); CREATE UNIQUE INDEX u ON t (b) INCLUDE (a); ALTER TABLE t REPLICA IDENTITY USING INDEX u',
    { replicaIdentity: 'index', identityColumns: ['b'] },
  ],
  [
    'index that was dropped',
    'CREATE TABLE t (a int PRIMARY KEY, b int NOT NULL); CREATE UNIQUE INDEX u ON t (b); ALTER TABLE t REPLICA IDENTITY USING INDEX u; DROP INDEX u',
    { replicaIdentity: 'index', identityColumns: [] },
  ],
];

test.each(IDENTITIES)('replica identity as the server resolves it: %s', async (_, ddl, expected) => {
  await using db = await testDatabases();
  await sql(db.source, ddl);
  expect(await only(db.source, 't')).toMatchObject(expected);
});

test('unique indexes tell whether they could be a replica identity', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL, b int, c text NOT NULL);
     CREATE UNIQUE INDEX i_fit ON t (c, a) INCLUDE (b); CREATE UNIQUE INDEX i_nullable ON t (a, b); CREATE UNIQUE INDEX i_partial ON t (a) WHERE a > 0;
     CREATE UNIQUE INDEX i_expression ON t (lower(c), a); ALTER TABLE t ADD CONSTRAINT i_deferrable UNIQUE (a) DEFERRABLE; CREATE INDEX i_plain ON t (a)`,
  );
  expect((await only(db.source, 't')).uniqueIndexes).toEqual([
    { name: 't_pkey', columns: ['id'], primary: true, identifies: true },
    { name: 'i_deferrable', columns: ['a'], primary: false, identifies: false },
    { name: 'i_expression', columns: ['a'], primary: false, identifies: false },
    { name: 'i_fit', columns: ['c', 'a'], primary: false, identifies: true },
    { name: 'i_nullable', columns: ['a', 'b'], primary: false, identifies: false },
    { name: 'i_partial', columns: ['a'], primary: false, identifies: false },
  ]);
});

test('a partitioned table sums up its partitions, which know their parents', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `CREATE TABLE part (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
     CREATE TABLE p1 PARTITION OF part FOR VALUES FROM (0) TO (10);
     CREATE TABLE p2 PARTITION OF part FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
     CREATE TABLE p21 PARTITION OF p2 FOR VALUES FROM (10) TO (20);
     INSERT INTO part SELECT generate_series(0, 19); ANALYZE part;
     CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
     CREATE TRIGGER tr BEFORE INSERT ON p21 FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE p21 ENABLE ALWAYS TRIGGER tr`,
  );
  const part = { schema: 'public', name: 'part' };
  const relations = await relationsOf(db.source, { names: [part], withPartitions: true });
  const oid = (name: string) => relations.find((relation) => relation.name === name)?.oid;
  expect(
    relations.map(({ name, kind, rootOid, parentOid, estimatedRows, bytes, firesOnReplica }) => [
      name,
      kind,
      rootOid,
      parentOid,
      estimatedRows,
      bytes,
      firesOnReplica,
    ]),
  ).toEqual([
    ['p1', 'table', oid('part'), oid('part'), 10, 8192, false],
    ['p2', 'partitioned', oid('part'), oid('part'), 10, 8192, true],
    ['p21', 'table', oid('part'), oid('p2'), 10, 8192, true],
    ['part', 'partitioned', null, null, 20, 16384, true],
  ]);
  expect((await relationsOf(db.source, { names: [part] })).map(({ name }) => name)).toEqual(['part']);
});

test('only triggers and rules that act on replicated rows count', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
     CREATE TABLE a_none (id int PRIMARY KEY); CREATE TABLE b_ordinary (id int REFERENCES a_none); CREATE TABLE c_replica (id int);
     CREATE TABLE d_always (id int); CREATE TABLE e_rule (id int);
     CREATE TRIGGER tr BEFORE INSERT ON b_ordinary FOR EACH ROW EXECUTE FUNCTION f();
     CREATE TRIGGER tr BEFORE INSERT ON c_replica FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE c_replica ENABLE REPLICA TRIGGER tr;
     CREATE TRIGGER tr BEFORE INSERT ON d_always FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE d_always ENABLE ALWAYS TRIGGER tr;
     CREATE RULE r AS ON INSERT TO e_rule DO ALSO NOTHING`,
  );
  expect((await relationsOf(db.source)).map(({ firesOnReplica }) => firesOnReplica)).toEqual([false, false, true, true, true]);
});

test('a table under ACCESS EXCLUSIVE does not make the reader wait', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    'CREATE TABLE t (id int PRIMARY KEY, g int GENERATED ALWAYS AS (1) STORED); INSERT INTO t VALUES (1); ANALYZE t',
  );
  await using holder = await db.source.session();
  await holder.query('BEGIN; LOCK TABLE t');
  expect(await only(db.source, 't')).toMatchObject({ bytes: 8192, columns: [{ name: 'id' }, { name: 'g', generatedAs: null }] });
});

test('thousands of tables are read within seconds', async () => {
  await using db = await testDatabases();
  for (let from = 1; from <= 3000; from += 500) {
    await sql(
      db.source,
      `DO $$ BEGIN FOR i IN ${from}..${from + 499} LOOP
         EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, a text, b timestamptz, c numeric)', i); END LOOP; END $$`,
    );
  }
  const client = await connect({ role: 'source', url: db.source.url, purpose: 'test' });
  const started = performance.now();
  const relations = await readRelations(client);
  const took = performance.now() - started;
  await disconnect(client);
  expect(relations).toHaveLength(3000);
  expect(took).toBeLessThan(3000);
  console.log(`${relations.length} tables in ${Math.round(took)} ms`);
});
