import { expect, test } from 'vitest';
import { TYPE_OID } from '../postgres/oid.ts';
import { buildColumn, buildIndex, buildMapping, buildRelation } from '../testing/build-relation.ts';
import { matchTarget, type MatchOptions, type TargetMatch } from './match-target.ts';
import type { Column, Relation, TableMapping } from './relation.ts';

const CASTS: MatchOptions = {
  castExists: (from, to) => from === to || (from === TYPE_OID.int4 && to === TYPE_OID.int8),
  generatedColumnsSent: 'none',
};

const bigint = { type: { oid: TYPE_OID.int8, sqlName: 'bigint' } };
const uuid = { type: { oid: TYPE_OID.uuid, sqlName: 'uuid' } };
const text = { type: { oid: TYPE_OID.text, sqlName: 'text' } };
const named = (sqlName: string, oid: number, kind: 'enum' | 'base' | 'composite' = 'enum') => ({ type: { oid, sqlName, kind } });
const stored = { generated: 'stored', generatedAs: 'a + 1' } as const;
const virtual = { generated: 'virtual', generatedAs: 'a + 1' } as const;

function match(
  source: (string | Column)[],
  target: (string | Column)[],
  more: { mapping?: TableMapping; options?: Partial<MatchOptions>; source?: Partial<Relation> } = {},
): TargetMatch {
  const { columns: _, ...rest } = more.source ?? {};
  return matchTarget(
    buildRelation('t', { ...rest, columns: source }),
    buildRelation('t', { columns: target }),
    more.mapping ?? buildMapping('t'),
    {
      ...CASTS,
      ...more.options,
    },
  );
}

/** `source -> target` of each pair, or code and remedy of the problem. */
function shown(result: TargetMatch): string[] {
  if (!result.ok) return [result.problem.code, result.problem.remedy];
  return result.columns.map(({ source, target }) =>
    source.name === target.name ? source.name : `${source.name} -> ${target.name}`,
  );
}

const PAIRS: [name: string, result: () => TargetMatch, pairs: string[]][] = [
  ['by name, in the order of the source', () => match(['a', 'b'], ['b', 'x', 'a']), ['a', 'b']],
  [
    'renamed',
    () => match(['a', 'b'], ['a', 'B b'], { mapping: buildMapping('t', { renameColumns: { b: 'B b' } }) }),
    ['a', 'b -> B b'],
  ],
  [
    'names swapped',
    () => match(['a', 'b'], ['a', 'b'], { mapping: buildMapping('t', { renameColumns: { a: 'b', b: 'a' } }) }),
    ['a -> b', 'b -> a'],
  ],
  [
    'an excluded column',
    () => match(['a', 'secret'], ['a'], { mapping: buildMapping('t', { excludeColumns: ['secret'] }) }),
    ['a'],
  ],
  ['a cast', () => match(['a'], [buildColumn('a', bigint)]), ['a']],
  ['anything to text', () => match([buildColumn('a', named('public.mood', 20001))], [buildColumn('a', text)]), ['a']],
  [
    'a domain over the same type',
    () =>
      match(['a'], [buildColumn('a', { type: { oid: 30000, baseOid: TYPE_OID.int4, sqlName: 'public.whole', kind: 'domain' } })]),
    ['a'],
  ],
  [
    'an enum of the same name',
    () => match([buildColumn('a', named('public.mood', 20001))], [buildColumn('a', named('public.mood', 30001))]),
    ['a'],
  ],
  [
    'an extension in another schema',
    () =>
      match(
        [buildColumn('a', named('public.hstore', 20001, 'base'))],
        [buildColumn('a', named('"e.x t".hstore', 30001, 'base'))],
      ),
    ['a'],
  ],
  ['generated on both ends', () => match(['a', buildColumn('g', stored)], ['a', buildColumn('g', virtual)]), ['a']],
  [
    'generated, sent, and ordinary on the target',
    () => match(['a', buildColumn('g', stored)], ['a', 'g'], { options: { generatedColumnsSent: 'stored' } }),
    ['a', 'g'],
  ],
  [
    'extra target columns that fill themselves',
    () =>
      match(
        ['a'],
        [
          'a',
          'nullable',
          buildColumn('d', { notNull: true, hasDefault: true }),
          buildColumn('i', { notNull: true, identity: 'always' }),
        ],
      ),
    ['a'],
  ],
  ['a table without columns', () => match([], []), []],
];

test.each(PAIRS)('columns match: %s', (_, result, pairs) => {
  expect(shown(result())).toEqual(pairs);
});

const PROBLEMS: [name: string, result: () => TargetMatch, code: string, remedy: string][] = [
  [
    'columns are missing',
    () => match(['a', buildColumn('b "c"', { ...bigint, notNull: true }), buildColumn('g', stored)], ['a']),
    'TARGET_COLUMN_MISSING',
    'ALTER TABLE "public"."t"\n  ADD COLUMN "b ""c""" bigint,\n  ADD COLUMN "g" integer GENERATED ALWAYS AS (a + 1) STORED;',
  ],
  ['no cast', () => match([buildColumn('a', uuid)], ['a']), 'TARGET_COLUMN_TYPE', 'ALTER COLUMN "a" TYPE uuid'],
  [
    'an enum of another name',
    () => match([buildColumn('a', named('public.mood', 20001))], [buildColumn('a', named('public.colour', 20001))]),
    'TARGET_COLUMN_TYPE',
    'columns.exclude',
  ],
  [
    'generated on the source, ordinary on the target, unsent',
    () => match(['a', buildColumn('g', stored)], ['a', 'g']),
    'TARGET_COLUMN_TYPE',
    'DROP COLUMN "g",\n  ADD COLUMN "g" integer GENERATED ALWAYS AS (a + 1) STORED;',
  ],
  [
    'virtual on the source is never sent',
    () => match(['a', buildColumn('g', virtual)], ['a', 'g'], { options: { generatedColumnsSent: 'stored' } }),
    'TARGET_COLUMN_TYPE',
    'GENERATED ALWAYS AS (a + 1) VIRTUAL;',
  ],
  [
    'generated on the target alone',
    () => match(['a', 'g'], ['a', buildColumn('g', stored)]),
    'TARGET_COLUMN_TYPE',
    'ALTER COLUMN "g" DROP EXPRESSION',
  ],
  [
    'an extra target column that nothing fills',
    () => match(['a'], ['a', buildColumn('tenant', { notNull: true })]),
    'TARGET_UNSUITABLE',
    'ALTER COLUMN "tenant" DROP NOT NULL',
  ],
  [
    'an excluded column that the target insists on',
    () =>
      match(['a', 's'], ['a', buildColumn('s', { notNull: true })], { mapping: buildMapping('t', { excludeColumns: ['s'] }) }),
    'TARGET_UNSUITABLE',
    'ALTER COLUMN "s" DROP NOT NULL',
  ],
  [
    'a misspelt exclusion',
    () => match(['a'], ['a'], { mapping: buildMapping('t', { excludeColumns: ['secert'] }) }),
    'CONFIG_INVALID',
    'Correct the names',
  ],
  [
    'a misspelt renaming',
    () => match(['a'], ['a'], { mapping: buildMapping('t', { renameColumns: { x: 'a' } }) }),
    'CONFIG_INVALID',
    'Correct the names',
  ],
  [
    'the key excluded',
    () => match(['a'], [], { mapping: buildMapping('t', { excludeColumns: ['a'] }), source: { identityColumns: ['a'] } }),
    'CONFIG_INVALID',
    'columns.exclude',
  ],
  [
    'two columns into one',
    () => match(['a', 'b'], ['b'], { mapping: buildMapping('t', { renameColumns: { a: 'b' } }) }),
    'CONFIG_INVALID',
    'Rename',
  ],
];

test.each(PROBLEMS)('a problem with what mends it: %s', (_, result, code, remedy) => {
  const outcome = result();
  expect(outcome.ok ? null : outcome.problem).toMatchObject({ code, table: 'public.t', remedy: expect.stringContaining(remedy) });
});

test('a missing table comes with its CREATE TABLE', () => {
  const source = buildRelation('t', {
    columns: [
      buildColumn('id', { notNull: true, identity: 'by default' }),
      buildColumn('part', { notNull: true, ...text }),
      'secret',
      buildColumn('g', stored),
    ],
    uniqueIndexes: [buildIndex('t_pkey', ['id', 'part'], { primary: true })],
  });
  const mapping = {
    ...buildMapping('t', { excludeColumns: ['secret'], renameColumns: { part: 'Part' } }),
    target: { schema: 'S', name: 'T' },
  };
  const outcome = matchTarget(source, undefined, mapping, CASTS);
  expect(outcome.ok ? null : outcome.problem).toMatchObject({ code: 'TARGET_TABLE_MISSING', table: 'public.t' });
  expect(shown(outcome)[1]).toBe(
    [
      'Run on the target:',
      'CREATE SCHEMA IF NOT EXISTS "S";',
      'CREATE TABLE "S"."T" (',
      '  "id" integer GENERATED BY DEFAULT AS IDENTITY,',
      '  "Part" text NOT NULL,',
      '  "g" integer GENERATED ALWAYS AS (a + 1) STORED,',
      '  PRIMARY KEY ("id", "Part")',
      ');',
    ].join('\n'),
  );
});
