import type { FrameWriter } from '../postgres/frame-writer.ts';
import type { StatementPipe } from '../postgres/statement-pipe.ts';
import { quoteIdent, quoteRelation } from '../postgres/quote.ts';
import { COLUMN, type Tuple } from '../pgoutput/messages.ts';
import type { RowVersions } from './coalesce.ts';
import type { MappedColumn, RowMap } from './row-map.ts';
import { kindAt, locateColumns, newOffsets, valueEnd } from './tuple.ts';

/** PGCOPY\n\377\r\n\0, int32 flags, int32 length of the extension: the header of COPY BINARY. */
const BINARY_HEADER = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
/** A CopyData message holds rows of about this size, so that writing stops now and then for the socket. */
const MESSAGE_BYTES = 1 << 15;

const BACKSLASH = 0x5c;
const ESCAPED = new Map([
  [0x08, 0x62],
  [0x09, 0x74],
  [0x0a, 0x6e],
  [0x0b, 0x76],
  [0x0c, 0x66],
  [0x0d, 0x72],
  [BACKSLASH, BACKSLASH],
]);
const NULL_TEXT = Buffer.from(String.raw`\N`);

const offsets = newOffsets();

/** COPY … FROM STDIN for the rows of this map, in the stream's own format. */
function copyRowsSql(map: RowMap, binary: boolean): string {
  const columns = map.columns.map((column) => quoteIdent(column.target.name)).join(', ');
  return `COPY ${quoteRelation(map.target)}${columns === '' ? '' : ` (${columns})`} FROM STDIN (FORMAT ${binary ? 'binary' : 'text'})`;
}

/** Writes rows as one COPY into the pipe, straight from the bytes that were received. */
export async function copyRows(pipe: StatementPipe, map: RowMap, rows: readonly RowVersions[], binary: boolean): Promise<void> {
  pipe.beginCopy(copyRowsSql(map, binary));
  let writer = pipe.copyRows();
  let started = writer.length;
  if (binary) writer.bytes(BINARY_HEADER);
  const whole = takesAllColumns(map);
  for (const row of rows) {
    if (binary && whole && !row.row.partial) wholeBinaryRow(writer, row.row);
    else if (binary) binaryRow(writer, map.columns, row);
    else textRow(writer, map.columns, row);
    if (writer.length - started < MESSAGE_BYTES) continue;
    pipe.endCopyRows();
    if (pipe.full) await pipe.drain();
    writer = pipe.copyRows();
    started = writer.length;
  }
  if (binary) writer.int16(-1);
  pipe.endCopyRows();
  pipe.endCopy();
}

// The target takes every column that is sent, in the same order.
function takesAllColumns(map: RowMap): boolean {
  return map.columns.length === map.relation.columns.length && map.columns.every((column, i) => column.index === i);
}

// As binaryRow(), for a row that goes as it came.
function wholeBinaryRow(writer: FrameWriter, tuple: Tuple): void {
  writer.int16(tuple.columns);
  const { data, view, end } = tuple;
  for (let at = tuple.start; at < end;) {
    if (data[at] === COLUMN.null) {
      writer.int32(-1);
      at++;
    } else {
      const next = at + 5 + view.getInt32(at + 1);
      writer.slice(tuple, at + 1, next);
      at = next;
    }
  }
}

// int16 columns, each int32 length and bytes: the received column without its kind byte.
function binaryRow(writer: FrameWriter, columns: readonly MappedColumn[], { row, older }: RowVersions): void {
  writer.int16(columns.length);
  locateColumns(row, offsets);
  for (const column of columns) {
    const at = offsets[column.index] ?? row.start;
    if (row.data[at] === COLUMN.unchangedToast) {
      const place = olderPlace(older, column);
      binaryValue(writer, place.tuple, place.at);
    } else {
      binaryValue(writer, row, at);
    }
  }
}

function binaryValue(writer: FrameWriter, tuple: Tuple, at: number): void {
  if (tuple.data[at] === COLUMN.null) writer.int32(-1);
  else writer.slice(tuple, at + 1, valueEnd(tuple, at));
}

// Columns between tabs, a newline at the end, specials escaped by a backslash, \N for NULL (COPY's text format).
function textRow(writer: FrameWriter, columns: readonly MappedColumn[], { row, older }: RowVersions): void {
  locateColumns(row, offsets);
  for (const [i, column] of columns.entries()) {
    if (i > 0) writer.byte(0x09);
    const at = offsets[column.index] ?? row.start;
    if (row.data[at] === COLUMN.unchangedToast) {
      const place = olderPlace(older, column);
      textValue(writer, place.tuple, place.at);
    } else {
      textValue(writer, row, at);
    }
  }
  writer.byte(0x0a);
}

function textValue(writer: FrameWriter, tuple: Tuple, at: number): void {
  const { data } = tuple;
  if (data[at] === COLUMN.null) {
    writer.bytes(NULL_TEXT);
    return;
  }
  const end = valueEnd(tuple, at);
  let from = at + 5;
  for (let i = from; i < end; i++) {
    const byte = data[i] ?? 0;
    if (byte > 0x0d && byte !== BACKSLASH) continue;
    const letter = ESCAPED.get(byte);
    if (letter === undefined) continue;
    writer.slice(tuple, from, i);
    writer.byte(BACKSLASH);
    writer.byte(letter);
    from = i + 1;
  }
  writer.slice(tuple, from, end);
}

/** Where the value of a column is that the newest version left out. coalesce() gives no row that lacks a value. */
export function olderPlace(older: readonly Tuple[] | undefined, column: MappedColumn): { tuple: Tuple; at: number } {
  const places = newOffsets();
  for (const tuple of older ?? []) {
    locateColumns(tuple, places);
    if (kindAt(tuple, places, column) !== COLUMN.unchangedToast) return { tuple, at: places[column.index] ?? tuple.start };
  }
  throw new RangeError(`no version of the row carries column ${column.target.name}`);
}
