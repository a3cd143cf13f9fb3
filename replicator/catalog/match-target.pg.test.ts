import { expect, test } from 'vitest';
import { connect, disconnect } from '../postgres/connect.ts';
import { TYPE_OID } from '../postgres/oid.ts';
import { buildMapping } from '../testing/build-relation.ts';
import { sql, testDatabases, type TestDatabase } from '../testing/databases.ts';
import { binaryIsSafe, streamsInBinary } from './binary.ts';
import { readCasts, readCastsOfBoth } from './casts.ts';
import { matchTarget, type TargetMatch } from './match-target.ts';
import { readRelations } from './read-relations.ts';

const VERSIONS = { sourceVersion: 180000, targetVersion: 180000 };
const MAPPING = buildMapping('t');
const INET = 869;

async function match(source: TestDatabase, target: TestDatabase): Promise<TargetMatch> {
  const read = async (database: TestDatabase, role: 'source' | 'target') => {
    const client = await connect({ role, url: database.url, purpose: 'test' });
    try {
      const [relation] = await readRelations(client, { names: [MAPPING.source] });
      return { relation, castExists: await readCasts(client) };
    } finally {
      await disconnect(client);
    }
  };
  const [x, y] = [await read(source, 'source'), await read(target, 'target')];
  if (!x.relation) throw new Error('no table t on the source');
  return matchTarget(x.relation, y.relation, MAPPING, { castExists: y.castExists, generatedColumnsSent: 'none' });
}

/** As they are in COPY and stream; made of each other in the stream; as text only; not at all. */
const PAIRS: [source: string, target: string, travels: 'as sent' | 'converted' | 'text' | 'not'][] = [
  ['int', 'int', 'as sent'],
  ['int', 'bigint', 'converted'],
  ['int', 'text', 'converted'],
  ['text', 'int', 'converted'],
  ['varchar(5)', 'varchar(10)', 'as sent'],
  ['varchar(5)', 'text', 'as sent'],
  ['int[]', 'bigint[]', 'converted'],
  ['text[]', 'varchar[]', 'converted'],
  ['int', 'uuid', 'not'],
  ['int[]', 'int', 'not'],
  ['boolean', 'timestamp', 'not'],
  ['json', 'jsonb', 'converted'],
  ['mood', 'mood', 'as sent'],
  ['mood', 'colour', 'not'],
  ['mood', 'text', 'as sent'],
  ['text', 'mood', 'converted'],
  ['whole', 'int', 'as sent'],
  ['mood[]', 'mood[]', 'as sent'],
  ['pair', 'pair', 'as sent'],
  ['pair', 'text', 'text'],
  ['other_pair', 'other_pair', 'text'],
  ['holds', 'holds', 'as sent'],
  ['holds_other[]', 'holds_other[]', 'text'],
  ['span', 'span', 'as sent'],
  ['span_multirange', 'span_multirange', 'as sent'],
  ['other_span', 'other_span', 'text'],
  ['citext', 'citext', 'as sent'],
  ['citext[]', 'citext[]', 'as sent'],
  ['isbn', 'isbn', 'converted'],
  ['isbn[]', 'isbn[]', 'text'],
  ['regclass', 'regclass', 'text'],
  ['regclass', 'text', 'text'],
];

test('types fit where the target has a cast, or a type of the same name; binary where they are made of the same', async () => {
  await using db = await testDatabases();
  const types = (field: string): string => `CREATE EXTENSION citext; CREATE EXTENSION isn;
    CREATE TYPE mood AS ENUM ('a'); CREATE TYPE colour AS ENUM ('a'); CREATE DOMAIN whole AS int; CREATE TYPE pair AS (a int, b int);
    CREATE DOMAIN checked AS pair CHECK ((VALUE).a > 0); CREATE TYPE other_pair AS (a int, b ${field});
    CREATE TYPE holds AS (p pair[], c checked, m mood); CREATE TYPE holds_other AS (p pair, o other_pair[]);
    CREATE TYPE span AS RANGE (subtype = pair); CREATE TYPE other_span AS RANGE (subtype = ${field})`;
  // So that the OIDs of the two databases differ.
  await sql(db.source, `CREATE TABLE other (a int); ${types('int')}`);
  await sql(db.target, types('bigint'));
  const results = [];
  for (const [source, target] of PAIRS) {
    await sql(db.source, `DROP TABLE IF EXISTS t; CREATE TABLE t (c ${source})`);
    await sql(db.target, `DROP TABLE IF EXISTS t; CREATE TABLE t (c ${target})`);
    const result = await match(db.source, db.target);
    const copied = result.ok && binaryIsSafe(result.columns, VERSIONS).safe;
    const streamed = result.ok && streamsInBinary(result.columns, VERSIONS);
    results.push([source, target, !result.ok ? 'not' : copied ? 'as sent' : streamed ? 'converted' : 'text']);
  }
  expect(results).toEqual(PAIRS);
});

test('fields of a composite that stand in another order, or are more or fewer, would be mixed up; the remedy puts them right', async () => {
  await using db = await testDatabases();
  const types = (
    pair: string,
  ): string => `CREATE TYPE pair AS (${pair}); CREATE TYPE holds AS (n int, ps pair[]); CREATE DOMAIN held AS holds;
    CREATE TABLE t (id int, c held[], d pair)`;
  await sql(db.source, types('a int, "B b" int, c text'));
  for (const [pair, fits] of [
    ['a int, "B b" int, c text', true],
    ['a int, other int, c text', true],
    ['a int, "B b" bigint, c text', true],
    ['"B b" int, a int, c text', false],
    ['a int, "B b" int', false],
    ['a int, "B b" int, c text, d int', false],
    ['a int, c text, "B b" int', false],
  ] as const) {
    await sql(
      db.target,
      `DROP TABLE IF EXISTS t; DROP TYPE IF EXISTS pair CASCADE; DROP TYPE IF EXISTS holds CASCADE; ${types(pair)}`,
    );
    const result = await match(db.source, db.target);
    expect([pair, result.ok]).toEqual([pair, fits]);
    if (result.ok) continue;
    expect(result.problem).toMatchObject({
      code: 'TARGET_COLUMN_TYPE',
      message: expect.stringContaining('a, B b, c) on the source'),
    });
    const statements = result.problem.remedy.replace(/^Run on the target:\n/, '').replace(/\nor [^]*$/, '');
    expect(statements.split('\n')).toHaveLength(1);
    await sql(db.target, statements);
    expect((await match(db.source, db.target)).ok).toBe(true);
  }
});

test('what the remedies say can be run, and mends it', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `CREATE TABLE t ("i d" bigint GENERATED BY DEFAULT AS IDENTITY, b bpchar, c varchar(3) NOT NULL, d numeric(10,2)[],
       g int GENERATED ALWAYS AS (length(c)) STORED, PRIMARY KEY ("i d", c))`,
  );
  const mend = async (code: string): Promise<void> => {
    const result = await match(db.source, db.target);
    if (result.ok) throw new Error(`expected ${code}`);
    expect(result.problem.code).toBe(code);
    const [statement] = /^(CREATE|ALTER) [^]*?;$/m.exec(result.problem.remedy) ?? [];
    await sql(db.target, statement ?? '');
  };
  await mend('TARGET_TABLE_MISSING');
  const created = await match(db.source, db.target);
  expect(created.ok && created.columns.map(({ target }) => target.typeText)).toEqual([
    'bigint',
    'bpchar',
    'character varying(3)',
    'numeric(10,2)[]',
  ]);

  await sql(db.target, 'ALTER TABLE t DROP COLUMN g, DROP COLUMN d, ADD COLUMN x int NOT NULL');
  await mend('TARGET_COLUMN_MISSING');
  await mend('TARGET_UNSUITABLE');
  expect((await match(db.source, db.target)).ok).toBe(true);
  await sql(db.target, 'ALTER TABLE t ALTER COLUMN g DROP EXPRESSION');
  await mend('TARGET_COLUMN_TYPE');
  expect((await match(db.source, db.target)).ok).toBe(true);
});

test('a cast that only one side has is none: the source casts what is copied, the target what is streamed', async () => {
  await using db = await testDatabases();
  const made = 'CREATE CAST (integer AS inet) WITH INOUT';
  const exists = async (): Promise<boolean> => {
    const clients = await Promise.all(
      (['source', 'target'] as const).map((role) => connect({ role, url: db[role].url, purpose: 'test' })),
    );
    const [source, target] = clients;
    try {
      if (!source || !target) throw new Error('two sessions were opened');
      return (await readCastsOfBoth(source, target))(TYPE_OID.int4, INET);
    } finally {
      await Promise.all(clients.map((client) => disconnect(client)));
    }
  };
  expect(await exists()).toBe(false);
  await sql(db.target, made);
  expect(await exists()).toBe(false);
  await sql(db.source, made);
  expect(await exists()).toBe(true);
  await sql(db.target, 'DROP CAST (integer AS inet)');
  expect(await exists()).toBe(false);
});
