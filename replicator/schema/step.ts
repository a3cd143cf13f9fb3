import type { RelationName, TableMapping } from '../catalog/relation.ts';
import type { Rename } from './table-sql.ts';
import { renameColumnsSql } from './table-sql.ts';

/** One thing that a table of ours gets after its rows, made in one transaction. */
export interface Step {
  /** Kind and name on the source; what pgfollow.created_part remembers. */
  readonly part: string;
  /** Parts that must be there before. */
  readonly after: readonly string[];
  readonly sql: readonly string[];
  /** Rows are found by it: without it the table cannot be followed at any speed. */
  readonly isKey: boolean;
  /** The index that the first statement makes, where that could be done while others write. */
  readonly index?: RelationName;
}

/** What is left to make of one followed table. */
export interface TablePlan {
  readonly mapping: TableMapping;
  readonly steps: readonly Step[];
  /** What cannot be made, and why: it uses a column that is not carried. */
  readonly impossible: readonly { readonly part: string; readonly reason: string }[];
}

/** Puts the source's column names back while the statements run, which speak of them; the table is locked meanwhile. */
export function inSourceNames(table: RelationName, renamed: readonly Rename[], sql: readonly string[]): string[] {
  const back = renamed.map(({ from, to }) => ({ from: to, to: from }));
  return [...renameColumnsSql(table, back), ...sql, ...renameColumnsSql(table, renamed)];
}
