import { COLUMN, type Tuple } from '../pgoutput/messages.ts';
import type { MappedColumn, RowMap } from './row-map.ts';
import type { ImageNulls } from './statements.ts';
import { kindAt, type Offsets } from './tuple.ts';

/** Statements of their own for so many combinations of columns that are NULL in images of a table; one serves all others. */
const MOST_PATTERNS = 16;

interface NullPattern {
  readonly nulls: ImageNulls;
  /** Tells statements apart. */
  readonly pattern: string;
}

const NONE: NullPattern = { nulls: 'any', pattern: '' };
const ANY: NullPattern = { nulls: 'any', pattern: '?' };

/** Which columns of an image are NULL decides by which statement its row is found. */
export class NullPatterns {
  readonly #known = new WeakMap<RowMap, Map<string, NullPattern>>();

  /** `offsets` are those of the image. Nothing to be told where a key finds the row. */
  of(map: RowMap, image: Tuple, offsets: Offsets): NullPattern {
    if (map.find.by === 'key') return NONE;
    const nulls: MappedColumn[] = [];
    for (const column of map.find.columns) if (kindAt(image, offsets, column) === COLUMN.null) nulls.push(column);
    const pattern = ` null ${nulls.map(({ index }) => index).join()}`;
    const known = this.#known.get(map) ?? new Map<string, NullPattern>();
    const found = known.get(pattern);
    if (found) return found;
    if (known.size >= MOST_PATTERNS) return ANY;
    const made = { nulls: new Set(nulls), pattern };
    this.#known.set(map, known.set(pattern, made));
    return made;
  }
}
