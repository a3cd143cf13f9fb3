import { expect, test } from 'vitest';
import type { Client } from 'pg';
import { readRelations } from '../catalog/read-relations.ts';
import type { Relation } from '../catalog/relation.ts';
import type { StreamRelation } from '../pgoutput/messages.ts';
import { connect, disconnect } from '../postgres/connect.ts';
import type { Oid } from '../postgres/oid.ts';
import { buildMapping } from '../testing/build-relation.ts';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value } from '../testing/databases.ts';
import { startPipeline } from '../testing/run-pipeline.ts';
import { ArrayTypes } from './array-types.ts';
import type { ImagesMatch } from './images-match.ts';
import { mapRows, type RowMap } from './row-map.ts';
import { stagedImageDeleteSql } from './set-statements.ts';
import { deleteStatement, updateStatement } from './statements.ts';

function mapOf(target: Relation): RowMap {
  const columns = target.columns.map(({ name, type }) => ({ name, typeOid: type.oid, typmod: -1, identity: true }));
  const relation: StreamRelation = { oid: 1, schema: 'public', name: target.name, replicaIdentity: 'full', columns };
  return mapRows(relation, buildMapping(target.name), target, { binary: true });
}

/** The plan of a statement whose parameters are not known, as target sessions make it. */
async function planOf(client: Client, text: string, parameters: readonly Oid[]): Promise<string> {
  const { rows: types } = await client.query<{ name: string }>(
    'SELECT pg_catalog.format_type(oid, -1) AS name FROM pg_catalog.unnest($1::oid[]) WITH ORDINALITY AS o(oid, n) ORDER BY n',
    [parameters],
  );
  await client.query(`DEALLOCATE ALL; PREPARE p (${types.map(({ name }) => name).join(', ')}) AS ${text}`);
  const nulls = parameters.map(() => 'NULL').join(', ');
  const { rows } = await client.query<{ 'QUERY PLAN': string }>(`EXPLAIN (COSTS OFF) EXECUTE p (${nulls})`);
  return rows.map((row) => row['QUERY PLAN']).join('\n');
}

const INDEXED = `CREATE EXTENSION citext; CREATE TYPE mood AS ENUM ('so', 'la'); CREATE DOMAIN whole AS int; CREATE DOMAIN feeling AS mood;
  CREATE TABLE t (id int, n whole, price numeric, name citext, word text, c char(30), m feeling, tags text[], doc json);
  INSERT INTO t SELECT i, i, i / 3.0, 'n' || i, md5(i::text), i, 'so', ARRAY['t' || i], '{}' FROM generate_series(1, 5000) i; ANALYZE t`;

test.each(['id', 'n', 'price', 'name', 'word', 'c', 'tags'])('an index of the target on %s finds the rows', async (name) => {
  await using db = await testDatabases();
  await sql(db.target, `${INDEXED}; CREATE INDEX t_index ON t (${name})`);
  const settings = { plan_cache_mode: 'force_generic_plan', enable_mergejoin: 'off' };
  const client = await connect({ role: 'target', url: db.target.url, purpose: 'test', settings });
  try {
    const [target] = await readRelations(client, { names: [{ schema: 'public', name: 't' }] });
    if (!target) throw new Error('there is no table');
    const map = mapOf(target);
    const others = new Set(map.columns.filter((column) => !['id', name].includes(column.target.name)));
    const all = { changed: map.columns, carried: map.columns };
    const statements = [
      deleteStatement(map, new Set()),
      deleteStatement(map, others),
      deleteStatement(map, 'any'),
      updateStatement(map, all, 'skip', others),
    ].map(({ sql: text, types }) => ({ text, types }));
    const arrays = new ArrayTypes();
    await arrays.learn(
      client,
      all.changed.map((column) => column.parameterType),
    );
    await arrays.learnRows(client, target.oid);
    const inArrays = map.columns.map((column) => arrays.of(column.parameterType)).filter((type) => type !== 0);
    const inRows = new Set(map.columns.filter((column) => arrays.of(column.parameterType) === 0));
    const matches: ImagesMatch = {
      columns: map.columns.map((column) => (column.target.type.hasEquality ? 'equal' : 'same')),
      sieve: map.columns.map((column) => (column.target.type.hasEquality ? 'value' : null)),
    };
    const staged = stagedImageDeleteSql({ map, binary: true, inRows }, 10, matches);
    statements.push({ text: staged, types: [...inArrays, arrays.rowsOf(target.oid)?.array ?? 0, 1007] });
    for (const { text, types } of statements) {
      const plan = await planOf(client, text, types);
      expect(plan).toMatch(/Index Scan (using|on) t_index/);
      expect(plan).not.toContain('Seq Scan');
    }
  } finally {
    await disconnect(client);
  }
});

// Values that are equal, and not the same.
const PAIRS = {
  numeric: ['1.0', '1.00'],
  float8: ['0', '-0'],
  citext: ['Word', 'woRD'],
  'text COLLATE loose': ['cafe', 'CAFÉ'],
  loose_text: ['ae', 'Ae'],
  interval: ['24:00', '1 day'],
  jsonb: ['{"a": 1.0}', '{"a": 1.00}'],
  json: ['{"a": 1}', '{"a":  1}'],
  'numeric[]': ['{1.0,NULL}', '{1.00,NULL}'],
  'citext[]': ['{a}', '{A}'],
  numrange: ['[1.0,2)', '[1.00,2)'],
  box: ['(1,1),(0,0)', '(2,2),(1,1)'],
  positive: ['2.0', '2.00'],
};

test.each(['auto', 'never'] as const)(
  'rows that are equal and not the same are told apart (apply.binary: %s)',
  async (binary) => {
    await using db = await testDatabases();
    const pairs = Object.values(PAIRS);
    const names = pairs.map((_, i) => `c${i}`).join(', ');
    const ddl = `CREATE EXTENSION citext; CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
    CREATE DOMAIN loose_text AS text COLLATE loose; CREATE DOMAIN positive AS numeric CHECK (VALUE > 0);
    CREATE TABLE t (n int, ${Object.keys(PAIRS)
      .map((type, i) => `c${i} ${type}`)
      .join(', ')})`;
    for (const side of [db.source, db.target]) await sql(side, ddl);
    // Each value four times among NULLs, and four times among the first values of the others.
    const rows = pairs.flatMap((pair, at) =>
      pair.flatMap((text) => {
        const among = (others: (pair: readonly string[]) => string): string =>
          pairs.map((other, i) => (i === at ? `'${text}'` : others(other))).join(', ');
        return [among(() => 'NULL'), among(([first]) => `'${first}'`)];
      }),
    );
    await sql(
      db.source,
      rows.map((values) => `INSERT INTO t (n, ${names}) SELECT 1, ${values} FROM generate_series(1, 4)`).join('; '),
    );
    await using running = startPipeline(db, { apply: { binary } });
    await running.caughtUp();
    const ways = new Set<string>();
    running.pipeline.model.onBatch(({ way }) => way && ways.add(way));
    const change = async (text: string, way: string): Promise<void> => {
      await running.pipeline.controls.pause('test');
      ways.clear();
      await sql(db.source, text);
      await running.pipeline.controls.resume('test');
      await running.caughtUp();
      expect([...ways]).toEqual([way]);
      await compareTables(db.source, db.target, 'public.t');
    };
    // One row of each image.
    const firsts = (some: string): string =>
      `ctid IN (SELECT ctid FROM (SELECT ctid, row_number() OVER (PARTITION BY t::text ORDER BY ctid) AS nth FROM t) AS each WHERE nth = 1 ${some})`;
    for (let at = 0; at < 5; at++)
      await change(`DELETE FROM t WHERE ${firsts(`ORDER BY ctid OFFSET ${at * 7} LIMIT 1`)}`, 'in order');
    await change(`DELETE FROM t WHERE ${firsts('ORDER BY ctid LIMIT 12')}`, 'folded');
    await change(`DELETE FROM t WHERE ${firsts('')}`, 'folded');
    await change(`UPDATE t SET n = n + 1 WHERE ${firsts('')}`, 'folded');
    await change(`UPDATE t SET n = n + 1, c0 = c0 + 0.0000 WHERE ${firsts('ORDER BY ctid DESC LIMIT 9')}`, 'folded');
    expect(Number(await value(db.target, 'SELECT count(*) FROM t'))).toBeGreaterThan(40);
    for (const table of running.pipeline.model.tables())
      expect(table.conflicts).toEqual({ insertExists: 0, updateMissing: 0, deleteMissing: 0 });
  },
);

test('what only the target has of a row stays through an UPDATE, of one row or of many', async () => {
  await using db = await testDatabases();
  await sql(db.source, 'CREATE TABLE t (id int, v text)');
  await sql(db.target, `CREATE TABLE t (id int, v text, note text DEFAULT 'here')`);
  await using running = startPipeline(db);
  await sql(db.source, `INSERT INTO t SELECT i, 'v' FROM generate_series(1, 100) i`);
  await running.caughtUp();
  await sql(db.target, `UPDATE t SET note = 'of ' || id`);
  await sql(db.source, `UPDATE t SET v = 'w' WHERE id < 5; UPDATE t SET v = 'x' WHERE id = 7`);
  await sql(db.source, `UPDATE t SET v = v || v`);
  await running.caughtUp();
  expect(await value(db.target, `SELECT count(*) FROM t WHERE note = 'of ' || id AND length(v) = 2`)).toBe('100');
});
