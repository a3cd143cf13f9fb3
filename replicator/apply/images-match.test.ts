import { expect, test } from 'vitest';
import { Decoder } from '../pgoutput/decoder.ts';
import type { InsertMessage, Tuple } from '../pgoutput/messages.ts';
import { TYPE_OID } from '../postgres/oid.ts';
import { buildColumn } from '../testing/build-relation.ts';
import { insert, relation } from '../testing/pgoutput-bytes.ts';
import { matchImages } from './images-match.ts';

const TYPES = {
  int: {},
  text: { oid: TYPE_OID.text, sqlName: 'text' },
  json: { oid: TYPE_OID.json, sqlName: 'json', hasEquality: false, equalityIsIdentity: false },
};

/** Columns of these types, and images of rows with these values. */
function matched(types: (keyof typeof TYPES)[], rows: (string | null)[][]) {
  const decoder = new Decoder();
  decoder.decode(relation({ oid: 1, name: 't', columns: types.map((_, i) => ({ name: `c${i}`, key: true })) }));
  const images: Tuple[] = rows.map((row) => (decoder.decode(insert(1, row)) as InsertMessage).row);
  const columns = types.map((type, index) => {
    const target = buildColumn(`c${index}`, { type: TYPES[type] });
    return { index, target, parameterType: target.type.oid, conversion: 'none' as const };
  });
  return matchImages(columns, images);
}

const many = (row: (i: number) => (string | null)[]): (string | null)[][] => Array.from({ length: 100 }, (_, i) => row(i));

test('by the columns that have a value in every image', async () => {
  const rows = many((i) => [String(i), i % 2 ? 'x' : null, null, '{}']);
  expect(await matched(['int', 'text', 'int', 'json'], rows)).toEqual(['equal', 'same', 'null', 'same']);
});

test('by long values only where the others do not tell images apart', async () => {
  const long = (i: number): string => `${i}`.padStart(1000, 'x');
  expect(
    await matched(
      ['int', 'text'],
      many((i) => [String(i), long(i)]),
    ),
  ).toEqual(['equal', 'same']);
  expect(
    await matched(
      ['int', 'text'],
      many((i) => [String(i % 3), long(i)]),
    ),
  ).toEqual(['equal', 'equal']);
  // A few images cost little, whatever they have in common.
  expect(await matched(['int', 'text'], many((i) => ['1', long(i)]).slice(0, 5))).toEqual(['equal', 'same']);
});

test('by whole rows where nothing tells them apart', async () => {
  expect(
    await matched(
      ['int', 'json'],
      many((i) => [String(i % 3), `[${i}]`]),
    ),
  ).toEqual(['same', 'same']);
  expect(
    await matched(
      ['int', 'int'],
      many((i) => ['1', i === 7 ? null : String(i)]),
    ),
  ).toEqual(['same', 'same']);
  expect(await matched(['json'], [['1'], ['2']])).toEqual(['same']);
  expect(await matched(['int'], [[null]])).toEqual(['same']);
});
