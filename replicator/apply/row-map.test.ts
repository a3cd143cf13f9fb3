import { describe, expect, test } from 'vitest';
import type { ColumnType } from '../catalog/relation.ts';
import { TYPE_OID } from '../postgres/oid.ts';
import { Decoder } from '../pgoutput/decoder.ts';
import type { StreamRelation } from '../pgoutput/messages.ts';
import { buildColumn, buildIndex, buildMapping, buildRelation } from '../testing/build-relation.ts';
import * as wire from '../testing/pgoutput-bytes.ts';
import { UNCHANGED, type Cell } from '../testing/pgoutput-bytes.ts';
import { mapRows, type RowMap } from './row-map.ts';
import { describeKey } from './tuple.ts';

function stream(
  names: readonly string[],
  more: Partial<Omit<StreamRelation, 'columns'>> & { identity?: string[]; type?: number } = {},
): StreamRelation {
  const { identity = [], type = TYPE_OID.int4, ...rest } = more;
  const columns = names.map((name) => ({ name, typeOid: type, typmod: -1, identity: identity.includes(name) }));
  return { oid: 1, schema: 'public', name: 't', replicaIdentity: 'default', columns, ...rest };
}

function names(map: RowMap): string[] {
  return map.columns.map(({ index, target }) => `${index}:${target.name}`);
}

describe('columns', () => {
  test('match by name, whatever their order; the target may have more', () => {
    const target = buildRelation('t', { columns: ['local', 'b', 'a'] });
    expect(names(mapRows(stream(['a', 'b']), buildMapping('t'), target, { binary: false }))).toEqual(['0:a', '1:b']);
  });

  test('are left out and renamed as the mapping says, also where a name means something to JavaScript', () => {
    const target = buildRelation('t', { columns: ['amount', 'constructor', '__proto__', 'toString'] });
    const mapping = buildMapping('t', { excludeColumns: ['secret'], renameColumns: { value: 'amount' } });
    const relation = stream(['secret', 'value', 'constructor', '__proto__', 'toString']);
    expect(names(mapRows(relation, mapping, target, { binary: false }))).toEqual([
      '1:amount',
      '2:constructor',
      '3:__proto__',
      '4:toString',
    ]);
  });

  test('that the target generates are not written', () => {
    const target = buildRelation('t', { columns: ['a', buildColumn('g', { generated: 'stored' })] });
    expect(names(mapRows(stream(['a', 'g']), buildMapping('t'), target, { binary: false }))).toEqual(['0:a']);
  });

  test('that are missing are named, all of them', () => {
    const target = buildRelation('t', { columns: ['a'] });
    expect(() => mapRows(stream(['a', 'b', 'odd "c"']), buildMapping('t'), target, { binary: false })).toThrow(
      expect.objectContaining({
        code: 'TARGET_COLUMN_MISSING',
        message: expect.stringContaining('"b", "odd "c""'),
        remedy: expect.stringContaining('ADD COLUMN "odd ""c"""'),
        retry: 'transient',
        table: 'public.t',
      }),
    );
    expect(() => mapRows(stream(['a']), buildMapping('t', { target: 'there' }), undefined, { binary: false })).toThrow(
      expect.objectContaining({ code: 'TARGET_TABLE_MISSING', message: expect.stringContaining('public.there') }),
    );
  });
});

describe('what the received bytes are taken for', () => {
  const domain = { oid: 20000, baseOid: TYPE_OID.int4, sqlName: 'public.whole', kind: 'domain' as const };
  const mood = { oid: 30000, baseOid: 30000, sqlName: 'public.mood', kind: 'enum' as const };
  const int8 = { oid: TYPE_OID.int8, sqlName: 'bigint' };
  const text = { oid: TYPE_OID.text, sqlName: 'text' };
  const feeling = { oid: 30001, baseOid: 30001, sqlName: 'public.feeling', kind: 'base' as const };
  test.each([
    ['the same built-in type', TYPE_OID.int8, int8, '20 none', '20 none'],
    ['another built-in type that reads its text', TYPE_OID.int4, int8, '20 none', '23 by text'],
    ['another built-in type: what it is, then a cast', TYPE_OID.bool, int8, '16 cast', '16 cast'],
    ['a string for something else: its text', TYPE_OID.varchar, int8, '20 none', '25 by text'],
    ['something else for a string: its text', TYPE_OID.int4, text, '25 none', '23 by text'],
    ['a string for another one', TYPE_OID.bpchar, text, '25 none', '25 none'],
    ['a "char", whose text may be octal', TYPE_OID.char, { oid: TYPE_OID.char, sqlName: '"char"' }, '25 char', '18 none'],
    ['a domain of the target over the type', TYPE_OID.int4, domain, '20000 none', '23 none'],
    ['a domain of the target over another type', TYPE_OID.bool, domain, '16 cast', '16 cast'],
    ['a domain of the source', 17001, int8, '20 none', '23 by text'],
    ['a user-defined type, whose OID differs', 17000, mood, '30000 none', '30000 none'],
    ['a string for a user-defined type', TYPE_OID.text, mood, '30000 none', '25 by text'],
    ['a type without a binary form', 17002, feeling, '30001 none', '25 by text'],
  ])('%s', (_, sourceType, type, asText, asBinary) => {
    const target = buildRelation('t', { columns: [buildColumn('a', { type })] });
    const known: Partial<ColumnType> =
      sourceType === 17001
        ? { oid: 17001, baseOid: TYPE_OID.int4 }
        : { oid: sourceType, ...(sourceType === 17002 ? { form: { is: 'unsent', name: 'feeling' } } : {}) };
    const pairs = [{ source: buildColumn('a', { type: known }), target: buildColumn('a') }];
    const of = (binary: boolean): string => {
      const [column] = mapRows(stream(['a'], { type: sourceType }), buildMapping('t'), target, { binary, known: pairs }).columns;
      return `${column?.parameterType} ${column?.conversion}`;
    };
    expect([of(false), of(true)]).toEqual([asText, asBinary]);
  });

  test('what the catalog knows of another type under the name does not count', () => {
    const pairs = [{ source: buildColumn('a', { type: { oid: 17001, baseOid: TYPE_OID.int4 } }), target: buildColumn('a') }];
    const target = buildRelation('t', { columns: [buildColumn('a', { type: int8 })] });
    const [column] = mapRows(stream(['a'], { type: 17005 }), buildMapping('t'), target, { binary: true, known: pairs }).columns;
    expect(column).toMatchObject({ parameterType: TYPE_OID.int8, conversion: 'none' });
  });
});

describe('what finds the old row', () => {
  const found = ({ find }: RowMap): string => `${find.by} ${find.columns.map(({ target }) => target.name).join()}`;
  const target = buildRelation('t', {
    columns: ['id', 'a', 'b'],
    uniqueIndexes: [buildIndex('u', ['b', 'a']), buildIndex('x', ['id'], { identifies: false })],
  });
  test.each([
    ['the columns that the stream calls key', stream(['id', 'a', 'b'], { identity: ['id', 'a'] }), 'key id,a'],
    ['under USING INDEX as well', stream(['id', 'a', 'b'], { identity: ['b'], replicaIdentity: 'index' }), 'key b'],
    [
      'under FULL a key of the target',
      stream(['id', 'a', 'b'], { identity: ['id', 'a', 'b'], replicaIdentity: 'full' }),
      'key b,a',
    ],
    [
      'under FULL without such a key the whole row',
      stream(['id', 'a'], { identity: ['id', 'a'], replicaIdentity: 'full' }),
      'image id,a',
    ],
    ['under NOTHING nothing', stream(['id', 'a', 'b'], { replicaIdentity: 'nothing' }), 'key '],
  ])('%s', (_, relation, expected) =>
    expect(found(mapRows(relation, buildMapping('t'), target, { binary: false }))).toBe(expected),
  );
});

describe('a key for people', () => {
  function described(types: readonly number[], cells: readonly Cell[]): string {
    const columns = cells.map((_, i) => ({ name: `k${i}`, key: true, type: types[i] ?? TYPE_OID.text }));
    const decoder = new Decoder();
    decoder.decode(wire.relation({ oid: 1, columns }));
    const message = decoder.decode(wire.insert(1, cells));
    if (message.kind !== 'insert') throw new Error('no insert');
    const target = buildRelation('t', { columns: columns.map(({ name, type }) => buildColumn(name, { type: { oid: type } })) });
    return describeKey(mapRows(message.relation, buildMapping('t'), target, { binary: true }), message.row);
  }

  test('text as it came, NULL and unchanged by name', () => {
    expect(described([23, 25, 25, 25], ['7', 'é', null, UNCHANGED])).toBe('k0=7, k1=é, k2=NULL, k3=(unchanged)');
  });

  test.each([
    [TYPE_OID.int2, Buffer.of(0xff, 0xfe), '-2'],
    [TYPE_OID.int4, wire.int32(-2), '-2'],
    [TYPE_OID.int8, wire.int64(-9_223_372_036_854_775_808n), '-9223372036854775808'],
    [TYPE_OID.varchar, Buffer.from('naïve'), 'naïve'],
    [TYPE_OID.uuid, Buffer.from('00112233445566778899aabbccddeeff', 'hex'), '00112233-4455-6677-8899-aabbccddeeff'],
    [TYPE_OID.bytea, Buffer.of(0, 255), String.raw`\x00ff`],
  ])('binary, type %s', (type, cell, text) => expect(described([type], [cell])).toBe(`k0=${text}`));

  test('long ones are cut', () => {
    expect(described([], ['x'.repeat(5000)])).toBe(`k0=${'x'.repeat(100)}`);
    expect(
      described(
        [],
        Array.from({ length: 50 }, () => 'y'.repeat(90)),
      ),
    ).toHaveLength(500);
  });
});
