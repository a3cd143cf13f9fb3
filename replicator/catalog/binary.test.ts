import { expect, test } from 'vitest';
import { TYPE_OID } from '../postgres/oid.ts';
import { buildColumn } from '../testing/build-relation.ts';
import { binaryIsSafe } from './binary.ts';
import type { ColumnType } from './relation.ts';

const VERSIONS = { sourceVersion: 140023, targetVersion: 180004 };

const type = (oid: number, sqlName: string, more: Partial<ColumnType> = {}): Partial<ColumnType> => ({ oid, sqlName, ...more });
const int4 = type(TYPE_OID.int4, 'integer');
const regclass = type(2205, 'regclass');

const CASES: [name: string, source: Partial<ColumnType>, target: Partial<ColumnType>, reason: string | null][] = [
  ['the same type', int4, int4, null],
  ['the same array', type(1007, 'integer[]', { elementOid: 23 }), type(1007, 'integer[]', { elementOid: 23 }), null],
  ['built-in ranges', type(3904, 'int4range', { kind: 'range' }), type(3904, 'int4range', { kind: 'range' }), null],
  ['a cast', int4, type(TYPE_OID.int8, 'bigint'), 'integer and bigint differ'],
  ['varchar and text', type(TYPE_OID.varchar, 'character varying'), type(TYPE_OID.text, 'text'), 'differ'],
  [
    'a domain on both sides',
    type(20000, 'public.d', { kind: 'domain', baseOid: 23 }),
    type(30000, 'public.d', { kind: 'domain', baseOid: 23 }),
    null,
  ],
  ['a domain on one side', int4, type(30000, 'public.d', { kind: 'domain', baseOid: 23 }), null],
  ['an enum by name', type(20000, 'public.mood', { kind: 'enum' }), type(30000, 'public.mood', { kind: 'enum' }), null],
  ['enums of other names', type(20000, 'public.mood', { kind: 'enum' }), type(20000, 'public.m', { kind: 'enum' }), 'differ'],
  [
    'an enum as text',
    type(20000, 'public.mood', { kind: 'enum' }),
    type(TYPE_OID.text, 'text'),
    'public.mood is a user-defined enum',
  ],
  [
    'text as an enum',
    type(TYPE_OID.text, 'text'),
    type(20000, 'public.mood', { kind: 'enum' }),
    'public.mood is a user-defined enum',
  ],
  [
    'an array of enums',
    type(20000, 'public.mood[]', { elementOid: 20001 }),
    type(20000, 'public.mood[]', { elementOid: 20001 }),
    'user-defined array',
  ],
  [
    'a composite',
    type(20000, 'public.c', { kind: 'composite' }),
    type(20000, 'public.c', { kind: 'composite' }),
    'user-defined composite',
  ],
  [
    'a range of ours',
    type(20000, 'public.r', { kind: 'range' }),
    type(20000, 'public.r', { kind: 'range' }),
    'user-defined range',
  ],
  ['a type of an extension', type(20000, 'public.hstore'), type(20000, 'public.hstore'), 'user-defined type'],
  [
    'a domain over an enum',
    type(20000, 'public.d', { kind: 'domain', baseOid: 20001 }),
    type(20000, 'public.d', { kind: 'domain', baseOid: 20001 }),
    'domain',
  ],
  [
    'a row type of the catalog, whose OID depends on the version',
    type(12050, 'pg_depend[]'),
    type(12050, 'pg_depend[]'),
    'user-defined',
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
    reason: 'a server is older than PostgreSQL 14',
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
