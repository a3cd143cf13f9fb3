import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readRelations } from '../catalog/read-relations.ts';
import type { StreamRelation } from '../pgoutput/messages.ts';
import { connect, disconnect } from '../postgres/connect.ts';
import { buildMapping } from '../testing/build-relation.ts';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases } from '../testing/databases.ts';
import { startPipeline } from '../testing/run-pipeline.ts';
import { mapRows } from './row-map.ts';
import { stagedImageDeleteSql } from './set-statements.ts';

/** SQL of a long value, out of line if `n` is large, that differs from others of its length by its end alone. */
const long = (n: number, end: string): string => `repeat('0123456789abcdef', ${n}) || '${end}'`;

/** Columns with values that are long, equal and not the same, of the same length, or without a length or an equality. */
const COLUMNS: Record<string, readonly string[]> = {
  int: ['1', '2'],
  numeric: ['1.0', '1.00'],
  text: [`'short'`, long(30, 'a'), long(30, 'b'), long(4000, 'a'), long(4000, 'b'), long(4000, 'longer')],
  'text COLLATE loose': [`'word'`, `'WORD'`, long(30, 'word'), long(30, 'WORD'), `'ae'`],
  bytea: [`convert_to(${long(30, 'a')}, 'UTF8')`, `convert_to(${long(30, 'b')}, 'UTF8')`, `'\\x'`],
  jsonb: ['1.0', '1.00'].map((n) => `jsonb_build_object('n', ${n}, 'text', ${long(30, '')})`),
  json: [`json_build_array(${long(30, 'a')})`, `json_build_array(${long(30, 'b')})`, `'{"a":1}'`, `'{"a": 1}'`],
  point: [`'(0,0)'`, `'(-0,0)'`, `'(1,1)'`],
  float8: [`'0'`, `'-0'`, `'NaN'`],
  money: [`'1'`, `'2'`],
};
const TYPES = Object.keys(COLUMNS);

const shape = fc.uniqueArray(fc.constantFrom(...TYPES), { minLength: 1, maxLength: 5 });
const table = shape.chain((types) =>
  fc.record({
    types: fc.constant(types),
    nulls: fc.boolean(),
    rows: fc.array(fc.record({ values: fc.tuple(...types.map(() => fc.nat(20))), times: fc.integer({ min: 1, max: 8 }) }), {
      minLength: 4,
      maxLength: 16,
    }),
    seed: fc.integer({ min: 2, max: 5 }),
  }),
);

test.each(['auto', 'never'] as const)(
  'what is removed of rows with long values, as often as it was (apply.binary: %s)',
  async (binary) => {
    await using db = await testDatabases();
    const collation = `CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`;
    for (const side of [db.source, db.target]) await sql(side, collation);
    const tables = fc.sample(table, { seed: 5884, numRuns: 40 });
    for (const [n, { types, nulls, rows }] of tables.entries()) {
      const ddl = `CREATE TABLE t${n} (${types.map((type, i) => `c${i} ${type}`).join(', ')})`;
      for (const side of [db.source, db.target]) await sql(side, ddl);
      const inserts = rows.map(({ values, times }) => {
        const row = values.map((at, i) => {
          const pool = [...(COLUMNS[types[i] ?? ''] ?? []), ...(nulls ? ['NULL'] : [])];
          return pool[at % pool.length] ?? 'NULL';
        });
        return `INSERT INTO t${n} SELECT ${row.join(', ')} FROM generate_series(1, ${times})`;
      });
      await sql(db.source, inserts.join('; '));
    }
    await using running = startPipeline(db, { apply: { binary } });
    await running.caughtUp();
    const folded: string[] = [];
    running.pipeline.model.onBatch(({ way }) => way && folded.push(way));
    // Some rows, or one each of those that look the same.
    const some = (n: number, every: number): string =>
      `ctid IN (SELECT ctid FROM (SELECT ctid, row_number() OVER (ORDER BY ctid) AS nth FROM t${n}) AS each WHERE nth % ${every} = 0)`;
    const changes = [
      (n: number, { seed }: { seed: number }) => `DELETE FROM t${n} WHERE ${some(n, seed)}`,
      (n: number) => `UPDATE t${n} SET c0 = NULL WHERE ${some(n, 3)}`,
      (n: number) =>
        `DELETE FROM t${n} WHERE ctid IN (SELECT ctid FROM (SELECT ctid, row_number() OVER (PARTITION BY t::text ORDER BY ctid) AS nth FROM t${n} AS t) AS each WHERE nth = 1)`,
    ];
    for (const change of changes) {
      await sql(db.source, tables.map((each, n) => change(n, each)).join('; '));
      await running.caughtUp();
      for (const n of tables.keys()) await compareTables(db.source, db.target, `public.t${n}`);
    }
    expect(folded).toContain('folded');
    expect(folded).not.toContain('replayed');
    for (const { source, conflicts } of running.pipeline.model.tables())
      expect({ source, ...conflicts }).toEqual({ source, insertExists: 0, updateMissing: 0, deleteMissing: 0 });
  },
);

test('of a table without an index the images are hashed, not its rows', async () => {
  await using db = await testDatabases();
  const columns = 'a int, at timestamptz, body text, doc jsonb, raw json';
  const rows = `SELECT i % 7, now() + i * interval '1 s', repeat(md5(i::text), 50), '{}', '{}' FROM generate_series(1, 5000) i`;
  await sql(
    db.target,
    `CREATE TABLE t (${columns}); INSERT INTO t ${rows}; CREATE TABLE parts (${columns}) PARTITION BY HASH (a)`,
  );
  await sql(
    db.target,
    `CREATE TABLE part PARTITION OF parts FOR VALUES WITH (MODULUS 1, REMAINDER 0); INSERT INTO parts ${rows}`,
  );
  const settings = { plan_cache_mode: 'force_generic_plan', enable_mergejoin: 'off' };
  const client = await connect({ role: 'target', url: db.target.url, purpose: 'test', settings });
  try {
    // Whether the planner knows what the table holds, or not.
    for (const analyze of [false, true]) {
      if (analyze) await client.query('ANALYZE');
      for (const name of ['t', 'parts']) {
        const [target] = await readRelations(client, { names: [{ schema: 'public', name }] });
        if (!target) throw new Error('there is no table');
        const described = target.columns.map(({ name: column, type }) => ({
          name: column,
          typeOid: type.oid,
          typmod: -1,
          identity: true,
        }));
        const relation: StreamRelation = { oid: 1, schema: 'public', name, replicaIdentity: 'full', columns: described };
        const map = mapRows(relation, buildMapping(name), target, { binary: true });
        for (const [sieve, images] of [
          [['value', 'value', null, null, null], 4000],
          [['value', null, 'length', null, null], 20],
        ] as const) {
          const matches = {
            columns: ['equal', sieve[1] ? 'equal' : 'same', sieve[2] ? 'equal' : 'same', 'same', 'same'] as const,
            sieve,
          };
          const text = stagedImageDeleteSql({ map, binary: true, inRows: new Set() }, images, matches);
          const types = 'int[], timestamptz[], text[], jsonb[], json[], int[]';
          await client.query(`DEALLOCATE ALL; PREPARE p (${types}) AS ${text}`);
          const { rows: lines } = await client.query<{ 'QUERY PLAN': string }>(
            'EXPLAIN (COSTS OFF) EXECUTE p (NULL, NULL, NULL, NULL, NULL, NULL)',
          );
          const plan = lines.map((line) => line['QUERY PLAN']).join('\n');
          expect(plan).toMatch(/Hash (Semi )?Join\n.*\n +-> +Seq Scan on (t|part)/);
          expect(plan).not.toMatch(/-> +Hash\n +-> +Seq Scan/);
          // No join of each with each.
          expect(plan).not.toMatch(/Nested Loop\n( +Join Filter.*\n)? +-> +(Subquery Scan|Function Scan)/);
          // What is computed of long values is not hashed.
          expect(plan).not.toMatch(/Hash Cond:.*ROW/);
        }
      }
    }
  } finally {
    await disconnect(client);
  }
});
