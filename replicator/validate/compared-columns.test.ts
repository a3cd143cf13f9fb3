import { expect, test } from 'vitest';
import type { ColumnType } from '../catalog/relation.ts';
import { TYPE_OID } from '../postgres/oid.ts';
import { buildColumn, buildIndex, buildRelation } from '../testing/build-relation.ts';
import { comparedColumns } from './compared-columns.ts';
import { rowKey } from './row-key.ts';

interface Typed {
  readonly type: Partial<ColumnType>;
  readonly typeText: string;
}

const builtIn = (oid: number, typeText: string): Typed => ({ type: { oid, sqlName: typeText }, typeText });
const own = (sqlName: string, kind: ColumnType['kind'], more: Partial<ColumnType> = {}): Typed => ({
  type: { oid: 20_000, sqlName, kind, baseOid: 20_000, ...more },
  typeText: sqlName,
});

const text = builtIn(TYPE_OID.text, 'text');
const int4 = builtIn(TYPE_OID.int4, 'integer');
const numeric = (typeText = 'numeric'): Typed => builtIn(TYPE_OID.numeric, typeText);
const price = (name: string): Typed => own(name, 'domain', { baseOid: TYPE_OID.numeric });
const word = own('public.word', 'domain', { baseOid: TYPE_OID.text });
const mood = (schema: string): Typed => own(`${schema}.mood`, 'enum');
const printed = 'CASE WHEN pg_catalog.num_nulls("c") = 0 THEN pg_catalog.concat("c") END';

test.each<[string, Typed, Typed, string | null]>([
  ['the same', int4, int4, '"c"'],
  ['wider', int4, builtIn(TYPE_OID.int8, 'bigint'), `${printed}::bigint`],
  ['another scale', numeric('numeric(12,4)'), numeric('numeric(12,2)'), '"c"::numeric(12,2)'],
  ['a cast that is needed', builtIn(TYPE_OID.bool, 'boolean'), int4, '"c"::integer'],
  ['json to jsonb', builtIn(TYPE_OID.json, 'json'), builtIn(TYPE_OID.jsonb, 'jsonb'), `${printed}::jsonb`],
  ['blanks of a character', builtIn(TYPE_OID.bpchar, 'character(5)'), text, `${printed}::text`],
  ['an enum in another schema', mood('public'), mood('other'), '"c"'],
  ['an enum to text', mood('public'), text, `${printed}::text`],
  ['text to an enum', text, mood('other'), '"c"'],
  ['text to a type that writes it anew', text, own('public.hstore', 'base'), null],
  ['the same domain', price('public.price'), price('other.price'), '"c"'],
  ['a domain to its type', price('public.price'), numeric('numeric(10,2)'), '"c"::numeric(10,2)'],
  ['to a domain of unknown scale', numeric(), price('public.price'), null],
  ['to a domain that changes nothing', text, word, '"c"'],
  ['names of objects', builtIn(2205, 'regclass'), builtIn(2205, 'regclass'), null],
  ['names of objects as text', builtIn(2205, 'regclass'), text, null],
])('%s', (_, source, target, sql) => {
  const { compared, left } = comparedColumns([{ source: buildColumn('c', source), target: buildColumn('t', target) }]);
  expect(compared).toEqual(sql === null ? [] : [{ source: sql, target: '"t"' }]);
  expect(left).toEqual(sql === null ? ['c'] : []);
});

test('a "char" is compared by its code: servers before 16 print some of them otherwise', () => {
  const char = builtIn(TYPE_OID.char, '"char"');
  const pair = (target: Typed) => [{ source: buildColumn('c', char), target: buildColumn('t', target) }];
  expect(comparedColumns(pair(char)).compared).toEqual([{ source: '"c"::pg_catalog.int4', target: '"t"::pg_catalog.int4' }]);
  expect(comparedColumns(pair(text)).left).toEqual(['c']);
});

function key(
  [source, target]: readonly [string[], string[]],
  types: Record<string, readonly [Typed, Typed]> = {},
  indexes: { source?: string[][]; target?: string[][] } = {},
) {
  const pairs = source.map((name, at) => {
    const [from, to] = types[name] ?? [int4, int4];
    return { source: buildColumn(name, from), target: buildColumn(target[at] ?? name, to) };
  });
  const relation = (columns: string[], given: string[][] | undefined) =>
    buildRelation('t', { columns, uniqueIndexes: (given ?? [columns]).map((each, at) => buildIndex(`i${at}`, each)) });
  const found = rowKey(relation(source, indexes.source), relation(target, indexes.target), pairs);
  return (
    found &&
    `${found.source.map(({ name }) => name).join()}=${found.target.map(({ name }) => name).join()} ${found.ordered ? 'ordered' : 'looked up'}`
  );
}

test('which key, and whether its order is the same on both sides', () => {
  const ab: [string[], string[]] = [
    ['a', 'b'],
    ['a', 'b'],
  ];
  const uuid = builtIn(TYPE_OID.uuid, 'uuid');
  expect(key([['a'], ['x']])).toBe('a=x ordered');
  expect(key(ab, { b: [uuid, uuid] })).toBe('a,b=a,b ordered');
  expect(key(ab, { a: [int4, builtIn(TYPE_OID.int8, 'bigint')] })).toBe('a,b=a,b ordered');
  expect(key(ab, { b: [text, text] })).toBe('a,b=a,b looked up');
  expect(key(ab, { b: [numeric(), numeric()] })).toBe('a,b=a,b looked up');
  expect(key(ab, { b: [mood('a'), mood('b')] })).toBe('a,b=a,b looked up');
  // The target's index sorts otherwise.
  expect(key(ab, {}, { target: [['b', 'a']] })).toBe('a,b=a,b looked up');
  // Values of one side mean nothing on the other, or one side has no key.
  expect(key(ab, { b: [int4, text] })).toBeNull();
  expect(key(ab, {}, { source: [] })).toBeNull();
  expect(key(ab, {}, { target: [['a']] })).toBeNull();
  expect(key(ab, {}, { source: [['a', 'b'], ['b']], target: [['b']] })).toBe('b=b ordered');
  expect(key(ab, {}, { source: [['a', 'c']] })).toBeNull();
});
