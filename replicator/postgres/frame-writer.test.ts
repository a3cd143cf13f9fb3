import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytes, cstring, int16, int32, int8 } from '../testing/pgoutput-bytes.ts';
import { FrameWriter, type ByteSource } from './frame-writer.ts';

function source(text: string): ByteSource {
  const data = Buffer.from(text);
  return { data, view: new DataView(data.buffer, data.byteOffset, data.length) };
}

test('each value in network order, frames with their lengths', () => {
  const writer = new FrameWriter(8);
  writer.begin(0x50);
  writer.cstring('s1 é');
  writer.int16(-2);
  writer.uint32(4_000_000_000);
  writer.int32(-1);
  writer.byte(7);
  writer.end();
  writer.begin(0x42);
  writer.textParameter('naïve 🐘');
  writer.slice(source('abcdef'), 2, 4);
  writer.end();
  const first = bytes(cstring('s1 é'), int16(-2), int32(4_000_000_000), int32(-1), int8(7));
  const second = bytes(int32(Buffer.byteLength('naïve 🐘')), 'naïve 🐘', 'cd');
  const all = bytes('P', int32(first.length + 4), first, 'B', int32(second.length + 4), second);
  expect(writer.length).toBe(all.length);
  expect(Buffer.concat(writer.take())).toEqual(all);
});

test('what was taken is not written over, and the writer begins anew', () => {
  const writer = new FrameWriter(4);
  writer.begin(0x41);
  writer.bytes(Buffer.alloc(300, 'x'));
  writer.end();
  const taken = Buffer.concat(writer.take());
  const copy = Buffer.from(taken);
  expect(writer.length).toBe(0);
  for (let i = 0; i < 100; i++) writer.int32(i);
  expect(taken).toEqual(copy);
  expect(Buffer.concat(writer.take())).toHaveLength(400);
});

test('a frame that outgrows the buffer keeps its beginning and gets its length', () => {
  for (const size of [0, 1, 2, 3, 65_530, 65_536, 200_000]) {
    const writer = new FrameWriter();
    writer.begin(0x64);
    writer.slice(source('y'.repeat(size)), 0, size);
    writer.end();
    expect(Buffer.concat(writer.take()).equals(bytes('d', int32(size + 4), 'y'.repeat(size)))).toBe(true);
  }
});

test('slices of every length, from anywhere to anywhere', () => {
  const text = Array.from({ length: 600 }, (_, i) => String.fromCharCode(33 + (i % 90))).join('');
  const from = source(text);
  for (let length = 0; length <= 450; length++) {
    const start = length % 7;
    const writer = new FrameWriter(8);
    writer.bytes(Buffer.from('x'.repeat(length % 5)));
    writer.slice(from, start, start + length);
    writer.slice(from, text.length - length, text.length);
    expect(Buffer.concat(writer.take()).toString()).toBe(
      `${'x'.repeat(length % 5)}${text.slice(start, start + length)}${text.slice(text.length - length)}`,
    );
  }
});

/** So long that it is not copied. */
const LARGE = 20_000;

test('a large value is sent from where it lies, and the rest around it', () => {
  const value = source('v'.repeat(LARGE));
  const writer = new FrameWriter();
  writer.begin(0x64);
  writer.int32(1);
  writer.slice(value, 1, LARGE);
  writer.int32(2);
  writer.end();
  const parts = writer.take();
  expect(parts).toHaveLength(3);
  expect(parts[1]?.buffer).toBe(value.data.buffer);
  expect(Buffer.concat(parts).equals(bytes('d', int32(4 + 8 + LARGE - 1), int32(1), 'v'.repeat(LARGE - 1), int32(2)))).toBe(true);
  expect(writer.length).toBe(0);
  expect(writer.take()).toEqual([]);
});

test('whatever is written in whatever order, one writer into another too, is there in that order', () => {
  const size = fc.oneof(fc.nat(50), fc.integer({ min: 380, max: 420 }), fc.integer({ min: 8_100, max: 8_300 }), fc.nat(40_000));
  const piece = fc.record({ how: fc.constantFrom('int', 'bytes', 'slice', 'append'), size });
  const message = fc.array(piece, { maxLength: 12 });
  fc.assert(
    fc.property(fc.array(fc.record({ pieces: message, taken: fc.boolean() }), { maxLength: 8 }), (messages) => {
      const writer = new FrameWriter();
      const written: Buffer[] = [];
      const wanted: Buffer[] = [];
      for (const [n, { pieces, taken }] of messages.entries()) {
        const body: Buffer[] = [];
        writer.begin(0x64);
        for (const [i, { how, size: length }] of pieces.entries()) {
          const from = source(String.fromCharCode(33 + ((n * 12 + i) % 90)).repeat(length));
          if (how === 'int') writer.int32(length);
          else if (how === 'bytes') writer.bytes(from.data);
          else if (how === 'slice') writer.slice(from, 0, length);
          else {
            const other = new FrameWriter(4);
            other.int32(length);
            other.slice(from, 0, length);
            other.byte(1);
            writer.append(other);
          }
          if (how === 'int') body.push(int32(length));
          else body.push(how === 'append' ? bytes(int32(length), from.data, int8(1)) : from.data);
        }
        writer.end();
        const all = Buffer.concat(body);
        wanted.push(bytes('d', int32(all.length + 4), all));
        if (taken) written.push(...writer.take());
      }
      expect(writer.length).toBe(Buffer.concat(wanted).length - Buffer.concat(written).length);
      expect(Buffer.concat([...written, ...writer.take()]).equals(Buffer.concat(wanted))).toBe(true);
    }),
    { numRuns: 200 },
  );
});
