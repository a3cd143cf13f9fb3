import { expect, test } from 'vitest';
import { quoteIdent, quoteLiteral, quoteRelation } from './quote.ts';

test.each([
  ['plain', '"plain"'],
  ['Camel', '"Camel"'],
  ['select', '"select"'],
  ['', '""'],
  ['a.b', '"a.b"'],
  ['weird"name', '"weird""name"'],
  ['""', '""""""'],
  [String.raw`back\slash`, String.raw`"back\slash"`],
  ["'; DROP TABLE t; --", `"'; DROP TABLE t; --"`],
  ['naïve 表 🐘', '"naïve 表 🐘"'],
  ['new\nline', '"new\nline"'],
])('identifier %j', (name, quoted) => expect(quoteIdent(name)).toBe(quoted));

test('a relation', () => expect(quoteRelation({ schema: 'S."x"', name: 't' })).toBe('"S.""x"""."t"'));

test.each([
  ['plain', "'plain'"],
  ['', "''"],
  ["it's", "'it''s'"],
  ["''", "''''''"],
  [String.raw`a\b`, String.raw` E'a\\b'`],
  [String.raw`\'; DROP TABLE t; --`, String.raw` E'\\''; DROP TABLE t; --'`],
  ['double "quotes"', `'double "quotes"'`],
])('literal %j', (text, quoted) => expect(quoteLiteral(text)).toBe(quoted));
