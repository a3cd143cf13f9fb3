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
  expect(writer.take()).toEqual(all);
});

test('what was taken is not written over, and the writer begins anew', () => {
  const writer = new FrameWriter(4);
  writer.begin(0x41);
  writer.bytes(Buffer.alloc(300, 'x'));
  writer.end();
  const taken = writer.take();
  const copy = Buffer.from(taken);
  expect(writer.length).toBe(0);
  for (let i = 0; i < 100; i++) writer.int32(i);
  expect(taken).toEqual(copy);
  expect(writer.take()).toHaveLength(400);
});

test('a frame that outgrows the buffer keeps its beginning and gets its length', () => {
  for (const size of [0, 1, 2, 3, 65_530, 65_536, 200_000]) {
    const writer = new FrameWriter();
    writer.begin(0x64);
    writer.slice(source('y'.repeat(size)), 0, size);
    writer.end();
    expect(writer.take().equals(bytes('d', int32(size + 4), 'y'.repeat(size)))).toBe(true);
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
    expect(writer.take().toString()).toBe(
      `${'x'.repeat(length % 5)}${text.slice(start, start + length)}${text.slice(text.length - length)}`,
    );
  }
});
