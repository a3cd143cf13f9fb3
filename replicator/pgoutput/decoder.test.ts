import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Problem } from '../problem.ts';
import * as wire from '../testing/pgoutput-bytes.ts';
import { UNCHANGED, type Cell } from '../testing/pgoutput-bytes.ts';
import { Decoder } from './decoder.ts';
import { COLUMN, type Message, type Tuple } from './messages.ts';

const T = 4_000_000_000;
const TABLE = wire.relation({ oid: T, columns: [{ name: 'id', key: true, type: 23 }, { name: 'a' }, { name: 'b' }] });
const DESCRIBED = {
  oid: T,
  schema: 'public',
  name: 't',
  replicaIdentity: 'default',
  columns: [
    { name: 'id', identity: true, typeOid: 23, typmod: -1 },
    { name: 'a', identity: false, typeOid: 25, typmod: -1 },
    { name: 'b', identity: false, typeOid: 25, typmod: -1 },
  ],
};

/** A decoder that knows relation T, three columns, and ANOTHER, one. */
function decoder(): Decoder {
  const it = new Decoder();
  it.decode(TABLE);
  it.decode(wire.relation({ oid: 5, name: 'other', columns: [{ name: 'x' }] }));
  return it;
}

/** The cells of a tuple, as the builders take them. */
function cells(tuple: Tuple): Cell[] {
  const found: Cell[] = [];
  let at = tuple.start;
  while (at < tuple.end) {
    const kind = tuple.data[at++];
    if (kind === COLUMN.null) found.push(null);
    else if (kind === COLUMN.unchangedToast) found.push(UNCHANGED);
    else {
      const value = tuple.data.subarray(at + 4, at + 4 + tuple.data.readInt32BE(at));
      found.push(kind === COLUMN.text ? value.toString() : Buffer.from(value));
      at += 4 + value.length;
    }
  }
  expect(found).toHaveLength(tuple.columns);
  expect(tuple.partial).toBe(found.includes(UNCHANGED));
  return found;
}

/** A message with its tuples as cells and its relations as names. */
function plain(message: Message): unknown {
  switch (message.kind) {
    case 'insert':
      return ['insert', message.relation.name, cells(message.row)];
    case 'update':
      return ['update', message.relation.name, message.old && [message.old.kind, cells(message.old.tuple)], cells(message.row)];
    case 'delete':
      return ['delete', message.relation.name, [message.old.kind, cells(message.old.tuple)]];
    case 'truncate':
      return ['truncate', message.relations.map(({ name }) => name), message.restartIdentity];
    default:
      return message;
  }
}

const MESSAGES: { name: string; bytes: Buffer; gives: unknown }[] = [
  {
    name: 'Begin',
    bytes: wire.begin({ finalLsn: 0xffffffff_ffffffffn, committedAtMs: 1_767_225_600_123, xid: 4_294_967_295 }),
    gives: { kind: 'begin', finalLsn: 0xffffffff_ffffffffn, committedAtMs: 1_767_225_600_123, xid: 4_294_967_295 },
  },
  {
    name: 'Commit',
    bytes: wire.commit({ commitLsn: 0x1_00000000n, endLsn: 0x1_00000030n, committedAtMs: 0 }),
    gives: { kind: 'commit', commitLsn: 0x1_00000000n, endLsn: 0x1_00000030n, committedAtMs: 0 },
  },
  { name: 'Origin', bytes: wire.origin('pgfollow_é"'), gives: { kind: 'origin', name: 'pgfollow_é"' } },
  { name: 'Relation', bytes: TABLE, gives: { kind: 'description' } },
  { name: 'Relation without columns', bytes: wire.relation({ oid: 6, columns: [] }), gives: { kind: 'description' } },
  { name: 'Type', bytes: wire.type(70_000, 'public', 'colour'), gives: { kind: 'description' } },
  { name: 'Insert', bytes: wire.insert(T, ['1', '', 'ü\0']), gives: ['insert', 't', ['1', '', 'ü\0']] },
  {
    name: 'Insert in binary',
    bytes: wire.insert(T, [wire.int32(1), Buffer.alloc(0), null]),
    gives: ['insert', 't', [wire.int32(1), Buffer.alloc(0), null]],
  },
  { name: 'Insert of NULLs alone', bytes: wire.insert(T, [null, null, null]), gives: ['insert', 't', [null, null, null]] },
  { name: 'Update', bytes: wire.update(T, ['1', 'x', UNCHANGED]), gives: ['update', 't', null, ['1', 'x', UNCHANGED]] },
  {
    name: 'Update of the key',
    bytes: wire.update(T, ['2', 'x', UNCHANGED], { key: ['1', null, null] }),
    gives: ['update', 't', ['key', ['1', null, null]], ['2', 'x', UNCHANGED]],
  },
  {
    name: 'Update under FULL',
    bytes: wire.update(T, ['1', 'y', UNCHANGED], { full: ['1', 'x', 'long'] }),
    gives: ['update', 't', ['full', ['1', 'x', 'long']], ['1', 'y', UNCHANGED]],
  },
  {
    name: 'Delete by key',
    bytes: wire.remove(T, { key: ['1', null, null] }),
    gives: ['delete', 't', ['key', ['1', null, null]]],
  },
  {
    name: 'Delete under FULL',
    bytes: wire.remove(T, { full: ['1', null, 'x'] }),
    gives: ['delete', 't', ['full', ['1', null, 'x']]],
  },
  { name: 'Truncate', bytes: wire.truncate([T]), gives: ['truncate', ['t'], false] },
  {
    name: 'Truncate of a group',
    bytes: wire.truncate([5, T], { cascade: true, restartIdentity: true }),
    gives: ['truncate', ['other', 't'], true],
  },
  {
    name: 'Message',
    bytes: wire.logicalMessage('pgfollow', 'id:1 é'),
    gives: { kind: 'message', transactional: true, prefix: 'pgfollow', content: 'id:1 é' },
  },
  {
    name: 'Message without content',
    bytes: wire.logicalMessage('', '', { transactional: false }),
    gives: { kind: 'message', transactional: false, prefix: '', content: '' },
  },
  { name: 'Stream Start', bytes: wire.streamStart(T), gives: { kind: 'stream start', xid: T } },
  {
    name: 'Stream Commit',
    bytes: wire.streamCommit({ xid: T, commitLsn: 0x1_00000000n, endLsn: 0x1_00000030n, committedAtMs: 7 }),
    gives: { kind: 'stream commit', xid: T, commitLsn: 0x1_00000000n, endLsn: 0x1_00000030n, committedAtMs: 7 },
  },
  { name: 'Stream Abort', bytes: wire.streamAbort(T, T + 1), gives: { kind: 'stream abort', xid: T, subxid: T + 1 } },
];

describe('messages', () => {
  test.each(MESSAGES)('$name', ({ bytes, gives }) => {
    expect(plain(decoder().decode(bytes))).toEqual(gives);
  });

  test.each(MESSAGES)('$name: any prefix, and anything after it, is refused', ({ bytes }) => {
    const it = decoder();
    for (let length = 0; length < bytes.length; length++) expectInvalid(it, bytes.subarray(0, length));
    expectInvalid(it, wire.bytes(bytes, wire.int8(0)));
    expectInvalid(it, wire.bytes(bytes, bytes));
  });

  test('a row names the relation as it was last described, replaced as a whole', () => {
    const it = decoder();
    const first = it.decode(wire.insert(T, ['1', 'x', null]));
    it.decode(wire.relation({ oid: T, schema: '', name: 'renamed', identity: 'f', columns: [{ name: 'id', key: true }] }));
    const second = it.decode(wire.insert(T, ['1']));
    expect(first).toMatchObject({ relation: DESCRIBED });
    expect(second).toMatchObject({
      relation: { schema: 'pg_catalog', name: 'renamed', replicaIdentity: 'full', columns: [{ name: 'id', identity: true }] },
    });
    expect(second.kind === 'insert' && second.relation.columns.length).toBe(1);
    expect(first).toMatchObject({ relation: DESCRIBED });
  });
});

describe('stretches of transactions in progress', () => {
  const inStretches = MESSAGES.filter(({ bytes }) => 'IUDTRYM'.includes(bytes.toString('latin1', 0, 1)));

  test.each(inStretches)('$name: kept unread, without its transaction ID, until it is read as the same', ({ bytes, gives }) => {
    const it = decoder();
    it.decode(wire.streamStart(7));
    const message = it.decode(wire.bytes('before', wire.streamed(T, bytes), 'behind'), 6, 6 + bytes.length + 4);
    if (message.kind !== 'streamed') throw new Error(message.kind);
    expect(message.subxid).toBe(T);
    const kept = wire.bytes(wire.int8(message.code), message.data.subarray(message.start, message.end));
    expect(kept).toEqual(bytes);
    expect(it.decode(wire.streamStop())).toEqual({ kind: 'stream stop' });
    expect(plain(it.decode(kept))).toEqual(gives);
  });

  test('what is described in one is not known outside', () => {
    const it = decoder();
    it.decode(wire.streamStart(7));
    it.decode(wire.streamed(7, wire.relation({ oid: 6, columns: [] })));
    it.decode(wire.streamed(7, wire.relation({ oid: T, name: 'renamed', columns: [] })));
    it.decode(wire.streamStop());
    expectInvalid(it, wire.insert(6, []));
    expect(plain(it.decode(wire.insert(T, ['1', '2', null])))).toEqual(['insert', 't', ['1', '2', null]]);
  });

  test('the origin in one carries no transaction ID', () => {
    const it = decoder();
    it.decode(wire.streamStart(7));
    expect(it.decode(wire.origin('o'))).toEqual({ kind: 'origin', name: 'o' });
  });

  test.each([
    ['a stretch inside a stretch', [wire.streamStart(1), wire.streamStart(2)]],
    ['the end of no stretch', [wire.streamStop()]],
    ['a change without its transaction ID', [wire.streamStart(1), wire.bytes('I', wire.int16(1))]],
  ])('%s is refused', (_, messages) => {
    const it = decoder();
    for (const message of messages.slice(0, -1)) it.decode(message);
    expectInvalid(it, messages.at(-1) ?? Buffer.alloc(0));
  });

  test('the type behind a column of a type of ones own is known by what was said last before the relation', () => {
    const decoder = new Decoder();
    const base = (): unknown => {
      decoder.decode(
        wire.relation({
          oid: 9,
          columns: [
            { name: 'a', type: 23 },
            { name: 'b', type: 70_000 },
          ],
        }),
      );
      return decoder.relation(9)?.columns.map((column) => column.base ?? null);
    };
    expect(base()).toEqual([null, null]);
    decoder.decode(wire.type(70_000, '', 'int4'));
    expect(base()).toEqual([null, { schema: 'pg_catalog', name: 'int4' }]);
    decoder.decode(wire.type(70_000, 'public', 'colour'));
    expect(base()).toEqual([null, { schema: 'public', name: 'colour' }]);
  });

  test('a relation that two decoders describe alike is the same object', () => {
    const it = decoder();
    const other = new Decoder(it);
    other.decode(TABLE);
    expect(other.relation(T)).toBe(it.relation(T));
    other.decode(wire.relation({ oid: T, name: 'renamed', columns: [] }));
    expect(other.relation(T)).toMatchObject({ name: 'renamed' });
    expect(it.relation(T)).toMatchObject(DESCRIBED);
  });
});

describe('what is not pgoutput is refused', () => {
  const tuple = (columns: number, ...parts: (string | Buffer)[]): Buffer =>
    wire.bytes('I', wire.int32(T), 'N', wire.int16(columns), ...parts);
  test.each([
    ['nothing at all', Buffer.alloc(0)],
    ['an unknown message', wire.bytes('Z', wire.int32(1))],
    ['a relation that was never described', wire.insert(6, ['1'])],
    ['an OID that is another one as a signed number', wire.insert(T - 1, ['1', '2', '3'])],
    ['fewer columns than the relation has', wire.insert(T, ['1', '2'])],
    ['more columns than the relation has', wire.insert(T, ['1', '2', '3', '4'])],
    ['a negative number of columns', tuple(-3, 'nnn')],
    ['a column of an unknown kind', tuple(3, 'nnx')],
    ['a column longer than the message', tuple(3, 'nnt', wire.int32(100), 'short')],
    ['a column of 2 GB', tuple(3, 'nnb', wire.int32(0x7fffffff))],
    ['a negative length', tuple(3, 't', wire.int32(-1), 'nn')],
    ['a length that leads back to where it began', tuple(3, 'nt', wire.int32(-5), 'n')],
    ['an old row of an unknown kind', wire.bytes('D', wire.int32(T), 'N', wire.tuple(['1', null, null]))],
    ['an update without a new row', wire.bytes('U', wire.int32(T), 'K', wire.tuple(['1', null, null]))],
    [
      'an old key behind an old key',
      wire.bytes('U', wire.int32(T), 'K', wire.tuple(['1', null, null]), 'K', wire.tuple(['1', null, null])),
    ],
    [
      'a replica identity that does not exist',
      wire.bytes('R', wire.int32(1), wire.cstring('s'), wire.cstring('t'), 'x', wire.int16(0)),
    ],
    [
      'a relation with a negative number of columns',
      wire.bytes('R', wire.int32(1), wire.cstring('s'), wire.cstring('t'), 'd', wire.int16(-1)),
    ],
    ['a truncate of a negative number', wire.bytes('T', wire.int32(-1), wire.int8(0))],
    ['a truncate of more tables than it names', wire.bytes('T', wire.int32(2), wire.int8(0), wire.int32(T))],
    ['a message of negative length', wire.bytes('M', wire.int8(1), wire.int64(1n), wire.cstring('p'), wire.int32(-1))],
    ['a string without an end', wire.bytes('O', wire.int64(1n), 'name')],
  ])('%s', (_, bytes) => expectInvalid(decoder(), bytes));

  test('the Problem says what came, and that nothing is lost', () => {
    expect(() => decoder().decode(wire.bytes('Zebra'))).toThrow(
      expect.objectContaining({
        code: 'STREAM_INVALID',
        message: expect.stringContaining('0x5a of 5 bytes'),
        remedy: expect.stringContaining('the slot keeps everything'),
      }),
    );
    expect(() => decoder().decode(wire.insert(6, ['1']))).toThrow('relation 6 was never described');
  });

  test('any bytes give a whole message or STREAM_INVALID, and nothing is read behind them', () => {
    const known = fc.constantFrom(...MESSAGES.map(({ bytes }) => bytes));
    const garbage = fc.oneof(
      fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
      // A byte turned here and there gets further than noise.
      fc.tuple(known, fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { minLength: 1, maxLength: 4 })).map(([bytes, turns]) => {
        const turned = Buffer.from(bytes);
        for (const [at, to] of turns) if (at < turned.length) turned[at] = to;
        return turned;
      }),
    );
    fc.assert(
      fc.property(garbage, fc.uint8Array({ maxLength: 40 }), (bytes, behind) => {
        // The message as node-postgres hands it over: a window on a larger buffer.
        const window = Buffer.concat([bytes, behind]).subarray(0, bytes.length);
        const [alone, inWindow] = [outcome(bytes), outcome(window)];
        expect(inWindow).toEqual(alone);
      }),
      { numRuns: 3000 },
    );
  });
});

const cell = fc.oneof(
  fc.constant(null),
  fc.constant(UNCHANGED),
  fc.string({ maxLength: 40, unit: 'binary' }),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
);
const row = fc.tuple(cell, cell, cell);

test('what was written is what is read, whatever the values', () => {
  fc.assert(
    fc.property(row, row, fc.constantFrom('key', 'full'), (now, before, kind) => {
      const it = decoder();
      const old = kind === 'key' ? { key: before } : { full: before };
      expect(plain(it.decode(wire.insert(T, now)))).toEqual(['insert', 't', now]);
      expect(plain(it.decode(wire.update(T, now)))).toEqual(['update', 't', null, now]);
      expect(plain(it.decode(wire.update(T, now, old)))).toEqual(['update', 't', [kind, before], now]);
      expect(plain(it.decode(wire.remove(T, old)))).toEqual(['delete', 't', [kind, before]]);
    }),
  );
});

test('a message is read where it lies, without a copy', () => {
  const message = wire.insert(T, ['a', null, 'c']);
  const buffer = Buffer.concat([Buffer.alloc(7, 1), message, Buffer.alloc(9, 2)]);
  const got = decoder().decode(buffer, 7, 7 + message.length);
  expect(plain(got)).toEqual(['insert', 't', ['a', null, 'c']]);
  expect(got).toMatchObject({ row: { data: buffer } });
});

function outcome(bytes: Buffer): unknown {
  try {
    return plain(decoder().decode(bytes));
  } catch (error) {
    expect(error).toBeInstanceOf(Problem);
    expect((error as Problem).code).toBe('STREAM_INVALID');
    return 'refused';
  }
}

function expectInvalid(it: Decoder, bytes: Buffer): void {
  expect(() => it.decode(bytes)).toThrow(expect.objectContaining({ code: 'STREAM_INVALID' }));
}
