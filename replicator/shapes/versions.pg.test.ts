import { describe, expect, test } from 'vitest';
import { ownServers, sql, value } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline } from '../testing/run-pipeline.ts';
import { stageShapes } from '../testing/shapes.ts';
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

test('such a row does not come by a copy as text: its table says why, and comes in binary', async () => {
  await using db = await ownServers({ source: { version: 18 }, target: { version: 14 } });
  for (const side of [db.source, db.target]) await sql(side, 'CREATE TABLE t (id int PRIMARY KEY, c "char")');
  await sql(db.source, `INSERT INTO t VALUES (1, 'a'), (2, (-1)::"char")`);
  {
    await using running = startPipeline(db, { apply: { binary: 'never' } });
    const error = await eventually(() => running.pipeline.model.table('public.t')?.error ?? false);
    expect(error).toMatchObject({ code: 'COPY_FAILED', message: expect.stringContaining('"char" above 127 in column c') });
  }
  await using running = startPipeline(db);
  await running.caughtUp();
  expect(await value(db.target, `SELECT string_agg(c::int::text, ' ' ORDER BY id) FROM t`)).toBe('97 -1');
});
