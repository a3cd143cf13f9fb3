import { unreachable } from '../problem.ts';
import { isBuiltIn } from '../catalog/built-in.ts';
import type { Oid } from '../postgres/oid.ts';
import type { ValueShape } from './value-shape.ts';

/** A value names another type inside than the source's catalog does: it was written before that was exchanged. */
export class OtherType extends Error {
  override readonly name = 'OtherType';
}

/** The value in [start, end) as the target takes it; null for as it came. Throws OtherType. */
export function reshapeBinary(shape: ValueShape, data: Buffer, start: number, end: number): Buffer | null {
  const parts = new Parts(data, start);
  switch (shape.is) {
    case 'composite':
      reshapeRow(shape, parts, data, start, end);
      break;
    case 'array':
      reshapeArray(shape, parts, data, start, end);
      break;
    case 'range':
      // int8 flags, the bounds that it has.
      for (let at = start + 1; at < end;) at = parts.value(at, shape.of);
      break;
    case 'multirange':
      // int32 ranges, each int32 length and bytes.
      for (let at = start + 4; at < end;) at = parts.value(at, { is: 'range', of: shape.of });
      break;
    case 'char':
      break;
    default:
      unreachable(shape);
  }
  return parts.take(end);
}

// int32 fields, each int32 type, int32 length, bytes (record_send in rowtypes.c).
function reshapeRow(
  { fields, target }: Extract<ValueShape, { is: 'composite' }>,
  parts: Parts,
  data: Buffer,
  start: number,
  end: number,
): void {
  const count = data.readInt32BE(start);
  if (count < target.length) parts.put(start, start + 4, int32(target.length));
  let at = start + 4;
  for (let i = 0; i < count; i++) {
    const field = fields[i];
    if (field) check(field.type, data.readUInt32BE(at));
    at = parts.value(at + 4, field?.of ?? null);
  }
  for (const type of target.slice(count)) parts.put(end, end, Buffer.concat([uint32(type), int32(-1)]));
}

// int32 dimensions, int32 has-nulls, int32 type, int32 length and int32 lower bound a dimension, elements (array_send in arrayfuncs.c).
function reshapeArray(
  { of, element }: Extract<ValueShape, { is: 'array' }>,
  parts: Parts,
  data: Buffer,
  start: number,
  end: number,
): void {
  check(element, data.readUInt32BE(start + 8));
  if (!of) return;
  for (let at = start + 12 + 8 * data.readInt32BE(start); at < end;) at = parts.value(at, of);
}

function check(expected: Oid | null, found: Oid): void {
  if (expected !== null && found !== expected && !isBuiltIn(found)) throw new OtherType();
}

/** A value in the making: what stays is a slice of what came. */
class Parts {
  readonly #data: Buffer;
  readonly #parts: Buffer[] = [];
  /** Up to here all is in the parts. */
  #done: number;

  constructor(data: Buffer, start: number) {
    this.#data = data;
    this.#done = start;
  }

  /** Puts bytes in the place of [from, to). */
  put(from: number, to: number, bytes: Buffer): void {
    this.#parts.push(this.#data.subarray(this.#done, from), bytes);
    this.#done = to;
  }

  /** Looks at a value inside, int32 length and bytes; gives where it ends. */
  value(at: number, shape: ValueShape | null): number {
    const length = this.#data.readInt32BE(at);
    if (length < 0) return at + 4;
    const end = at + 4 + length;
    const changed = shape && reshapeBinary(shape, this.#data, at + 4, end);
    if (changed) this.put(at, end, Buffer.concat([int32(changed.length), changed]));
    return end;
  }

  /** Null where nothing was put. */
  take(end: number): Buffer | null {
    return this.#parts.length === 0 ? null : Buffer.concat([...this.#parts, this.#data.subarray(this.#done, end)]);
  }
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
