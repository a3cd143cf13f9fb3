import type { FrameWriter } from '../postgres/frame-writer.ts';
import { TYPE_OID, type Oid } from '../postgres/oid.ts';
import { COLUMN, type Tuple } from '../pgoutput/messages.ts';
import type { MappedColumn, RowMap } from './row-map.ts';
import type { ManyValues } from './staged-rows.ts';
import { locateColumns, newOffsets } from './tuple.ts';

/** Where a key's value is: `at` is the kind byte of its column. */
interface KeyPlace {
  readonly tuple: Tuple;
  readonly at: number;
}

/** The least and the greatest of some keys that lie close together. */
export interface KeyRange {
  readonly column: MappedColumn;
  readonly first: KeyPlace;
  readonly last: KeyPlace;
}

/** Fewer keys are found one by one as fast. */
const FEWEST = 500;
/** A row that is passed over costs less than half of what looking one up in the index does. */
const PLACES_A_KEY = 2;
const INTEGERS: readonly Oid[] = [TYPE_OID.int2, TYPE_OID.int4, TYPE_OID.int8];

/**
 * The range of keys that are integers, of one column, and fill at least half of it, as those of a large UPDATE or DELETE do:
 * reading that part of the index in one go costs half of finding each. Null for others.
 */
export function denseRange(map: RowMap, keys: readonly Tuple[]): KeyRange | null {
  const [column, ...more] = map.find.columns;
  if (map.find.by !== 'key' || !column || more.length > 0 || keys.length < FEWEST) return null;
  const { parameterType, target } = column;
  if (!INTEGERS.includes(parameterType) || !INTEGERS.includes(target.type.baseOid)) return null;
  const offsets = newOffsets();
  let first: KeyPlace | null = null;
  let last: KeyPlace | null = null;
  for (const tuple of keys) {
    locateColumns(tuple, offsets);
    const at = offsets[column.index] ?? tuple.start;
    if (tuple.data[at] !== COLUMN.binary) return null;
    if (!first || isLess(tuple, at, first.tuple, first.at)) first = { tuple, at };
    if (!last || isLess(last.tuple, last.at, tuple, at)) last = { tuple, at };
  }
  if (!first || !last || distance(first, last) >= keys.length * PLACES_A_KEY) return null;
  return { column, first, last };
}

/** One value as a parameter. */
export class KeyParameter implements ManyValues {
  readonly #place: KeyPlace;

  constructor(place: KeyPlace) {
    this.#place = place;
  }

  writeTo(writer: FrameWriter): void {
    const { tuple, at } = this.#place;
    writer.slice(tuple, at + 1, at + 5 + tuple.view.getInt32(at + 1));
  }
}

function isLess(a: Tuple, aAt: number, b: Tuple, bAt: number): boolean {
  const difference = high(a, aAt) - high(b, bAt);
  return difference === 0 ? low(a, aAt) < low(b, bAt) : difference < 0;
}

// Exact where it is small, and only then it matters.
function distance(from: KeyPlace, to: KeyPlace): number {
  return (high(to.tuple, to.at) - high(from.tuple, from.at)) * 2 ** 32 + low(to.tuple, to.at) - low(from.tuple, from.at);
}

// An int8 is more than a number holds exactly: its halves, the lower one without a sign.
function high({ view }: Tuple, at: number): number {
  return view.getInt32(at + 1) === 8 ? view.getInt32(at + 5) : 0;
}

function low({ view }: Tuple, at: number): number {
  const bytes = view.getInt32(at + 1);
  if (bytes === 8) return view.getUint32(at + 9);
  return bytes === 4 ? view.getInt32(at + 5) : view.getInt16(at + 5);
}
