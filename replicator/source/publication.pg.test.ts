import { expect, test } from 'vitest';
import type { RelationName } from '../catalog/relation.ts';
import { quoteRelation } from '../postgres/quote.ts';
import { sql, testDatabases, value } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { filtered, publicationSession, serverVersion, writesWork } from '../testing/publication-session.ts';
import { readPublicationRows } from './publication-rows.ts';
import { dropPublication } from './publication.ts';
import { readPublished } from './published.ts';

const full = 'ALTER TABLE ONLY "public"."t" REPLICA IDENTITY FULL';
const ROWS = 'INSERT INTO t (a, v) VALUES (1, 1), (2, 2)';

test('names of 63 bytes with quotes, dots and blanks', async () => {
  await using db = await testDatabases();
  const odd = { schema: `S."x" ${'é'.repeat(28)}`, name: `T'; DROP ${'ü'.repeat(27)}` };
  await sql(
    db.source,
    `CREATE SCHEMA ${quoteRelation(odd).split('."T')[0]}; CREATE TABLE ${quoteRelation(odd)} (a int, "v ""v" int)`,
  );
  await sql(db.source, `INSERT INTO ${quoteRelation(odd)} VALUES (1, 1), (2, 2)`);
  await using source = await publicationSession(db);
  const name = `${db.name} "p" ${'x'.repeat(40)}`.slice(0, 63);
  const outcome = await source.ensure({ name });
  expect(outcome).toMatchObject({ created: true, published: [odd], problems: [] });
  await writesWork(db, odd, '"v ""v"');
  expect(await dropPublication(source.client, name)).toBe(true);
  expect(await dropPublication(source.client, name)).toBe(false);
});

test('tables come and go, filters change, what was published keeps being published', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    'CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); CREATE UNLOGGED TABLE u (id int PRIMARY KEY)',
  );
  await using source = await publicationSession(db);
  const names = (relations: readonly RelationName[]) => relations.map(({ name }) => name);
  const first = await source.ensure({ createdByUs: false });
  expect([first.created, names(first.added)]).toEqual([true, ['a', 'b']]);
  expect(
    await value(db.source, 'SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate AND pubviaroot FROM pg_publication'),
  ).toBe('t');

  await sql(db.source, 'CREATE TABLE c (id int PRIMARY KEY); DROP TABLE b');
  const second = await source.ensure({ exclude: ({ name }) => name === 'a' });
  expect([second.created, names(second.added), names(second.removed)]).toEqual([false, ['c'], ['a']]);
  if ((await serverVersion(db)) < 150000) {
    expect((await source.ensure({ map: [filtered('c', 'id > 1')] })).problems).toMatchObject([
      { code: 'ROW_FILTER_UNSUPPORTED', table: 'public.c' },
    ]);
    return;
  }
  const third = await source.ensure({ map: [filtered('c', 'id > 1')] });
  expect([names(third.published), names(third.filtersChanged)]).toEqual([['c', 'a'], ['c']]);
  expect((await readPublished(source.client, [db.name])).tables).toMatchObject([
    { rowFilter: null },
    { relation: { name: 'c' }, rowFilter: '(id > 1)' },
  ]);
  // Said differently, and by a process that remembers nothing.
  const same = await source.ensure({ map: [filtered('c', '"id">  1')], filterMemo: new Map() });
  expect(names(same.filtersChanged)).toEqual([]);
  const fourth = await source.ensure();
  expect(names(fourth.filtersChanged)).toEqual(['c']);
});

test('altered after it was looked what is in it: left so until it is looked at again', async () => {
  await using db = await testDatabases();
  await sql(db.source, 'CREATE TABLE a (id int PRIMARY KEY)');
  await using source = await publicationSession(db);
  await source.ensure();
  const seen = await readPublicationRows(source.client, [db.name]);
  expect((await source.ensure({ seen })).optionsAltered).toBe('no');
  await sql(db.source, `ALTER PUBLICATION "${db.name}" SET (publish_via_partition_root = false)`);
  await expect(source.ensure({ seen })).rejects.toMatchObject({ code: 'SOURCE_UNREACHABLE', retry: 'transient' });
  expect(await value(db.source, 'SELECT pubviaroot FROM pg_publication')).toBe('f');
  expect((await source.ensure({ seen: await readPublicationRows(source.client, [db.name]) })).optionsAltered).toBe('yes');
  expect(await value(db.source, 'SELECT pubviaroot FROM pg_publication')).toBe('t');
});

test('under a root that announces every column the stream holds every column', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    'CREATE TABLE t (a int, v text) PARTITION BY RANGE (a); CREATE TABLE p PARTITION OF t DEFAULT; ALTER TABLE p ADD PRIMARY KEY (a)',
  );
  await using source = await publicationSession(db);
  await source.ensure();
  await sql(db.source, `SELECT pg_create_logical_replication_slot('${db.name}', 'pgoutput')`);
  await sql(db.source, `INSERT INTO t VALUES (1, 'before'); UPDATE t SET a = 2, v = 'after'; DELETE FROM t`);
  const changes = await sql(
    db.source,
    `SELECT encode(substr(data, 6), 'escape') AS row FROM pg_logical_slot_get_binary_changes('${db.name}', NULL, NULL, 'proto_version', '1', 'publication_names', '${db.name}')
     WHERE chr(get_byte(data, 0)) IN ('U', 'D')`,
  );
  // With the partition's primary key as it was, the old row would come as 'O' all the same, with NULL for v.
  expect(changes.map(({ row }) => row?.startsWith('O'))).toEqual([true, true]);
  expect(changes.map(({ row }) => [row?.includes('before'), row?.includes('after')])).toEqual([
    [true, true],
    [false, true],
  ]);
});

test('a lost key and a new partition are mended at the next call', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `CREATE TABLE t (a int PRIMARY KEY, v int); CREATE TABLE r (a int, v int) PARTITION BY RANGE (a); ${ROWS}`,
  );
  await using source = await publicationSession(db);
  await source.ensure();
  await sql(
    db.source,
    'ALTER TABLE t DROP CONSTRAINT t_pkey; CREATE TABLE p PARTITION OF r DEFAULT; INSERT INTO r VALUES (1, 1), (2, 2)',
  );
  const outcome = await source.ensure();
  expect(outcome.identityChanges.map(({ sql }) => sql)).toEqual([full.replace('"t"', '"p"'), full]);
  expect(outcome.published).toHaveLength(2);
  for (const name of ['t', 'r', 'p']) await writesWork(db, { schema: 'public', name }, 'v');
});

test('a published table whose writes came to fail is taken out', async () => {
  await using db = await testDatabases();
  if ((await serverVersion(db)) < 180000) return;
  await sql(db.source, `CREATE TABLE t (a int, v int); ${ROWS}`);
  await using source = await publicationSession(db);
  expect((await source.ensure()).published).toHaveLength(1);
  await sql(db.source, 'ALTER TABLE t ADD COLUMN g int GENERATED ALWAYS AS (a + 1) VIRTUAL');
  await expect(sql(db.source, 'UPDATE t SET v = v')).rejects.toThrow('cannot update table');
  expect(await source.ensure()).toMatchObject({ published: [], problems: [{ code: 'TABLE_NOT_PUBLISHABLE' }] });
  await writesWork(db, { schema: 'public', name: 't' }, 'v');
});

test('a table that is locked waits, and nobody waits long behind us', async () => {
  await using db = await testDatabases();
  await sql(db.source, `CREATE TABLE t (a int, v int); CREATE TABLE free (a int PRIMARY KEY); ${ROWS}`);
  await using holder = await db.source.session();
  await using source = await publicationSession(db);
  await holder.query('BEGIN; SELECT * FROM t');
  const ensuring = source.ensure({ lockTimeoutMs: 200 });
  await eventually(
    async () =>
      (await value(db.source, `SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'`)) === '1',
  );
  const started = performance.now();
  await sql(db.source, 'UPDATE t SET v = v');
  expect(performance.now() - started).toBeLessThan(1000);
  expect(await ensuring).toMatchObject({
    published: [{ name: 'free' }],
    identityChanges: [],
    problems: [{ code: 'TABLE_NOT_PUBLISHABLE', retry: 'transient', table: 'public.t' }],
  });
  await holder.query('COMMIT');
  expect((await source.ensure()).added).toMatchObject([{ name: 't' }]);
});

test('a publication of somebody else is not touched; one that holds only what is wanted is taken over', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `CREATE TABLE t (a int, v int); CREATE TABLE other (a int PRIMARY KEY); ${ROWS}; CREATE PUBLICATION ${db.name} FOR ALL TABLES`,
  );
  await using source = await publicationSession(db);
  await expect(source.ensure()).rejects.toMatchObject({
    code: 'SOURCE_UNSUITABLE',
    remedy: expect.stringContaining('managed: false'),
  });
  await sql(db.source, `DROP PUBLICATION ${db.name}; CREATE PUBLICATION ${db.name} FOR TABLE t, other WITH (publish = 'insert')`);
  await expect(source.ensure({ createdByUs: false, exclude: ({ name }) => name === 'other' })).rejects.toMatchObject({
    code: 'SOURCE_UNSUITABLE',
    message: expect.stringContaining('public.other'),
  });
  // t was published for INSERT alone, so that its UPDATEs worked without a key.
  expect(await source.ensure({ createdByUs: false })).toMatchObject({
    created: true,
    added: [{ name: 't' }],
    identityChanges: [{ sql: full }],
  });
  await writesWork(db, { schema: 'public', name: 't' }, 'v');
});

test('going over to partitions and back leaves no table out', async () => {
  await using db = await testDatabases();
  await sql(db.source, `CREATE TABLE t (a int, v int) PARTITION BY RANGE (a); CREATE TABLE p PARTITION OF t DEFAULT; ${ROWS}`);
  await using source = await publicationSession(db);
  const published = async () => (await readPublished(source.client, [db.name])).tables.map(({ relation }) => relation.name);
  await source.ensure();
  expect(await published()).toEqual(['t']);
  await source.ensure({ viaPartitionRoot: false });
  expect(await published()).toEqual(['p']);
  await source.ensure();
  expect(await published()).toEqual(['t']);
  await writesWork(db, { schema: 'public', name: 't' }, 'v');
});

test('a role that owns no table is told what its owner has to run; one that may not UPDATE is served', async () => {
  await using db = await testDatabases();
  const [role, owner] = [`${db.name}_role`, `${db.name}_owner`];
  await sql(
    db.source,
    `CREATE ROLE ${role} LOGIN PASSWORD 'secret'; CREATE ROLE ${owner}; CREATE TABLE t (a int, v int); CREATE TABLE mine (a int, v int); ${ROWS};
     ALTER TABLE mine OWNER TO ${role}; REVOKE ALL ON mine FROM ${role}; ALTER TABLE t OWNER TO ${owner}; CREATE SCHEMA s`,
  );
  const url = new URL(db.source.url);
  url.username = role;
  url.password = 'secret';
  try {
    await using source = await publicationSession(db, url.href);
    await expect(source.ensure()).rejects.toMatchObject({
      code: 'SOURCE_UNSUITABLE',
      remedy: expect.stringContaining('GRANT CREATE'),
    });
    await sql(db.source, `GRANT CREATE ON DATABASE ${db.source.name} TO ${role}`);
    const outcome = await source.ensure();
    expect(outcome).toMatchObject({
      published: [{ name: 'mine' }],
      problems: [{ code: 'TABLE_NOT_PUBLISHABLE', table: 'public.t' }],
    });
    expect(outcome.problems[0]?.remedy).toContain(`${full};\nALTER PUBLICATION "${db.name}" ADD TABLE ONLY "public"."t";`);
    await sql(db.source, 'INSERT INTO mine VALUES (1, 1), (2, 2)');
    await writesWork(db, { schema: 'public', name: 'mine' }, 'v');
    if ((await serverVersion(db)) < 150000) return;
    await sql(
      db.source,
      `CREATE TABLE keyed (a int PRIMARY KEY, v int); INSERT INTO keyed VALUES (1, 1), (2, 2); ALTER TABLE keyed OWNER TO ${role}; REVOKE ALL ON keyed FROM ${role}`,
    );
    expect((await source.ensure({ map: [filtered('keyed', 'v > 0')] })).problems).toMatchObject([
      { table: 'public.keyed', message: expect.stringContaining('row filter uses v') },
      { table: 'public.t' },
    ]);
    await writesWork(db, { schema: 'public', name: 'keyed' }, 'v');
    expect((await source.ensure({ map: [filtered('keyed', 'a > 0')] })).added).toMatchObject([{ name: 'keyed' }]);
    await writesWork(db, { schema: 'public', name: 'keyed' }, 'v');
  } finally {
    await sql(db.source, `DROP OWNED BY ${role}, ${owner} CASCADE; DROP ROLE ${role}, ${owner}`);
  }
});

test('publications that are used as they are', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `CREATE TABLE a (id int PRIMARY KEY, v int, w int); CREATE TABLE r (id int PRIMARY KEY) PARTITION BY RANGE (id);
     CREATE TABLE p PARTITION OF r DEFAULT;
     CREATE PUBLICATION one FOR TABLE r WITH (publish_via_partition_root); CREATE PUBLICATION two FOR TABLE a, p WITH (publish = 'insert, update')`,
  );
  await using source = await publicationSession(db);
  const published = await readPublished(source.client, ['one', 'two', 'no "one']);
  expect(published.tables.map(({ relation, rowFilter }) => [relation.name, rowFilter])).toEqual([
    ['a', null],
    ['r', null],
  ]);
  expect(published).toMatchObject({ viaPartitionRoot: true, unpublishedOperations: ['delete', 'truncate'] });
  expect(published.problems).toMatchObject([
    { code: 'PUBLICATION_MISSING', retry: 'transient', remedy: expect.stringContaining('CREATE PUBLICATION "no ""one"') },
  ]);
  if ((await serverVersion(db)) < 150000) {
    expect(published.tables[0]?.columns).toBeNull();
    return;
  }
  expect(published.tables[0]?.columns).toEqual(['id', 'v', 'w']);
  await sql(
    db.source,
    `ALTER PUBLICATION two SET TABLE a (id, v) WHERE (id > 1); CREATE PUBLICATION three FOR TABLE a (id, v) WHERE (id < 0);
     CREATE PUBLICATION four FOR TABLE a (id)`,
  );
  expect((await readPublished(source.client, ['two', 'three'])).tables).toMatchObject([
    { columns: ['id', 'v'], rowFilter: expect.stringContaining(' OR ') },
  ]);
  expect((await readPublished(source.client, ['two', 'four'])).problems).toMatchObject([
    { code: 'SOURCE_UNSUITABLE', table: 'public.a' },
  ]);
});

test('hundreds of tables are published within seconds', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `DO $$ BEGIN FOR i IN 1..300 LOOP EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, v text)', i); END LOOP; END $$`,
  );
  await sql(db.source, 'CREATE TABLE keyless (id int)');
  await using source = await publicationSession(db);
  const started = performance.now();
  const outcome = await source.ensure();
  expect(outcome.published).toHaveLength(301);
  expect(performance.now() - started).toBeLessThan(5000);
});
