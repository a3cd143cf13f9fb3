import { COLUMN, type Tuple } from '../pgoutput/messages.ts';
import { Turns } from '../postgres/turns.ts';
import { Problem } from '../problem.ts';
import type { RowChange } from './plan.ts';
import { OtherType, reshapeBinary } from './reshape-binary.ts';
import { MARK, marked, reshapeText } from './reshape-text.ts';
import type { RowMap } from './row-map.ts';
import { locateColumns, newOffsets, valueEnd } from './tuple.ts';
import type { ValueShape } from './value-shape.ts';

/** Changes that are looked at before it is asked whether the event loop is due for a turn. */
const CHANGES_A_LOOK = 256;

/** A column of the stream whose values are looked at on their way. */
export interface ReshapedColumn {
  /** Position in the stream's tuples. */
  readonly index: number;
  readonly shape: ValueShape;
  /** Its text may hold bytes that are told by their number. */
  readonly marked: boolean;
}

/** A change as the target takes it; most are as they came. Throws TYPE_EXCHANGED. */
export function reshapeChange<T extends RowChange>(change: T, map: Pick<RowMap, 'reshaped' | 'table'>): T {
  if (map.reshaped.length === 0) return change;
  try {
    return inShape(change, map.reshaped);
  } catch (error) {
    throw error instanceof OtherType ? typeExchanged(map.table, 'a field or element of its values') : error;
  }
}

/** As reshapeChange(), for many: gives way to others now and then. */
export async function reshapeChanges(
  map: Pick<RowMap, 'reshaped' | 'table'>,
  changes: readonly RowChange[],
): Promise<readonly RowChange[]> {
  if (map.reshaped.length === 0) return changes;
  const turns = new Turns();
  const reshaped: RowChange[] = [];
  for (const change of changes) {
    reshaped.push(reshapeChange(change, map));
    if (reshaped.length % CHANGES_A_LOOK === 0) await turns.give();
  }
  return reshaped;
}

/** Changes cannot be read, because they are from before a column, or what it is made of, got another type. */
export function typeExchanged(table: string, what: string): Problem {
  return new Problem(
    'TYPE_EXCHANGED',
    `Changes of ${table} that are still on their way were written when ${what} was of another type, whose binary form the type of now does not read.`,
    {
      table,
      retry: 'transient',
      remedy: `pgfollow resync ${table}: it is copied again as it is now.`,
    },
  );
}

function inShape<T extends RowChange>(change: T, columns: readonly ReshapedColumn[]): T {
  const row = change.kind === 'delete' ? null : reshapeTuple(change.row, columns);
  const old = change.kind === 'insert' || !change.old ? null : reshapeTuple(change.old.tuple, columns);
  const rowChanged = change.kind !== 'delete' && row !== change.row;
  const oldChanged = change.kind !== 'insert' && change.old !== null && old !== change.old.tuple;
  if (!rowChanged && !oldChanged) return change;
  return {
    ...change,
    ...(rowChanged ? { row } : {}),
    ...(oldChanged ? { old: { ...change.old, tuple: old } } : {}),
  };
}

const offsets = newOffsets();

/** The same tuple where nothing has to be changed. */
function reshapeTuple(tuple: Tuple, columns: readonly ReshapedColumn[]): Tuple {
  const { data } = tuple;
  locateColumns(tuple, offsets);
  const parts: Buffer[] = [];
  let done = tuple.start;
  for (const { index, ...how } of columns) {
    const at = offsets[index] ?? tuple.start;
    const kind = data[at];
    if (kind !== COLUMN.text && kind !== COLUMN.binary) continue;
    const end = valueEnd(tuple, at);
    const value =
      kind === COLUMN.binary ? reshapeBinary(how.shape, data, at + 5, end) : reshapedText(how, data.subarray(at + 5, end));
    if (!value) continue;
    const length = Buffer.alloc(4);
    length.writeInt32BE(value.length);
    parts.push(data.subarray(done, at + 1), length, value);
    done = end;
  }
  if (parts.length === 0) return tuple;
  const changed = Buffer.concat([...parts, data.subarray(done, tuple.end)]);
  const view = new DataView(changed.buffer, changed.byteOffset, changed.length);
  return { ...tuple, data: changed, view, start: 0, end: changed.length };
}

function reshapedText({ shape, marked: mayMark }: Omit<ReshapedColumn, 'index'>, bytes: Buffer): Buffer | null {
  const changed = reshapeText(shape, bytes.toString('latin1'));
  if (mayMark) return changed !== null || bytes.includes(MARK) ? marked(changed ?? bytes.toString('latin1')) : null;
  return changed === null ? null : Buffer.from(changed, 'latin1');
}
