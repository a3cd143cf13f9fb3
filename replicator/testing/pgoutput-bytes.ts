// pgoutput messages as the server writes them, byte by byte, for tests without one.
// https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
import type { Oid } from '../postgres/oid.ts';

/** A column whose TOASTed value did not change and was not sent. */
export const UNCHANGED = Symbol('unchanged TOAST');

/** NULL, unchanged, text, or binary. */
export type Cell = null | typeof UNCHANGED | string | Buffer;

export function int8(value: number): Buffer {
  return Buffer.of(value & 0xff);
}

export function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

/** Signed or unsigned. */
export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

export function int64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt.asUintN(64, value));
  return bytes;
}

export function cstring(text: string): Buffer {
  return Buffer.from(`${text}\0`);
}

/** Parts one after the other; a text is its bytes, such as the letter that names a message. */
export function bytes(...parts: (string | Buffer)[]): Buffer {
  return Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
}

const MICROSECONDS_1970_TO_2000 = 946_684_800_000_000n;

function timestamp(ms: number): Buffer {
  return int64(BigInt(ms) * 1000n - MICROSECONDS_1970_TO_2000);
}

export function begin({
  finalLsn = 1n,
  committedAtMs = 0,
  xid = 1,
}: { finalLsn?: bigint; committedAtMs?: number; xid?: number } = {}): Buffer {
  return bytes('B', int64(finalLsn), timestamp(committedAtMs), int32(xid));
}

export function commit({
  commitLsn = 1n,
  endLsn = 2n,
  committedAtMs = 0,
}: { commitLsn?: bigint; endLsn?: bigint; committedAtMs?: number } = {}): Buffer {
  return bytes('C', int8(0), int64(commitLsn), int64(endLsn), timestamp(committedAtMs));
}

export function origin(name: string, lsn = 7n): Buffer {
  return bytes('O', int64(lsn), cstring(name));
}

export interface RelationBytes {
  readonly oid: Oid;
  readonly schema?: string;
  readonly name?: string;
  /** default, using index, full, nothing */
  readonly identity?: 'd' | 'i' | 'f' | 'n';
  readonly columns: readonly { name: string; key?: boolean; type?: Oid; typmod?: number }[];
}

export function relation({ oid, schema = 'public', name = 't', identity = 'd', columns }: RelationBytes): Buffer {
  const described = columns.map((column) =>
    bytes(int8(column.key ? 1 : 0), cstring(column.name), int32(column.type ?? 25), int32(column.typmod ?? -1)),
  );
  return bytes('R', int32(oid), cstring(schema), cstring(name), identity, int16(columns.length), ...described);
}

export function type(oid: Oid, schema: string, name: string): Buffer {
  return bytes('Y', int32(oid), cstring(schema), cstring(name));
}

export function tuple(cells: readonly Cell[]): Buffer {
  return bytes(int16(cells.length), ...cells.map(cellBytes));
}

export function insert(oid: Oid, row: readonly Cell[]): Buffer {
  return bytes('I', int32(oid), 'N', tuple(row));
}

export function update(oid: Oid, row: readonly Cell[], old?: { key: readonly Cell[] } | { full: readonly Cell[] }): Buffer {
  const before = !old ? '' : 'key' in old ? bytes('K', tuple(old.key)) : bytes('O', tuple(old.full));
  return bytes('U', int32(oid), before, 'N', tuple(row));
}

export function remove(oid: Oid, old: { key: readonly Cell[] } | { full: readonly Cell[] }): Buffer {
  return bytes('D', int32(oid), 'key' in old ? bytes('K', tuple(old.key)) : bytes('O', tuple(old.full)));
}

export function truncate(oids: readonly Oid[], { cascade = false, restartIdentity = false } = {}): Buffer {
  return bytes('T', int32(oids.length), int8((cascade ? 1 : 0) | (restartIdentity ? 2 : 0)), ...oids.map(int32));
}

export function logicalMessage(prefix: string, content: string, { transactional = true, lsn = 9n } = {}): Buffer {
  return bytes('M', int8(transactional ? 1 : 0), int64(lsn), cstring(prefix), int32(Buffer.byteLength(content)), content);
}

export function streamStart(xid: number, first = true): Buffer {
  return bytes('S', int32(xid), int8(first ? 1 : 0));
}

export function streamStop(): Buffer {
  return bytes('E');
}

export function streamCommit({
  xid,
  commitLsn = 1n,
  endLsn = 2n,
  committedAtMs = 0,
}: {
  xid: number;
  commitLsn?: bigint;
  endLsn?: bigint;
  committedAtMs?: number;
}): Buffer {
  return bytes('c', int32(xid), int8(0), int64(commitLsn), int64(endLsn), timestamp(committedAtMs));
}

export function streamAbort(xid: number, subxid = xid): Buffer {
  return bytes('A', int32(xid), int32(subxid));
}

/** A message as it is within a stretch of a transaction in progress. */
export function streamed(xid: number, message: Buffer): Buffer {
  return bytes(message.subarray(0, 1), int32(xid), message.subarray(1));
}

/** The message as it lies in the replication stream: CopyData holding XLogData ('w', three int64). */
export function onTheWire(message: Buffer, lsn = 0n): Buffer {
  const data = bytes('w', int64(lsn), int64(lsn), int64(0n), message);
  return bytes('d', int32(data.length + 4), data);
}

function cellBytes(cell: Cell): Buffer {
  if (cell === null) return bytes('n');
  if (cell === UNCHANGED) return bytes('u');
  const value = Buffer.from(cell);
  return bytes(typeof cell === 'string' ? 't' : 'b', int32(value.length), value);
}
