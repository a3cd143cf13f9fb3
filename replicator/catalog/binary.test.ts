import { expect, test } from 'vitest';
import { TYPE_OID } from '../postgres/oid.ts';
import { buildColumn } from '../testing/build-relation.ts';
import { binaryIsSafe, streamsInBinary } from './binary.ts';
import type { ColumnType } from './relation.ts';
import type { TypeField, TypeForm } from './type-forms.ts';

const VERSIONS = { sourceVersion: 140023, targetVersion: 180004 };

const type = (oid: number, sqlName: string, more: Partial<ColumnType> = {}): Partial<ColumnType> => ({ oid, sqlName, ...more });
const int4 = type(TYPE_OID.int4, 'integer');
const regclass = type(2205, 'regclass');

const ENUM: TypeForm = { is: 'enum', name: 'public.mood' };
const MOODS: TypeForm = { is: 'array', name: 'public.mood[]', of: ENUM, element: 20001 };
const INTEGER = { is: 'built-in', name: 'integer', oid: TYPE_OID.int4 } as const;
const TEXT_FORM = { is: 'built-in', name: 'text', oid: TYPE_OID.text } as const;
const REGCLASS = { is: 'built-in', name: 'regclass', oid: 2205 } as const;
const field = (name: string, form: TypeForm): TypeField => ({ name, form, typeText: form.name, typeOid: 20002 });
const PAIR = { is: 'composite', name: 'public.c', fields: [field('a', INTEGER), field('b', ENUM)] } as const;
const extension = (name: string, version = '1'): TypeForm => ({ is: 'base', name, extension: name, version });

let ownOid = 20000;
/** A user-defined type: no two have the same OID. */
function own(sqlName: string, kind: ColumnType['kind'], form: TypeForm): Partial<ColumnType> {
  return type(++ownOid, sqlName, { kind, form });
}

const CASES: [name: string, source: Partial<ColumnType>, target: Partial<ColumnType>, reason: string | null][] = [
  ['the same type', int4, int4, null],
  ['the same array', type(1007, 'integer[]', { elementOid: 23 }), type(1007, 'integer[]', { elementOid: 23 }), null],
  ['built-in ranges', type(3904, 'int4range', { kind: 'range' }), type(3904, 'int4range', { kind: 'range' }), null],
  ['a cast', int4, type(TYPE_OID.int8, 'bigint'), 'integer and bigint differ'],
  [
    'a domain on both sides',
    type(20000, 'public.d', { kind: 'domain', baseOid: 23 }),
    type(30000, 'public.d', { kind: 'domain', baseOid: 23 }),
    null,
  ],
  ['a domain on one side', int4, type(30000, 'public.d', { kind: 'domain', baseOid: 23 }), null],
  ['an enum by its label', own('public.mood', 'enum', ENUM), own('public.m', 'enum', ENUM), null],
  ['a string for another one', type(TYPE_OID.varchar, 'character varying'), type(TYPE_OID.text, 'text'), null],
  ['an enum as text', own('public.mood', 'enum', ENUM), type(TYPE_OID.text, 'text'), null],
  ['text as an enum', type(TYPE_OID.text, 'text'), own('public.mood', 'enum', ENUM), 'differ'],
  ['an array of enums', own('public.mood[]', 'base', MOODS), own('public.mood[]', 'base', MOODS), null],
  ['an array of enums for one of strings', own('public.mood[]', 'base', MOODS), type(1009, 'text[]'), 'differ'],
  ['a composite', own('public.c', 'composite', PAIR), own('public.c', 'composite', PAIR), null],
  [
    'a composite with another number of fields',
    own('public.c', 'composite', PAIR),
    own('public.c', 'composite', { ...PAIR, fields: PAIR.fields.slice(1) }),
    'public.c and public.c differ',
  ],
  [
    'a composite whose fields differ further down',
    own('public.c[]', 'base', { is: 'array', name: 'public.c[]', of: PAIR, element: 20003 }),
    own('public.c[]', 'base', {
      is: 'array',
      name: 'public.c[]',
      element: 20004,
      of: { ...PAIR, fields: [field('a', INTEGER), field('b', TEXT_FORM)] },
    }),
    'public.c.b: public.mood and text differ',
  ],
  [
    'strings that differ inside a composite, which names their types',
    own('public.c', 'composite', { is: 'composite', name: 'public.c', fields: [field('a', TEXT_FORM)] }),
    own('public.c', 'composite', { is: 'composite', name: 'public.c', fields: [field('a', { ...TEXT_FORM, oid: 1043 })] }),
    'public.c.a: text and text differ',
  ],
  [
    'a composite with a name of an object in it',
    own('public.c', 'composite', { is: 'composite', name: 'public.c', fields: [field('a', REGCLASS)] }),
    own('public.c', 'composite', { is: 'composite', name: 'public.c', fields: [field('a', REGCLASS)] }),
    'public.c.a: regclass has no binary form that holds in another database',
  ],
  [
    'a range of ours',
    own('public.r', 'range', { is: 'range', name: 'public.r', of: INTEGER }),
    own('public.r', 'range', { is: 'range', name: 'public.r', of: INTEGER }),
    null,
  ],
  [
    'a range of something else',
    own('public.r', 'range', { is: 'range', name: 'public.r', of: INTEGER }),
    own('public.r', 'range', { is: 'range', name: 'public.r', of: { ...INTEGER, oid: 20, name: 'bigint' } }),
    'integer and bigint differ',
  ],
  [
    'a type of an extension',
    own('public.hstore', 'base', extension('hstore')),
    own('e.hstore', 'base', extension('hstore', '2')),
    null,
  ],
  [
    'of another version',
    own('geo', 'base', extension('geo')),
    own('geo', 'base', extension('geo', '2')),
    'geo 1, and 2 on the target',
  ],
  ['of the same version', own('geo', 'base', extension('geo')), own('geo', 'base', extension('geo')), null],
  ['of another extension', own('geo', 'base', extension('geo')), own('geo', 'base', extension('oeg')), 'no extension of both'],
  [
    'of no extension',
    own('geo', 'base', { is: 'base', name: 'geo', extension: null, version: null }),
    own('geo', 'base', { is: 'base', name: 'geo', extension: null, version: null }),
    'no extension of both',
  ],
  [
    'a type without functions for it',
    own('isbn', 'base', { is: 'unsent', name: 'isbn' }),
    own('isbn', 'base', { is: 'unsent', name: 'isbn' }),
    'isbn has no binary form',
  ],
  [
    'a row type of the catalog, whose OID depends on the version',
    type(12050, 'pg_depend[]'),
    type(12050, 'pg_depend[]'),
    'no binary form',
  ],
  [
    'names of objects, which are OIDs in binary',
    regclass,
    regclass,
    'regclass has no binary form that holds in another database',
  ],
  ['a type that cannot be sent', type(1033, 'aclitem'), type(1033, 'aclitem'), 'no binary form'],
];

test.each(CASES)('binary: %s', (_, source, target, reason) => {
  const verdict = binaryIsSafe(
    [{ source: buildColumn('c', { type: source }), target: buildColumn('c', { type: target }) }],
    VERSIONS,
  );
  if (reason === null) expect(verdict).toEqual({ safe: true });
  else expect(verdict).toEqual({ safe: false, reason: expect.stringMatching(new RegExp(`^column c: .*${reason}`)) });
});

test('one column decides for the table; no column is safe', () => {
  const good = { source: buildColumn('a'), target: buildColumn('a') };
  const bad = { source: buildColumn('b'), target: buildColumn('b', { type: { oid: TYPE_OID.int8, sqlName: 'bigint' } }) };
  expect(binaryIsSafe([good, bad], VERSIONS).safe).toBe(false);
  expect(binaryIsSafe([], VERSIONS).safe).toBe(true);
  expect(binaryIsSafe([good], { sourceVersion: 130010, targetVersion: 180004 })).toEqual({
    safe: false,
    reason: 'column a: a server is older than PostgreSQL 14',
  });
});

test('an interval comes as text where the target knows no infinite one', () => {
  const pair = [
    {
      source: buildColumn('i', { type: type(1187, 'interval[]') }),
      target: buildColumn('i', { type: type(1187, 'interval[]') }),
    },
  ];
  expect(binaryIsSafe(pair, { sourceVersion: 170000, targetVersion: 160009 })).toEqual({
    safe: false,
    reason: 'column i: the target knows no infinite interval',
  });
  expect(binaryIsSafe(pair, { sourceVersion: 160009, targetVersion: 180000 }).safe).toBe(true);
  expect(binaryIsSafe(pair, { sourceVersion: 180000, targetVersion: 170000 }).safe).toBe(true);
});

test('the stream is binary where the target can make its own type of what comes', () => {
  const streams = (source: Partial<ColumnType>, target: Partial<ColumnType>, versions = VERSIONS): boolean =>
    streamsInBinary([{ source: buildColumn('c', { type: source }), target: buildColumn('c', { type: target }) }], versions);
  const bigint = type(TYPE_OID.int8, 'bigint');
  const isbn = own('isbn', 'base', { is: 'unsent', name: 'isbn' });
  const isbns = own('isbn[]', 'base', { is: 'array', name: 'isbn[]', of: { is: 'unsent', name: 'isbn' }, element: 20005 });
  expect(streams(int4, bigint)).toBe(true);
  expect(streams(int4, own('public.mood', 'enum', ENUM))).toBe(true);
  expect(streams(isbn, isbn)).toBe(true);
  // Nobody could send these.
  expect(streams(isbns, isbns)).toBe(false);
  expect(streams(regclass, bigint)).toBe(false);
  expect(streams(own('public.c', 'composite', PAIR), type(TYPE_OID.text, 'text'))).toBe(false);
  const interval = type(1186, 'interval');
  const older = { sourceVersion: 170000, targetVersion: 160009 };
  expect(streams(interval, type(TYPE_OID.text, 'text'), older)).toBe(false);
  expect(streams(int4, bigint, { sourceVersion: 130010, targetVersion: 180004 })).toBe(false);
});
