import { expect, test } from 'vitest';
import { displayName } from '../catalog/relation.ts';
import { sql, testDatabases } from '../testing/databases.ts';
import { filtered, publicationSession, serverVersion, writesWork } from '../testing/publication-session.ts';
import { readPublished } from './published.ts';

interface Case {
  readonly name: string;
  /** Makes table t with a column v and two rows. */
  readonly ddl: string;
  readonly from?: number;
  readonly changes: string[];
  /** Code of the problem when the table must stay out. */
  readonly out?: { code: string; remedy: RegExp };
  readonly where?: string;
}

const ROWS = 'INSERT INTO t (a, v) VALUES (1, 1), (2, 2)';
const full = 'ALTER TABLE ONLY "public"."t" REPLICA IDENTITY FULL';

const CASES: Case[] = [
  { name: 'with a primary key', ddl: 'CREATE TABLE t (a int PRIMARY KEY, v int)', changes: [] },
  { name: 'without a key', ddl: 'CREATE TABLE t (a int, v int)', changes: [full] },
  { name: 'with a deferrable key', ddl: 'CREATE TABLE t (a int PRIMARY KEY DEFERRABLE, v int)', changes: [full] },
  {
    name: 'without a key, with a stored generated column',
    ddl: 'CREATE TABLE t (a int, v int, g int GENERATED ALWAYS AS (a * 2) STORED)',
    changes: [full],
  },
  {
    name: 'without a key, with a virtual generated column',
    ddl: 'CREATE TABLE t (a int, v int, g int GENERATED ALWAYS AS (a * 2) VIRTUAL)',
    from: 180000,
    changes: [],
    out: { code: 'TABLE_NOT_PUBLISHABLE', remedy: /ADD PRIMARY KEY/ },
  },
  {
    name: 'with a unique index and a virtual generated column',
    ddl: 'CREATE TABLE t (a int NOT NULL, v int, g int GENERATED ALWAYS AS (a * 2) VIRTUAL); CREATE UNIQUE INDEX u ON t (a)',
    from: 180000,
    changes: ['ALTER TABLE ONLY "public"."t" REPLICA IDENTITY USING INDEX "u"'],
  },
  {
    name: 'with REPLICA IDENTITY FULL',
    ddl: 'CREATE TABLE t (a int PRIMARY KEY, v int); ALTER TABLE t REPLICA IDENTITY FULL',
    changes: [],
  },
  {
    name: 'with a unique index',
    ddl: 'CREATE TABLE t (a int NOT NULL, v int); CREATE UNIQUE INDEX "u ""x" ON t (a)',
    changes: ['ALTER TABLE ONLY "public"."t" REPLICA IDENTITY USING INDEX "u ""x"'],
  },
  {
    name: 'with an index that was its identity and is gone',
    ddl: 'CREATE TABLE t (a int NOT NULL, v int); CREATE UNIQUE INDEX u ON t (a); ALTER TABLE t REPLICA IDENTITY USING INDEX u; DROP INDEX u',
    changes: [full],
  },
  {
    name: 'without a key, REPLICA IDENTITY NOTHING',
    ddl: 'CREATE TABLE t (a int, v int); ALTER TABLE t REPLICA IDENTITY NOTHING',
    changes: [full],
  },
  {
    name: 'with a key, REPLICA IDENTITY NOTHING',
    ddl: 'CREATE TABLE t (a int PRIMARY KEY, v int); ALTER TABLE t REPLICA IDENTITY NOTHING',
    changes: ['ALTER TABLE ONLY "public"."t" REPLICA IDENTITY DEFAULT'],
  },
  {
    name: 'with a row filter on its key',
    ddl: 'CREATE TABLE t (a int PRIMARY KEY, v int)',
    from: 150000,
    changes: [],
    where: 'a > 0 -- all',
  },
  {
    name: 'with a row filter on another column',
    ddl: 'CREATE TABLE t (a int PRIMARY KEY, v int)',
    from: 150000,
    changes: [],
    where: 'v > 0',
    out: { code: 'TABLE_NOT_PUBLISHABLE', remedy: /^ALTER TABLE "public"."t" REPLICA IDENTITY FULL;$/ },
  },
  {
    name: 'with a row filter on any column under FULL',
    ddl: 'CREATE TABLE t (a int PRIMARY KEY, v int); ALTER TABLE t REPLICA IDENTITY FULL',
    from: 150000,
    changes: [],
    where: 'v > 0',
  },
  {
    name: 'with a row filter that is no condition',
    ddl: 'CREATE TABLE t (a int PRIMARY KEY, v int)',
    from: 150000,
    changes: [],
    where: 'a > 0); DROP TABLE t; SELECT (1',
    out: { code: 'TABLE_NOT_PUBLISHABLE', remedy: /`where`/ },
  },
  {
    name: 'that inherits, and one that inherits from it',
    ddl: 'CREATE TABLE base (a int, v int); CREATE TABLE t (PRIMARY KEY (a)) INHERITS (base); CREATE TABLE kid () INHERITS (t)',
    changes: ['ALTER TABLE ONLY "public"."base" REPLICA IDENTITY FULL', 'ALTER TABLE ONLY "public"."kid" REPLICA IDENTITY FULL'],
  },
  {
    name: 'partitioned, with a key',
    ddl: 'CREATE TABLE t (a int PRIMARY KEY, v int) PARTITION BY RANGE (a); CREATE TABLE p1 PARTITION OF t FOR VALUES FROM (0) TO (2); CREATE TABLE p2 PARTITION OF t DEFAULT',
    changes: [],
  },
  {
    name: 'partitioned in two levels, without a key',
    ddl: `CREATE TABLE t (a int, v int) PARTITION BY RANGE (a); CREATE TABLE p1 PARTITION OF t FOR VALUES FROM (0) TO (2);
      CREATE TABLE p2 PARTITION OF t DEFAULT PARTITION BY RANGE (a); CREATE TABLE p21 PARTITION OF p2 DEFAULT`,
    changes: [full, full.replace('"t"', '"p1"'), full.replace('"t"', '"p21"')],
  },
  {
    name: 'partitioned without a key, where a partition has one',
    ddl: `CREATE TABLE t (a int, v int) PARTITION BY RANGE (a); CREATE TABLE p1 PARTITION OF t DEFAULT; ALTER TABLE p1 ADD PRIMARY KEY (a)`,
    changes: [full, full.replace('"t"', '"p1"')],
  },
  {
    name: 'partitioned with a unique index, where a partition has NOTHING',
    ddl: `CREATE TABLE t (a int NOT NULL, v int) PARTITION BY RANGE (a); CREATE UNIQUE INDEX u ON t (a);
      CREATE TABLE p1 PARTITION OF t DEFAULT; ALTER TABLE p1 REPLICA IDENTITY NOTHING`,
    changes: [
      'ALTER TABLE ONLY "public"."t" REPLICA IDENTITY USING INDEX "u"',
      'ALTER TABLE ONLY "public"."p1" REPLICA IDENTITY USING INDEX "p1_a_idx"',
    ],
  },
];

test.each(CASES)('UPDATE and DELETE work on a table $name', async ({ ddl, from = 0, changes, out, where }) => {
  await using db = await testDatabases();
  if ((await serverVersion(db)) < from) return;
  await sql(db.source, `${ddl}; ${ROWS}`);
  await using source = await publicationSession(db);
  const overrides = where === undefined ? {} : { map: [filtered('t', where)] };
  const outcome = await source.ensure(overrides);
  expect(outcome.identityChanges.map((change) => change.sql)).toEqual(changes);
  expect(outcome.problems.map(({ code, table }) => `${code} ${table}`)).toEqual(out ? [`${out.code} public.t`] : []);
  if (out) expect(outcome.problems[0]?.remedy).toMatch(out.remedy);
  expect(outcome.published.some(({ name }) => name === 't')).toBe(!out);
  await writesWork(db, { schema: 'public', name: 't' }, 'v');

  const again = await source.ensure(overrides);
  expect(again).toMatchObject({ added: [], removed: [], filtersChanged: [], identityChanges: [] });
  expect(again.published).toHaveLength(outcome.published.length);
  if (!out)
    expect((await readPublished(source.client, [db.name])).tables.map(({ relation }) => displayName(relation))).toEqual(
      outcome.published.map(displayName).sort(),
    );
});

test('a foreign table among the partitions, which takes no UPDATE at any time, is in the way of none', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `CREATE TABLE t (a int, v int) PARTITION BY LIST (a); CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1, 2); ${ROWS};
     CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
     CREATE FOREIGN TABLE far PARTITION OF t FOR VALUES IN (9) SERVER files OPTIONS (program 'echo 9,9', format 'csv')`,
  );
  await expect(sql(db.source, 'UPDATE t SET v = 0')).rejects.toThrow('cannot update foreign table');
  await using source = await publicationSession(db);
  expect(await source.ensure()).toMatchObject({ problems: [], published: [{ name: 't' }] });
  await writesWork(db, { schema: 'public', name: 't1' }, 'v');
  expect(await source.ensure()).toMatchObject({ added: [], removed: [], identityChanges: [], problems: [] });
  // What would be in the way of the others' writes is.
  await sql(db.source, 'ALTER TABLE t1 REPLICA IDENTITY NOTHING; ALTER TABLE t REPLICA IDENTITY DEFAULT');
  expect(await source.ensure()).toMatchObject({ problems: [], identityChanges: [{}, {}] });
  await writesWork(db, { schema: 'public', name: 't1' }, 'v');
});
