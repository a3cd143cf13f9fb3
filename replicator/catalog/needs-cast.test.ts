import { expect, test } from 'vitest';
import { TYPE_OID, type Oid } from '../postgres/oid.ts';
import { needsCast } from './casts.ts';

const T = TYPE_OID;

test.each<[string, Oid, Oid, boolean]>([
  ['the same type', T.bool, T.bool, false],
  ['a wider integer reads its text', T.int2, T.int8, false],
  ['a narrower one too, or refuses it', T.int8, T.int4, false],
  ['a number as numeric', T.float8, T.numeric, false],
  ['a float loses nothing as text', T.float4, T.float8, false],
  ['a numeric may be 1.00, which is no integer', T.numeric, T.int4, true],
  ['a float may be 1e+20', T.float8, T.int8, true],
  ['a boolean is t or f', T.bool, T.int4, true],
  ['and 1 is no boolean in text', T.int4, T.bool, true],
  ['a date is a time at midnight', T.date, T.timestamptz, false],
  ['a time is cut to its date', T.timestamp, T.date, true],
  ['with and without zone, in UTC', T.timestamptz, T.timestamp, false],
  ['json and jsonb', T.json, T.jsonb, false],
  ['anything as text', T.bool, T.text, false],
  ['text as anything', T.varchar, T.int4, false],
  ['blanks of character(n) stay', T.bpchar, T.text, false],
  ['user-defined types are matched by name', 20000, T.int4, false],
  ['whatever the target calls its own', T.int4, 20000, false],
])('%s', (_, source, target, expected) => expect(needsCast(source, target)).toBe(expected));
