import { Turns } from '../postgres/turns.ts';
import { COLUMN, type Tuple } from '../pgoutput/messages.ts';
import { isFixed, type ColumnMatch } from './image-match.ts';
import type { MappedColumn } from './row-map.ts';
import { bytesKey, locateColumns, newOffsets } from './tuple.ts';

/** How each column is compared with those of many images. Without one that is "equal" rows are compared whole. */
export type ImagesMatch = readonly Exclude<ColumnMatch, 'equal or both null'>[];

/** What an index or a hash may be made of without a thought: rows would have to be fetched whole for long values. */
const SHORT_BYTES = 256;

/** With more images than this to be compared with each row of the table, on average, it is better to hash more of a row. */
const MOST_ALIKE = 8;

/** Images that are looked at before it is asked whether the event loop is due for a turn. */
const IMAGES_A_LOOK = 1024;

/**
 * How a table is searched for these images: by the columns of which all have a value; by long ones only where the others do not tell the images apart;
 * by whole rows where nothing else does. The images are all that is known of the table's rows, which they were.
 */
export async function matchImages(columns: readonly MappedColumn[], images: readonly Tuple[]): Promise<ImagesMatch> {
  const { nulls, longest } = await lookAt(columns, images);
  const inAll = (i: number): boolean => nulls[i] === 0 && columns[i]?.target.type.hasEquality === true;
  const short = columns.map((column, i) => inAll(i) && (isFixed(column) || (longest[i] ?? 0) <= SHORT_BYTES));
  const any = columns.map((_, i) => inAll(i));
  for (const equal of [short, any]) {
    if (!equal.includes(true)) continue;
    const keys = columns.filter((_, i) => equal[i]);
    if (images.length > MOST_ALIKE && (await alike(keys, images)) > MOST_ALIKE) continue;
    return columns.map((_, i) => (equal[i] ? 'equal' : nulls[i] === images.length ? 'null' : 'same'));
  }
  return columns.map(() => 'same');
}

async function lookAt(
  columns: readonly MappedColumn[],
  images: readonly Tuple[],
): Promise<{ nulls: readonly number[]; longest: readonly number[] }> {
  const nulls = columns.map(() => 0);
  const longest = columns.map(() => 0);
  const offsets = newOffsets();
  const turns = new Turns();
  for (const [n, image] of images.entries()) {
    locateColumns(image, offsets);
    for (const [i, { index }] of columns.entries()) {
      const at = offsets[index] ?? image.start;
      const kind = image.data[at];
      if (kind !== COLUMN.text && kind !== COLUMN.binary) nulls[i] = (nulls[i] ?? 0) + 1;
      else longest[i] = Math.max(longest[i] ?? 0, image.view.getInt32(at + 1));
    }
    if (n % IMAGES_A_LOOK === 0) await turns.give();
  }
  return { nulls, longest };
}

/** How many images have the same values here as one of them has, on average. */
async function alike(columns: readonly MappedColumn[], images: readonly Tuple[]): Promise<number> {
  const counts = new Map<string, number>();
  const turns = new Turns();
  let pairs = 0;
  for (const [n, image] of images.entries()) {
    const key = bytesKey(image, columns);
    const before = counts.get(key) ?? 0;
    counts.set(key, before + 1);
    pairs += 2 * before + 1;
    if (n % IMAGES_A_LOOK === 0) await turns.give();
  }
  return pairs / images.length;
}
