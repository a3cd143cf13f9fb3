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
  jsonb: { oid: TYPE_OID.jsonb, sqlName: 'jsonb', equalityIsIdentity: false },
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
  expect(await matched(['int', 'text', 'int', 'json'], rows)).toEqual({
    columns: ['equal', 'same', 'null', 'same'],
    sieve: ['value', null, null, null],
  });
});

test('by long values only where the others do not tell images apart, and by their lengths first', async () => {
  const long = (i: number): string => `${i}`.padStart(1000, 'x');
  const longer = (i: number): string => long(i).padStart(1000 + i, 'x');
  const short = { columns: ['equal', 'same'], sieve: ['value', null] };
  const rows = (row: (i: number) => string[]): Promise<unknown> => matched(['int', 'text'], many(row));
  expect(await rows((i) => [String(i), long(i)])).toEqual(short);
  expect(await rows((i) => [String(i % 3), long(i)])).toEqual({ columns: ['equal', 'equal'], sieve: ['value', 'value'] });
  expect(await rows((i) => [String(i % 3), longer(i)])).toEqual({ columns: ['equal', 'equal'], sieve: ['value', 'length'] });
  // What has no length that costs nothing is looked at itself.
  const documents = many((i) => [String(i % 3), `"${long(i)}"`]);
  expect(await matched(['int', 'jsonb'], documents)).toEqual({ columns: ['equal', 'equal'], sieve: ['value', 'value'] });
  // A few images cost little, whatever they have in common.
  const few = (row: (i: number) => string[]): Promise<unknown> => matched(['int', 'text'], many(row).slice(0, 5));
  expect(await few((i) => ['1', long(i)])).toEqual({ columns: ['equal', 'same'], sieve: ['value', 'length'] });
  expect(await few((i) => [String(i), long(i)])).toEqual(short);
});

test('by whole rows where nothing tells them apart', async () => {
  const whole = { columns: ['same', 'same'], sieve: [null, null] };
  const documents = many((i) => [String(i % 3), `[${i}]`]);
  expect(await matched(['int', 'json'], documents)).toEqual(whole);
  const gaps = many((i) => ['1', i === 7 ? null : String(i)]);
  expect(await matched(['int', 'int'], gaps)).toEqual(whole);
  expect(await matched(['json'], [['1'], ['2']])).toEqual({ columns: ['same'], sieve: [null] });
  expect(await matched(['int'], [[null]])).toEqual({ columns: ['same'], sieve: [null] });
});
