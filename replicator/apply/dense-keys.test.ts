import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Decoder } from '../pgoutput/decoder.ts';
import type { DeleteMessage } from '../pgoutput/messages.ts';
import { FrameWriter } from '../postgres/frame-writer.ts';
import { TYPE_OID } from '../postgres/oid.ts';
import { buildColumn, buildIndex, buildMapping, buildRelation } from '../testing/build-relation.ts';
import { int16, int32, int64, relation, remove } from '../testing/pgoutput-bytes.ts';
import { denseRange, KeyParameter } from './dense-keys.ts';
import { mapRows } from './row-map.ts';

const WRITE = { int2: (key: bigint) => int16(Number(key)), int4: (key: bigint) => int32(Number(key)), int8: int64 };
type Integer = keyof typeof WRITE;

/** The range of these keys, as numbers. */
function rangeOf(keys: readonly bigint[], type: Integer = 'int8', columns = ['id']): [bigint, bigint] | null {
  const decoder = new Decoder();
  const typeOid = TYPE_OID[type];
  decoder.decode(relation({ oid: 1, columns: columns.map((name) => ({ name, key: true, type: typeOid })) }));
  const deletes = keys.map((key) => decoder.decode(remove(1, { key: columns.map(() => WRITE[type](key)) })) as DeleteMessage);
  const target = buildRelation('t', {
    columns: columns.map((name) => buildColumn(name, { type: { oid: typeOid } })),
    uniqueIndexes: [buildIndex('pk', columns, { primary: true })],
  });
  const described = deletes[0]?.relation;
  if (!described) throw new Error('no keys');
  const map = mapRows(described, buildMapping('t'), target, { binary: true });
  const range = denseRange(
    map,
    deletes.map(({ old }) => old.tuple),
  );
  if (!range) return null;
  const read = (place: typeof range.first): bigint => {
    const writer = new FrameWriter();
    new KeyParameter(place).writeTo(writer);
    const bytes = Buffer.concat(writer.take());
    const length = bytes.readInt32BE(0);
    expect(bytes).toHaveLength(4 + length);
    return length === 8 ? bytes.readBigInt64BE(4) : BigInt(length === 4 ? bytes.readInt32BE(4) : bytes.readInt16BE(4));
  };
  return [read(range.first), read(range.last)];
}

const series = (from: bigint, count: number, step = 1n): bigint[] =>
  Array.from({ length: count }, (_, i) => from + BigInt(i) * step);

test('least and greatest are exact wherever the keys lie', () => {
  const places: [Integer, bigint][] = [
    ['int2', -32_768n],
    ['int2', -300n],
    ['int4', -2_147_483_648n],
    ['int4', 2_147_480_000n],
    ['int8', 0n],
    ['int8', -700n],
    ['int8', 2n ** 31n - 500n],
    ['int8', 2n ** 32n - 500n],
    ['int8', -(2n ** 32n) - 500n],
    ['int8', 2n ** 53n - 500n],
    ['int8', -(2n ** 63n)],
    ['int8', 2n ** 63n - 3000n],
  ];
  const keys = fc.shuffledSubarray(
    Array.from({ length: 1400 }, (_, i) => i),
    { minLength: 710, maxLength: 1000 },
  );
  fc.assert(
    fc.property(fc.constantFrom(...places), keys, ([type, from], offsets) => {
      const all = offsets.map((offset) => from + BigInt(offset));
      expect(rangeOf(all, type)).toEqual([from + BigInt(Math.min(...offsets)), from + BigInt(Math.max(...offsets))]);
    }),
    { numRuns: 150 },
  );
});

test('keys that are few or far apart are looked up one by one', () => {
  expect(rangeOf(series(1n, 499))).toBeNull();
  expect(rangeOf(series(1n, 500))).toEqual([1n, 500n]);
  expect(rangeOf(series(1n, 500, 2n))).toEqual([1n, 999n]);
  expect(rangeOf(series(1n, 500, 3n))).toBeNull();
  expect(rangeOf([...series(1n, 600), 2n ** 62n])).toBeNull();
  expect(rangeOf([...series(1n, 600), -(2n ** 63n)])).toBeNull();
});

test('so are keys of several columns', () => {
  expect(rangeOf(series(1n, 600), 'int4', ['a', 'b'])).toBeNull();
});
