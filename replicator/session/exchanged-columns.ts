import type { Client } from 'pg';
import { targetColumn } from '../catalog/create-table.ts';
import type { Relation, TableMapping } from '../catalog/relation.ts';
import { storeColumns } from '../metadata/many-tables.ts';
import type { StoredColumns } from '../metadata/table-states.ts';
import type { FollowedTable } from './followed-table.ts';

/**
 * Which column each name stands for now. A name that is gone on the source is kept for as long as the target has it: what its rows hold
 * there would be wrong for a column that gets the name later.
 */
export function placesOf(
  { mapping, source, target }: { mapping: TableMapping; source: Relation; target: Relation | null },
  before: StoredColumns | null,
): StoredColumns {
  const now = source.columns
    .filter(({ name, generated }) => generated === 'no' && !mapping.excludeColumns.includes(name))
    .map(({ name, attnum }) => [name, attnum] as const);
  const present = new Set(source.columns.map(({ name }) => name));
  const onTarget = new Set(target?.columns.map(({ name }) => name));
  const gone = (before ?? []).filter(([name]) => !present.has(name) && onTarget.has(targetColumn(name, mapping)));
  return [...now, ...gone];
}

/** Whether a name stands for another column than before: what the rows held under it is not in the stream. */
export function areExchanged(before: StoredColumns | null, now: StoredColumns): boolean {
  const known = new Map(before);
  return now.some(([name, attnum]) => (known.get(name) ?? attnum) !== attnum);
}

/** Writes down which column each name of these tables stands for from here on. */
export async function noteColumns(target: Client, pipeline: string, tables: readonly FollowedTable[]): Promise<void> {
  const others = tables.filter((table) => table.savedPlaces !== JSON.stringify(table.places));
  if (others.length === 0) return;
  await storeColumns(
    target,
    pipeline,
    others.map(({ mapping, places }) => ({ source: mapping.source, columns: places })),
  );
  for (const table of others) table.savedPlaces = JSON.stringify(table.places);
}
