import { describe, expect, test } from 'vitest';
import { sql, testDatabases } from '../testing/databases.ts';
import { stageShapes } from '../testing/shapes.ts';
import { typeShapes } from '../testing/type-shapes.ts';
import { BUILT_IN, NOT_KEYS, TEXT_ONLY } from '../testing/type-values.ts';

describe.each([
  { binary: 'auto', format: 'binary' },
  { binary: 'never', format: 'text' },
  { binary: 'auto', format: 'binary', gathered: true },
  { binary: 'never', format: 'text', gathered: true },
] as const)('a $format stream, gathered: $gathered', ({ binary, ...staging }) => {
  const all = typeShapes(BUILT_IN, { notKeys: NOT_KEYS });
  const stage = stageShapes(all, { ...staging, settings: { apply: { binary } } });
  test.each(all)('$name', (shape) => stage.expectSame(shape));
});

describe.each([{ gathered: false }, { gathered: true }])('types that hold names of objects, gathered: $gathered', (staging) => {
  const all = typeShapes(TEXT_ONLY, { notKeys: NOT_KEYS });
  const stage = stageShapes(all, { ...staging, format: 'text' });
  test.each(all)('$name', (shape) => stage.expectSame(shape));
});

test('no type of the server was forgotten', async () => {
  await using db = await testDatabases();
  const types = await sql(
    db.source,
    `SELECT format_type(oid, -1) AS name FROM pg_type
      WHERE typtype IN ('b', 'r', 'm') AND typnamespace = 'pg_catalog'::regnamespace AND oid < 10000
        AND typsubscript <> 'array_subscript_handler'::regproc OR oid IN ('int2vector'::regtype, 'oidvector'::regtype)`,
  );
  const tried = [...Object.keys(BUILT_IN), ...Object.keys(TEXT_ONLY)].map((name) => name.replace(/\(.*\)/, ''));
  const names = await sql(db.source, `SELECT format_type(name::regtype, -1) AS name FROM unnest($1::text[]) name`, [
    `{${tried.map((name) => `"${name.replaceAll('"', '\\"')}"`).join(',')}}`,
  ]);
  const known = new Set(names.map(({ name }) => name));
  // Nobody can write a value of these: their input functions refuse every text.
  const unwritable = ['gtsvector', 'pg_node_tree', 'pg_ndistinct', 'pg_dependencies', 'pg_mcv_list'];
  const summaries = ['pg_brin_bloom_summary', 'pg_brin_minmax_multi_summary'];
  expect(
    types
      .map(({ name }) => name)
      .filter((name) => name && !known.has(name) && !unwritable.includes(name) && !summaries.includes(name)),
  ).toEqual([]);
});
