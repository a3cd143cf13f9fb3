import type { FrameWriter } from '../postgres/frame-writer.ts';
import { COLUMN, type Tuple } from '../pgoutput/messages.ts';
import { TYPE_OID } from '../postgres/oid.ts';
import type { MappedColumn, RowMap } from './row-map.ts';

/** Where each column of one tuple begins; reused for every row, so that a row costs no allocation. */
export type Offsets = Int32Array;

/** A table has at most 1,600 columns (MaxHeapAttributeNumber). */
export function newOffsets(): Offsets {
  return new Int32Array(1664);
}

/** Fills in where the kind byte of each column is. */
export function locateColumns(tuple: Tuple, offsets: Offsets): void {
  const { data, view } = tuple;
  let at = tuple.start;
  for (let i = 0; i < tuple.columns; i++) {
    offsets[i] = at;
    const kind = data[at++];
    if (kind === COLUMN.text || kind === COLUMN.binary) at += 4 + view.getInt32(at);
  }
}

export function kindAt(tuple: Tuple, offsets: Offsets, column: MappedColumn): number {
  return tuple.data[offsets[column.index] ?? -1] ?? COLUMN.null;
}

/** Where the column that begins at `at` ends. */
export function valueEnd(tuple: Tuple, at: number): number {
  const kind = tuple.data[at];
  return kind === COLUMN.text || kind === COLUMN.binary ? at + 5 + tuple.view.getInt32(at + 1) : at + 1;
}

/** Scratch offsets for the one tuple that is looked at. */
const scratch = newOffsets();

/** The bytes of the given columns as a Map key: lengths included, so that no two lists of values look the same. */
export function bytesKey(tuple: Tuple, columns: readonly MappedColumn[]): string {
  locateColumns(tuple, scratch);
  let key = '';
  for (const column of columns) {
    const at = scratch[column.index] ?? 0;
    key += tuple.data.toString('latin1', at, valueEnd(tuple, at));
  }
  return key;
}

/** Writes one column as a parameter: the length and bytes stand in the tuple just as Bind wants them. */
export function writeParameter(writer: FrameWriter, tuple: Tuple, offsets: Offsets, column: MappedColumn): void {
  const at = offsets[column.index] ?? tuple.start;
  const kind = tuple.data[at];
  if (kind === COLUMN.text || kind === COLUMN.binary) {
    writer.slice(tuple, at + 1, at + 5 + tuple.view.getInt32(at + 1));
  } else {
    writer.int32(-1);
  }
}

/** The columns that find a row, for people: `id=5, region='eu'`. Long values are cut. */
export function describeKey(map: RowMap, tuple: Tuple): string {
  const offsets = newOffsets();
  locateColumns(tuple, offsets);
  return map.find.columns
    .map(
      (column) =>
        `${column.target.name}=${describeValue(tuple, offsets[column.index] ?? tuple.start, map.relation.columns[column.index]?.typeOid)}`,
    )
    .join(', ')
    .slice(0, 500);
}

function describeValue(tuple: Tuple, at: number, typeOid: number | undefined): string {
  const kind = tuple.data[at];
  if (kind === COLUMN.null) return 'NULL';
  if (kind === COLUMN.unchangedToast) return '(unchanged)';
  const bytes = tuple.data.subarray(at + 5, at + 5 + tuple.data.readInt32BE(at + 1));
  if (kind === COLUMN.text) return bytes.toString('utf8').slice(0, 100);
  switch (typeOid) {
    case TYPE_OID.int2:
      return String(bytes.readInt16BE());
    case TYPE_OID.int4:
      return String(bytes.readInt32BE());
    case TYPE_OID.int8:
      return String(bytes.readBigInt64BE());
    case TYPE_OID.text:
    case TYPE_OID.varchar:
    case TYPE_OID.bpchar:
    case TYPE_OID.name:
      return bytes.toString('utf8').slice(0, 100);
    case TYPE_OID.bool:
      return bytes[0] === 1 ? 't' : 'f';
    case TYPE_OID.date:
      return dateText(bytes.readInt32BE());
    case TYPE_OID.uuid:
      return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
    default:
      return String.raw`\x${bytes.toString('hex').slice(0, 100)}`;
  }
}

/** Days since 2000-01-01 for people; what JavaScript's calendar does not reach stays a number of days. */
function dateText(days: number): string {
  const date = new Date(Date.UTC(2000, 0, 1) + days * 86_400_000);
  return Number.isNaN(date.getTime()) || date.getUTCFullYear() < 0
    ? `${days} days since 2000-01-01`
    : date.toISOString().slice(0, 10);
}
