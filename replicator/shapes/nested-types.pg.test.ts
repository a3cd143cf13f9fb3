import fc from 'fast-check';
import { describe, test } from 'vitest';
import { ownServers, testDatabases } from '../testing/databases.ts';
import { stageShapes, type Shape } from '../testing/shapes.ts';

// Types made of each other at random, with values at random. The OIDs in their binary forms are those of the source.

type Tree =
  | { readonly is: 'leaf'; readonly type: string; readonly values: readonly string[] }
  | { readonly is: 'composite'; readonly fields: readonly Tree[] }
  | { readonly is: 'array' | 'range' | 'domain'; readonly of: Tree };

const LEAVES: readonly Tree[] = [
  { is: 'leaf', type: 'int', values: ['-1', '0', '2147483647'] },
  { is: 'leaf', type: 'numeric', values: ['1.0', '1.00', 'NaN', '-0.000001'] },
  { is: 'leaf', type: 'text', values: ['', ' ', 'a"b\\c', '(x,{y},[z])', 'NULL', 'é 表'] },
  { is: 'leaf', type: 'timestamptz', values: ['infinity', '2026-10-25 02:30:00+02'] },
  { is: 'leaf', type: 'mood', values: ['so', `it's "odd", (really)`] },
  { is: 'leaf', type: 'int4range', values: ['empty', '[1,5)', '(,)'] },
  { is: 'leaf', type: 'text[]', values: ['{}', '[2:3]={"a,b",NULL}', '{{"x"},{"\\""}}'] },
];

const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 3, depthSize: 'large' },
    fc.constantFrom(...LEAVES),
    fc.record({ is: fc.constant('composite' as const), fields: fc.array(tie('tree'), { minLength: 1, maxLength: 4 }) }),
    fc.record({ is: fc.constantFrom('array' as const, 'range' as const, 'domain' as const), of: tie('tree') }),
  ),
}));

/** A value's text; null for NULL. */
function valueOf(type: Tree): fc.Arbitrary<string | null> {
  if (type.is === 'leaf') return fc.option(fc.constantFrom(...type.values), { freq: 5 });
  if (type.is === 'domain') return valueOf(type.of);
  if (type.is === 'composite') {
    const fields = fc.tuple(...type.fields.map(valueOf));
    return fields.map((values) => `(${values.map((value) => (value === null ? '' : quoted(value))).join(',')})`);
  }
  const part = valueOf(type.of);
  if (type.is === 'range') {
    return fc.record({ value: part, bounds: fc.nat(3) }).map(({ value, bounds }) => {
      if (value === null || bounds === 0) return 'empty';
      return [`(,${quoted(value)}]`, `[${quoted(value)},)`, `[${quoted(value)},${quoted(value)}]`][bounds - 1] ?? '';
    });
  }
  // An array's own dimensions go on in what looks like one element, so an array holds arrays behind a domain only.
  return fc
    .record({ values: fc.array(part, { maxLength: 3 }), from: fc.integer({ min: -1, max: 2 }) })
    .map(({ values, from }) => {
      const elements = `{${values.map((value) => (value === null ? 'NULL' : quoted(value))).join(',')}}`;
      return values.length === 0 ? elements : `[${from}:${from + values.length - 1}]=${elements}`;
    });
}

function quoted(value: string): string {
  return `"${value.replaceAll(/["\\]/g, '\\$&')}"`;
}

/** Statements that make a type, and what it is called. */
function made(type: Tree, statements: string[]): string {
  const named = (what: (name: string) => string): string => {
    const name = `"Type ${statements.length}"`;
    statements.push(what(name));
    return name;
  };
  switch (type.is) {
    case 'leaf':
      return type.type;
    case 'domain': {
      const of = made(type.of, statements);
      return named((name) => `CREATE DOMAIN ${name} AS ${of}`);
    }
    case 'composite': {
      const fields = type.fields.map((field, i) => `"f ${i}" ${made(field, statements)}`);
      return named((name) => `CREATE TYPE ${name} AS (${fields.join(', ')})`);
    }
    case 'range': {
      const of = made(type.of, statements);
      const range = named((name) => `CREATE TYPE ${name} AS RANGE (subtype = ${of})`);
      return range;
    }
    default: {
      const of = made(type.of, statements);
      return `${of.endsWith(']') ? named((name) => `CREATE DOMAIN ${name} AS ${of}`) : of}[]`;
    }
  }
}

const SAMPLES = 40;
const column = tree.chain((type) =>
  fc.record({ type: fc.constant(type), values: fc.array(valueOf(type), { minLength: 4, maxLength: 4 }) }),
);

function shapes(seed: number): Shape[] {
  return fc.sample(column, { seed, numRuns: SAMPLES }).map(({ type, values }, n): Shape => {
    const types: string[] = [];
    const name = made(type, types);
    const literal = (i: number): string => {
      const value = values[i] ?? null;
      return value === null ? 'NULL' : `$v$${value}$v$`;
    };
    return {
      name: `seed ${seed}, ${n}: ${JSON.stringify(type).slice(0, 60)}`,
      ddl: `CREATE TYPE mood AS ENUM ('so', 'it''s "odd", (really)'); ${types.join('; ')}; CREATE TABLE keyed (id int PRIMARY KEY, c ${name}); CREATE TABLE keyless (id int, c ${name}); CREATE TABLE own (c ${name} PRIMARY KEY, n int)`,
      rows: `INSERT INTO keyed VALUES (1, ${literal(0)}); INSERT INTO keyless SELECT i, ${literal(0)} FROM generate_series(1, 2) i, generate_series(1, 2); INSERT INTO own SELECT c, 1 FROM keyed WHERE c IS NOT NULL`,
      changes: [
        `INSERT INTO keyed VALUES (2, ${literal(1)}), (3, ${literal(2)}); INSERT INTO keyless SELECT id, c FROM keyed`,
        `UPDATE keyed SET c = ${literal(3)} WHERE id < 3; DELETE FROM keyed WHERE id = 3`,
        `DELETE FROM keyless WHERE ctid IN (SELECT min(ctid) FROM keyless GROUP BY id); UPDATE keyless SET c = ${literal(1)} WHERE id = 1`,
        `INSERT INTO own SELECT ${literal(1)}, 2 WHERE ${literal(1)} IS NOT NULL ON CONFLICT DO NOTHING; UPDATE own SET n = n + 1`,
        `DELETE FROM own WHERE n = 2; UPDATE own SET c = COALESCE(${literal(2)}, c)`,
        // Many at once.
        `INSERT INTO keyed SELECT i, ${literal(2)} FROM generate_series(11, 80) i; INSERT INTO keyless SELECT id, c FROM keyed WHERE id > 10`,
        `UPDATE keyed SET c = ${literal(0)} WHERE id > 40; DELETE FROM keyless WHERE id > 20`,
      ],
    };
  });
}

describe.each([
  { what: 'one version', databases: () => testDatabases() },
  { what: '14 to 18', databases: () => ownServers({ source: { version: 14 }, target: { version: 18 } }) },
  { what: '18 to 14', databases: () => ownServers({ source: { version: 18 }, target: { version: 14 } }) },
])('types made of each other, $what', ({ databases }) => {
  const all = shapes(Math.floor(Math.random() * 2 ** 31));
  const stage = stageShapes(all, { format: 'binary', databases });
  test.each(all)('$name', (shape) => stage.expectSame(shape));
});
