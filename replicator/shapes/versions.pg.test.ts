import { describe, expect, test } from 'vitest';
import { ownServers, sql, value } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline } from '../testing/run-pipeline.ts';
import { schemaOf, stageShapes } from '../testing/shapes.ts';
import { typeShapes } from '../testing/type-shapes.ts';
import { BUILT_IN, CONTRIB, EXTENSIONS, NOT_KEYS, OWN, OWN_TYPES, type Values } from '../testing/type-values.ts';

// Known to one of them only, or read otherwise there: a scale below 0 since 15, "char" with its highest bit since 16.
const { 'numeric(5,-2)': _scale, '"char"': _char, ...SHARED } = BUILT_IN;
const { interval, 'interval day to second(2)': seconds, ...WITHOUT_INTERVALS } = SHARED;

// Since 17 an interval can be infinite. Older servers would take its binary form for 178 million years, so it comes as text.
describe.each([
  { source: 14, target: 18, what: 'built-in types', values: SHARED, format: 'binary' },
  { source: 18, target: 14, what: 'built-in types', values: WITHOUT_INTERVALS, format: 'binary' },
  { source: 18, target: 14, what: 'intervals', values: { interval, 'interval day to second(2)': seconds }, format: 'text' },
  { source: 14, target: 18, what: 'all others', values: { ...OWN, ...CONTRIB }, format: 'binary' },
  { source: 18, target: 14, what: 'all others', values: { ...OWN, ...CONTRIB }, format: 'binary' },
] as const)('$what, from $source to $target', ({ source, target, values, format }) => {
  const all = typeShapes(values as Values, { ddl: 'mood' in values ? OWN_TYPES.join('; ') : '', notKeys: NOT_KEYS });
  const databases = () => ownServers({ source: { version: source }, target: { version: target } });
  const stage = stageShapes(all, { format, databases, before: EXTENSIONS, gathered: true });
  test.each(all)('$name', (shape) => stage.expectSame(shape));
});

// Since 16 it is written in octal, which older servers would take for a backslash.
describe.each([{ gathered: false }, { gathered: true }])(
  '"char" above 127 as text from 18 to 14, gathered: $gathered',
  (staging) => {
    const databases = () => ownServers({ source: { version: 18 }, target: { version: 14 } });
    const ddl = `CREATE DOMAIN letter AS "char"; CREATE TABLE t (c "char" PRIMARY KEY, d letter, n int); CREATE TABLE keyless (c "char", n int)`;
    const rows = (from: number, to: number): string =>
      `INSERT INTO t SELECT i::"char", i::"char", i FROM generate_series(${from}, ${to}) i; INSERT INTO keyless SELECT c, n FROM t`;
    const all = [
      {
        name: 'in a table and as its key',
        ddl,
        rows: rows(0, 5),
        changes: [
          rows(-128, -1),
          `${rows(6, 127)}; INSERT INTO keyless VALUES (NULL, 1), ('', 2), ($v$\\$v$, 3)`,
          'UPDATE t SET d = NULL, n = n + 1000 WHERE n % 2 = 0; UPDATE keyless SET n = 7 WHERE n < -100',
          'DELETE FROM t WHERE n % 5 = 0; DELETE FROM keyless WHERE ctid IN (SELECT min(ctid) FROM keyless GROUP BY c)',
        ],
        // Their text differs.
        tables: [],
        sameAnswer: `SELECT string_agg(concat_ws(',', c::int, d::"char"::int, n), ' ' ORDER BY n, c::int),
          (SELECT string_agg(concat_ws(',', c::int, n), ' ' ORDER BY n, c::int) FROM keyless) AS keyless FROM t`,
      },
    ];
    const stage = stageShapes(all, { ...staging, databases, format: 'text', settings: { apply: { binary: 'never' } } });
    test.each(all)('$name', (shape) => stage.expectSame(shape));
  },
);

// There is no text that a server before 16 would take for such a value: it is put together there.
describe.each([{ gathered: false }, { gathered: true }])(
  '"char" above 127 inside of other values as text from 18 to 14, gathered: $gathered',
  (staging) => {
    const databases = () => ownServers({ source: { version: 18 }, target: { version: 14 } });
    const ddl = `CREATE DOMAIN letter AS "char"; CREATE DOMAIN letters AS "char"[]; CREATE TYPE pair AS (a text, c letter);
      CREATE DOMAIN a_pair AS pair; CREATE TYPE nest AS (p a_pair, ps pair[], cs "char"[]); CREATE TYPE span AS RANGE (subtype = "char", multirange_type_name = spans);
      CREATE TABLE t (id int PRIMARY KEY, cs "char"[], ds letters, p pair, ps pair[], n nest, r span, rs spans, i int[]);
      CREATE TABLE keyless (id int, cs "char"[], n nest, r span); CREATE TABLE own (cs "char"[] PRIMARY KEY, n int)`;
    const odd = String.raw`E'"\\377" \\\\\x01\x02,(NULL)''{}é'`;
    const pair = (n: string): string => `ROW(CASE WHEN i % 3 > 0 THEN ${odd} || i END, (${n})::"char")::pair`;
    const pairs = `ARRAY[${pair('i')}, NULL, ${pair('-i - 1')}]`;
    const row = String.raw`i, ARRAY[ARRAY[i::"char", NULL], ARRAY['\', (-i - 1)::"char"]], ARRAY[i::"char"], ${pair('i')}, ${pairs},
      ROW(${pair('-i - 1')}, ${pairs}, ARRAY[i::"char", ','])::nest, span(i::"char", i::"char", '[]'),
      multirange(span(i::"char", NULL)), ARRAY[i]`;
    const insert = (from: number, to: number): string => `INSERT INTO t SELECT ${row} FROM generate_series(${from}, ${to}) i;
      INSERT INTO keyless SELECT id, cs, n, r FROM t WHERE id BETWEEN ${from} AND ${to};
      INSERT INTO own SELECT cs, id FROM t WHERE id BETWEEN ${from} AND ${to}`;
    const codes = (of: string): string => `(SELECT string_agg(concat(e.a, e.c::"char"::int), ' ') FROM unnest(${of}) e)`;
    const told = `t.id, array_dims(t.cs), t.cs::int[], t.ds::"char"[]::int[], (t.p).a, (t.p).c::"char"::int, array_dims(t.ps), ${codes('t.ps')},
      ((t.n).p).a, ((t.n).p).c::"char"::int, ${codes('(t.n).ps')}, (t.n).cs::int[], lower(t.r)::int, upper_inc(t.r), lower(t.rs)::int, t.i`;
    const all = [
      {
        name: 'in every place',
        ddl,
        rows: `INSERT INTO t (id) VALUES (1000), (1001); INSERT INTO keyless VALUES (1000), (1000); INSERT INTO own VALUES ('{}', 0)`,
        changes: [
          insert(-128, -1),
          String.raw`INSERT INTO t (id, cs, ps) VALUES (500, '[0:1][5:5]={{"\\200"},{NULL}}', '[3:3]={"(\"a\",\"\\\\377\")"}'), (501, '{}', '{}')`,
          insert(0, 20),
          `UPDATE t SET cs = ds, ps[2] = p, i = i || 1 WHERE id % 2 = 0; UPDATE t SET (p, n) = (SELECT p, n FROM t WHERE id = -1) WHERE id >= 1000`,
          'UPDATE keyless SET id = id + 1000 WHERE id % 2 = 0; DELETE FROM keyless WHERE id % 5 = 0',
          'UPDATE own SET n = n + 1; DELETE FROM own WHERE n % 3 = 0; UPDATE own SET cs = cs || cs WHERE n % 2 = 0',
          'DELETE FROM t WHERE id % 7 = 0',
        ],
        // Their text differs.
        tables: [],
        sameAnswer: `SELECT (SELECT string_agg(concat_ws(';', ${told}), ' ' ORDER BY id) FROM t) AS t,
          (SELECT string_agg(concat_ws(';', ${told}), ' ' ORDER BY id, n::text) FROM (SELECT id, cs, NULL::letters AS ds, NULL::pair AS p, NULL::pair[] AS ps, n, r, NULL::spans AS rs, NULL::int[] AS i FROM keyless) t) AS keyless,
          (SELECT string_agg(concat_ws(';', cs::int[], n), ' ' ORDER BY cs::int[]) FROM own) AS own`,
      },
    ];
    const stage = stageShapes(all, { ...staging, databases, format: 'text', settings: { apply: { binary: 'never' } } });
    test.each(all)('$name', async (shape) => {
      await stage.expectSame(shape);
      expect(await value(stage.db.target, `SELECT count(*) FROM ${schemaOf(shape)}.t WHERE (p).c::"char"::int < 0`)).not.toBe(
        '0',
      );
    });
  },
);

test('such a row does not come by a copy as text: its table says why, and comes in binary', async () => {
  await using db = await ownServers({ source: { version: 18 }, target: { version: 14 } });
  const types = `CREATE TYPE pair AS (a int, c "char"); CREATE DOMAIN a_pair AS pair; CREATE TYPE span AS RANGE (subtype = "char", multirange_type_name = spans)`;
  const inside: Record<string, string> = {
    chars: String.raw`"char"[] {a,"\\377"}`,
    composite: String.raw`pair (1,"\\377")`,
    domains_in_array: String.raw`a_pair[] {NULL,"(1,\"\\\\377\")"}`,
    range: String.raw`span [a,"\\377")`,
    multirange: String.raw`spans {[a,"\\377")}`,
  };
  const tables = Object.entries(inside).map(
    ([name, type]) => `CREATE TABLE ${name} (id int PRIMARY KEY, c ${type.split(' ')[0]})`,
  );
  for (const side of [db.source, db.target])
    await sql(side, [types, ...tables, 'CREATE TABLE t (id int PRIMARY KEY, c "char")'].join('; '));
  await sql(db.source, `INSERT INTO t VALUES (1, 'a'), (2, (-1)::"char")`);
  for (const [name, type] of Object.entries(inside))
    await sql(db.source, `INSERT INTO ${name} VALUES (1, NULL), (2, $v$${type.split(' ')[1]}$v$)`);
  {
    await using running = startPipeline(db, { apply: { binary: 'never' } });
    for (const name of ['t', ...Object.keys(inside)]) {
      const error = await eventually(() => running.pipeline.model.table(`public.${name}`)?.error ?? false);
      expect(error).toMatchObject({ code: 'COPY_FAILED', message: expect.stringContaining('"char" above 127 in column c') });
    }
  }
  await using running = startPipeline(db);
  await running.caughtUp();
  expect(await value(db.target, `SELECT string_agg(c::int::text, ' ' ORDER BY id) FROM t`)).toBe('97 -1');
  expect(await value(db.target, `SELECT ((c[2]).c)::int FROM domains_in_array WHERE id = 2`)).toBe('-1');
});
