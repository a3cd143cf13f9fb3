import { binaryIsSafe, readsHighChars } from '../catalog/binary.ts';
import type { Config } from '../config/schema.ts';
import type { Relation } from '../catalog/relation.ts';
import { quoteRelation } from '../postgres/quote.ts';
import { Problem } from '../problem.ts';
import type { CopyTask } from '../snapshot/copy-table.ts';
import type { FollowedTable } from './followed-table.ts';

/** How a table is to be copied; `first`: nobody reads the target yet. */
export function copyTask(
  table: FollowedTable,
  target: Relation,
  options: {
    config: Config;
    versions: { readonly sourceVersion: number; readonly targetVersion: number };
    first?: boolean;
  },
): CopyTask {
  const { config, versions, first = false } = options;
  // What a copy in chunks has left is no state that anybody wants to read, and neither is a table that was just created.
  const ours = table.partial || (table.ours && (first || table.unbuilt)) ? 'truncate' : table.ours ? 'replace' : null;
  return {
    mapping: table.mapping,
    source: table.source,
    target,
    columns: table.columns,
    binary: config.apply.binary === 'auto' && binaryIsSafe(table.columns, versions).safe,
    existingRows: ours ?? config.snapshot.existingRows,
    bare: table.unbuilt,
    refusesHighChars: !readsHighChars(versions),
  };
}

/** Nobody can tell any more which rows of the target are the user's. */
export function rowsMixed(table: FollowedTable): Problem {
  return new Problem(
    'TARGET_TABLE_NOT_EMPTY',
    `${table.name} has to be copied again, and with snapshot.existingRows: keep that is not possible: the rows of its earlier copy can no longer be told from those that were there before.`,
    {
      table: table.name,
      remedy: `Take the copied rows out of ${quoteRelation(table.mapping.target)} on the target; then pgfollow teardown and pgfollow run. Where its own rows may go too: start pgfollow with snapshot.existingRows: truncate, which makes it as the source's.`,
    },
  );
}
