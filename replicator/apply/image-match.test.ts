import { expect, test } from 'vitest';
import type { ColumnType } from '../catalog/relation.ts';
import { TYPE_OID } from '../postgres/oid.ts';
import { buildColumn } from '../testing/build-relation.ts';
import { imageMatch, wholeImageMatch, type ColumnMatch, type ComparedColumn } from './image-match.ts';

const NUMERIC = { oid: TYPE_OID.numeric, sqlName: 'numeric', equalityIsIdentity: false };
const JSON_TYPE = { oid: TYPE_OID.json, sqlName: 'json', hasEquality: false, equalityIsIdentity: false };
const CITEXT = { oid: 20000, sqlName: 'ext.citext', equalityIsIdentity: false, operatorSchema: 'ext' };
const MOOD = { oid: 20001, sqlName: 'public.mood', kind: 'domain' as const, form: { is: 'enum' as const, name: 'public.base' } };

function compared(name: string, type: Partial<ColumnType>, match: ColumnMatch, parameterType = type.oid): ComparedColumn {
  const target = buildColumn(name, { type });
  const column = { index: 0, target, parameterType: parameterType ?? TYPE_OID.int4, conversion: 'none' as const };
  return { column, theirs: `t.${name}`, ours: `s.${name}`, match };
}

test('what costs little to compare comes first, output forms come last', () => {
  const columns = [
    compared('doc', JSON_TYPE, 'equal'),
    compared('body', { oid: TYPE_OID.text, sqlName: 'text' }, 'equal'),
    compared('gone', { oid: TYPE_OID.text, sqlName: 'text' }, 'null'),
    compared('price', NUMERIC, 'equal'),
    compared('id', {}, 'equal'),
  ];
  expect(imageMatch(columns)).toMatchInlineSnapshot(
    `"t.gone IS NULL AND t.id = s.id AND t.body = s.body AND t.price = s.price AND ROW(t.doc)::pg_catalog.text = ROW(s.doc::json)::pg_catalog.text AND ROW(t.price)::pg_catalog.text = ROW(s.price::numeric)::pg_catalog.text"`,
  );
  expect(imageMatch(columns.slice(0, 1), { ofImage: (text) => `(SELECT ${text})` })).toMatchInlineSnapshot(
    `"ROW(t.doc)::pg_catalog.text = (SELECT ROW(s.doc::json)::pg_catalog.text)"`,
  );
});

test('where an image may have NULL or not', () => {
  expect(imageMatch([compared('id', {}, 'same'), compared('price', NUMERIC, 'same')])).toMatchInlineSnapshot(
    `"t.id IS NOT DISTINCT FROM s.id AND t.price IS NOT DISTINCT FROM s.price AND ROW(t.price)::pg_catalog.text = ROW(s.price::numeric)::pg_catalog.text"`,
  );
  expect(imageMatch([compared('id', {}, 'equal or both null')])).toMatchInlineSnapshot(
    `"(t.id = s.id OR (t.id IS NULL AND s.id IS NULL))"`,
  );
});

test('a type that came with an extension has its own =, which IS NOT DISTINCT FROM would not find', () => {
  expect(imageMatch([compared('name', CITEXT, 'equal')])).toMatchInlineSnapshot(
    `"t.name OPERATOR("ext".=) s.name AND ROW(t.name)::pg_catalog.text = ROW(s.name::ext.citext)::pg_catalog.text"`,
  );
  expect(imageMatch([compared('name', CITEXT, 'same')])).toMatchInlineSnapshot(
    `"ROW(t.name)::pg_catalog.text = ROW(s.name::ext.citext)::pg_catalog.text"`,
  );
});

test('a domain is compared by the type behind it', () => {
  const whole = { oid: 20002, baseOid: TYPE_OID.int4, sqlName: 'public.whole', kind: 'domain' as const };
  expect(imageMatch([compared('n', whole, 'equal', TYPE_OID.int4)])).toBe('t.n = s.n');
  expect(imageMatch([compared('m', MOOD, 'same')])).toMatchInlineSnapshot(
    `"t.m::public.base IS NOT DISTINCT FROM s.m::public.base"`,
  );
});

test('rows without columns are all the same, whole rows one text', () => {
  expect(imageMatch([])).toBe('true');
  expect(wholeImageMatch([])).toBe('true');
  expect(wholeImageMatch([compared('doc', JSON_TYPE, 'equal'), compared('id', {}, 'same')])).toMatchInlineSnapshot(
    `"ROW(t.doc, t.id)::pg_catalog.text = ROW(s.doc::json, s.id::integer)::pg_catalog.text"`,
  );
});
