import { Turns } from '../postgres/turns.ts';
import { COLUMN, type Tuple } from '../pgoutput/messages.ts';
import { isFixed, isMeasured, type ColumnMatch } from './image-match.ts';
import type { MappedColumn } from './row-map.ts';
import { bytesKey, locateColumns, newOffsets } from './tuple.ts';

/** How rows of the table are compared with many images. */
export interface ImagesMatch {
  /** Each column. Without one that is "equal" rows are compared whole. */
  readonly columns: readonly Exclude<ColumnMatch, 'equal or both null'>[];
  /** What is looked at first, of each column, to leave out most rows of the table at little cost; null for nothing. */
  readonly sieve: readonly ('value' | 'length' | null)[];
}

/** What an index or a hash may be made of without a thought: rows would have to be fetched whole for long values. */
const SHORT_BYTES = 256;

/** With more images than this to be compared with each row of the table, on average, it is better to hash more of a row. */
const MOST_ALIKE = 8;

/** Images that are looked at before it is asked whether the event loop is due for a turn. */
const IMAGES_A_LOOK = 1024;

/**
 * How a table is searched for these images: by the columns of which all have a value; by long ones only where the others do not tell the images apart,
 * and by their lengths first; by whole rows where nothing else does. The images are all that is known of the table's rows, which they were.
 */
export async function matchImages(columns: readonly MappedColumn[], images: readonly Tuple[]): Promise<ImagesMatch> {
  const { nulls, longest } = await lookAt(columns, images);
  const any = columns.map((column, i) => nulls[i] === 0 && column.target.type.hasEquality);
  const short = columns.map((column, i) => any[i] === true && (isFixed(column) || (longest[i] ?? 0) <= SHORT_BYTES));
  const measured = columns.map((column, i) => any[i] === true && !short[i] && isMeasured(column));
  const lengths = columns.filter((_, i) => measured[i]);
  const wide = any.some((is, i) => is && !short[i]);
  const by = (equal: readonly boolean[], withLengths: boolean): ImagesMatch => ({
    columns: columns.map((_, i) => (equal[i] ? 'equal' : nulls[i] === images.length ? 'null' : 'same')),
    sieve: columns.map((_, i) => {
      if (withLengths && measured[i]) return 'length';
      return (withLengths ? short : equal)[i] ? 'value' : null;
    }),
  });
  const inShort = columns.filter((_, i) => short[i]);
  if (inShort.length > 0) {
    const pairs = await alike(images, inShort);
    // A few images cost little, whatever they have in common; but then most of the table may have it too.
    if (pairs <= MOST_ALIKE || images.length <= MOST_ALIKE) return by(short, pairs > 1);
  }
  if (wide) {
    if (lengths.length > 0 && (await alike(images, inShort, lengths)) <= MOST_ALIKE) return by(any, true);
    if (
      images.length <= MOST_ALIKE ||
      (await alike(
        images,
        columns.filter((_, i) => any[i]),
      )) <= MOST_ALIKE
    )
      return by(any, false);
  }
  return { columns: columns.map(() => 'same'), sieve: columns.map(() => null) };
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

/** How many images have the same values here, and values of the same length there, as one of them has, on average. */
async function alike(
  images: readonly Tuple[],
  columns: readonly MappedColumn[],
  lengths: readonly MappedColumn[] = [],
): Promise<number> {
  const counts = new Map<string, number>();
  const offsets = newOffsets();
  const turns = new Turns();
  let pairs = 0;
  for (const [n, image] of images.entries()) {
    let key = bytesKey(image, columns);
    if (lengths.length > 0) locateColumns(image, offsets);
    for (const { index } of lengths) key += ` ${image.view.getInt32((offsets[index] ?? image.start) + 1)}`;
    const before = counts.get(key) ?? 0;
    counts.set(key, before + 1);
    pairs += 2 * before + 1;
    if (n % IMAGES_A_LOOK === 0) await turns.give();
  }
  return pairs / images.length;
}
