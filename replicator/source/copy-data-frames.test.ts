import * as fc from 'fast-check';
import { Parser } from 'pg-protocol/dist/parser.js';
import { expect, test } from 'vitest';
import * as wire from '../testing/pgoutput-bytes.ts';
import { Decoder } from '../pgoutput/decoder.ts';
import type { Message } from '../pgoutput/messages.ts';
import { CopyDataFrames } from './copy-data-frames.ts';

/** Begins every CopyData of a replication stream: 'w', int64 start, int64 end, int64 clock. */
const XLOG_DATA_HEADER = 25;

/** What arrives when the stream comes in these chunks, read only after all of it has come. */
function receive(stream: Buffer, splits: readonly number[]): string[] {
  const decoder = new Decoder();
  const messages: Message[] = [];
  const others: Buffer[] = [];
  const frames = new CopyDataFrames({
    onCopyData: (data, start, end) => messages.push(decoder.decode(data, start + XLOG_DATA_HEADER, end)),
    onOther: (message) => others.push(message),
  });
  const cuts = [0, ...[...splits].sort((a, b) => a - b), stream.length];
  cuts.forEach((to, i) => {
    const from = cuts[i - 1];
    if (from === undefined || from === to) return;
    // A chunk of its own memory, as a socket gives it.
    frames.push(Buffer.from(stream.subarray(from, to)));
  });
  return [...messages.map(visible), ...others.map((message) => message.toString('latin1'))];
}

function visible(message: Message): string {
  return JSON.stringify(message, (key, value: unknown) => {
    if (typeof value === 'bigint') return String(value);
    const tuple = value as { data: Buffer; start: number; end: number } | null;
    if (key === 'row' || key === 'tuple') return tuple && tuple.data.toString('latin1', tuple.start, tuple.end);
    return value;
  });
}

/** Messages that are not CopyData may stand anywhere: they go to node-postgres whole. */
const PARAMETER_STATUS = wire.bytes('S', wire.int32(4 + 8), 'a\0b\0cd\0\0');
const COPY_DONE = wire.bytes('c', wire.int32(4));

const columns = [{ name: 'id', key: true }, { name: 'v' }];
const text = fc.string({ maxLength: 30, unit: 'binary' });
// Some longer than a chunk of a socket.
const long = fc.nat(70_000).map((length) => 'x'.repeat(length));
const change = fc.oneof(
  fc.tuple(text, fc.oneof({ weight: 20, arbitrary: text }, { weight: 1, arbitrary: long })).map((row) => wire.insert(7, row)),
  fc.tuple(text, text).map(([id, v]) => wire.update(7, [id, v], { full: [v, id] })),
  text.map((id) => wire.remove(7, { key: [id, null] })),
  text.map((content) => wire.logicalMessage('p', content)),
  fc.constant(wire.truncate([7])),
);

test('however the stream is cut into chunks, the same messages with the same bytes come out', () => {
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 40 }), fc.array(fc.nat(), { maxLength: 30 }), (changes, points) => {
      const stream = Buffer.concat([
        ...[wire.begin(), wire.relation({ oid: 7, columns }), ...changes].map((message) => wire.onTheWire(message)),
        PARAMETER_STATUS,
        wire.onTheWire(wire.commit()),
        COPY_DONE,
      ]);
      const whole = receive(stream, []);
      expect(whole).toHaveLength(changes.length + 5);
      expect(
        receive(
          stream,
          points.map((point) => point % stream.length),
        ),
      ).toEqual(whole);
    }),
    { numRuns: 400 },
  );
});

test('messages of many chunks, between small ones', () => {
  const chunk = 65_536;
  const lengths = [3, 99_000, chunk, 1_000_000, 0, 5 * chunk, 70_001];
  const changes = lengths.map((length, n) => wire.insert(7, [`${n}`, String.fromCharCode(97 + n).repeat(length)]));
  const stream = Buffer.concat([wire.relation({ oid: 7, columns }), ...changes].map((message) => wire.onTheWire(message)));
  const whole = receive(stream, []);
  expect(whole).toHaveLength(lengths.length + 1);
  // Chunks of an odd size end at every place of a header.
  for (const size of [chunk, 4099, 1021, stream.length - 3]) {
    const splits = Array.from({ length: Math.floor(stream.length / size) }, (_, i) => (i + 1) * size);
    expect(receive(stream, splits)).toEqual(whole);
  }
});

test('one byte at a time', () => {
  const changes = Array.from({ length: 20 }, (_, n) => wire.update(7, [`${n}`, 'n'.repeat(n)], { full: [`${n - 1}`, null] }));
  const stream = Buffer.concat([wire.relation({ oid: 7, columns }), ...changes].map((message) => wire.onTheWire(message)));
  expect(
    receive(
      stream,
      Array.from({ length: stream.length }, (_, at) => at),
    ),
  ).toEqual(receive(stream, []));
});

// Why CopyData does not go through it: it keeps an incomplete message for the next chunk, and where there is room it moves
// that to the front of its buffer, over the bytes of messages that it has handed out already.
test('the parser of node-postgres does write over what it has handed out', () => {
  const parser = new Parser();
  const chunks: Buffer[] = [];
  const take = (message: object): void => void ('chunk' in message && chunks.push(message.chunk as Buffer));
  const first = wire.onTheWire(Buffer.alloc(200, 'a'));
  const second = wire.onTheWire(Buffer.alloc(50, 'b'));
  parser.parse(Buffer.concat([first, second.subarray(0, 40)]), take);
  const before = Buffer.from(chunks[0] ?? '');
  parser.parse(second.subarray(40), take);
  expect(chunks).toHaveLength(2);
  expect(chunks[0]).not.toEqual(before);
});
