import type { Client } from 'pg';
import { targetColumn } from '../catalog/create-table.ts';
import { displayName, type Relation, type TableMapping } from '../catalog/relation.ts';
import { storeMappings } from '../metadata/many-tables.ts';
import type { StoredMapping, StoredTable } from '../metadata/table-states.ts';
import type { FollowedTable } from './followed-table.ts';

/** What of a mapping decides which rows and values the target has. The filter of a publication that is used as it is, its entries tell. */
export function mappedAs({ where, excludeColumns, renameColumns }: TableMapping, managed: boolean): StoredMapping {
  return { where: managed ? where : null, exclude: excludeColumns.toSorted(), rename: renameColumns };
}

/** Whether the rows went to this target table before, or nothing is known of them. */
export function goesWhereItWent({ target }: TableMapping, before: Pick<StoredTable, 'target'> | null): boolean {
  return !before || displayName(before.target) === displayName(target);
}

/**
 * Whether the configuration maps a table so that its target lacks rows or values that the stream will not bring: to another table, by another
 * filter, with a column that was left out, or to another column. A name that is new on the source is no matter.
 */
export function isRemapped(
  before: Pick<StoredTable, 'target' | 'columns' | 'mapping'>,
  { mapping, source }: { mapping: TableMapping; source: Relation },
  now: StoredMapping,
): boolean {
  if (!goesWhereItWent(mapping, before)) return true;
  const then = before.mapping;
  if (!then) return false;
  if (then.where !== now.where) return true;
  const carried = source.columns.filter(({ generated, name }) => generated === 'no' && !now.exclude.includes(name));
  const known = new Set(before.columns?.map(([name]) => name));
  const wentTo = { ...mapping, renameColumns: then.rename };
  return carried.some(
    ({ name }) => then.exclude.includes(name) || (known.has(name) && targetColumn(name, wentTo) !== targetColumn(name, mapping)),
  );
}

/** The same text for the same mapping, whatever the order in which a database gives its parts. */
export function asText({ where, exclude, rename }: StoredMapping): string {
  return JSON.stringify([where, exclude, Object.entries(rename).toSorted(([a], [b]) => (a < b ? -1 : 1))]);
}

/** Writes down how these tables are mapped from here on. */
export async function noteMappings(target: Client, pipeline: string, tables: readonly FollowedTable[]): Promise<void> {
  const others = tables.filter((table) => table.savedMapping !== asText(table.mappedAs));
  if (others.length === 0) return;
  await storeMappings(
    target,
    pipeline,
    others.map(({ mapping, mappedAs: now }) => ({ source: mapping.source, mapping: now })),
  );
  for (const table of others) table.savedMapping = asText(table.mappedAs);
}
