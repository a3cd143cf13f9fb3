import { quoteRelation } from '../postgres/quote.ts';
import { COLUMN, type InsertMessage, type Tuple } from '../pgoutput/messages.ts';
import { Problem } from '../problem.ts';
import type { MappedColumn, RowMap } from './row-map.ts';
import { describeKey, kindAt, locateColumns, newOffsets } from './tuple.ts';

/** Scratch offsets for the one tuple that is looked at. */
const scratch = newOffsets();

/** Whether a value of the row was left out, and no older version of it has that either. */
export function lacksValue(tuple: Tuple, columns: readonly MappedColumn[], older: readonly Tuple[] = []): boolean {
  if (!tuple.partial) return false;
  return columns.some((column) => [tuple, ...older].every((version) => isUnchanged(version, column)));
}

/** Whether a column's value was left out, because it is long (TOAST) and did not change. */
export function isUnchanged(tuple: Tuple, column: MappedColumn): boolean {
  if (!tuple.partial) return false;
  locateColumns(tuple, scratch);
  return kindAt(tuple, scratch, column) === COLUMN.unchangedToast;
}

/**
 * Throws VALUE_NOT_SENT for an INSERT that does not hold the whole row. PostgreSQL makes one of an UPDATE that brings a row into the row
 * filter, and leaves out long values that the UPDATE did not change, unless the replica identity holds them (pgoutput_row_filter() in pgoutput.c).
 */
export function refuseMissingValues({ row }: InsertMessage, map: RowMap): void {
  if (!lacksValue(row, map.columns)) return;
  const missing = map.columns.filter((column) => isUnchanged(row, column)).map(({ target }) => target.name);
  throw new Problem(
    'VALUE_NOT_SENT',
    `A row of ${map.table} (${describeKey(map, row)}) has come to fit the row filter by an UPDATE that left ${missing.join(', ')} unchanged: PostgreSQL does not send such long values, and the target does not have them.`,
    {
      table: map.table,
      retry: 'transient',
      remedy: `On the source, so that it sends them from here on: ALTER TABLE ${quoteRelation(map.relation)} REPLICA IDENTITY FULL; then: pgfollow resync ${map.table}`,
    },
  );
}
