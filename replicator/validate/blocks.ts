import { Portion } from './portion.ts';
import type { Blocks, Query, SideSql } from './side-sql.ts';
import type { Side } from './side.ts';

export interface Extent {
  readonly blocks: number;
  /** Another one when the table was rewritten. */
  readonly files: string | null;
}

export async function readExtent(side: Side, sql: SideSql): Promise<Extent> {
  return await side.row<Extent>(sql.extent());
}

/** Every row that is there from the beginning to the end of the walk, a few blocks of a table at a time. */
export async function* walkBlocks<Row extends object>(
  side: Side,
  sql: SideSql,
  query: (blocks: Blocks) => Query,
): AsyncGenerator<Row[]> {
  const portion = new Portion({ least: 1, first: 32, most: 256 });
  const { blocks } = await readExtent(side, sql);
  let from: number | null = 0;
  while (from !== null) {
    const start: number = from;
    const part: { readonly rows: Row[]; readonly to: number | null } = await portion.take(async (size) => {
      // What was added behind the end meanwhile belongs to the last part.
      const to = start + size < blocks ? start + size : null;
      return { rows: await side.rows<Row>(query({ from: start, to })), to };
    });
    yield part.rows;
    from = part.to;
  }
}
