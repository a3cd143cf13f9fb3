import type { Client } from 'pg';
import { displayName, type RelationName } from '../catalog/relation.ts';
import { enrollTables, storeMemberships, storeSourceOids } from '../metadata/many-tables.ts';
import { forgetTable, readTables, storeRoute } from '../metadata/table-states.ts';
import { savedAs, standing, type FollowedTable } from './followed-table.ts';

/** Writes down which tables belong to the pipeline, and what stands in the way of some. Tables that left are forgotten. */
export async function storeFollowedTables(
  target: Client,
  pipeline: string,
  tables: readonly FollowedTable[],
): Promise<RelationName[]> {
  const known = await readTables(target, pipeline);
  const names = new Set(tables.map((table) => table.name));
  const left = known.filter((table) => !names.has(displayName(table.source))).map((table) => table.source);
  for (const source of left) await forgetTable(target, pipeline, source);
  const fresh = tables.filter((table) => table.saved === '');
  const enrolled = fresh.map((table) => table.mapping);
  const ours = new Set((await enrollTables(target, pipeline, enrolled)).map(displayName));
  for (const table of fresh) {
    if (ours.has(table.name)) table.ours = true;
    table.saved = savedAs(standing(null));
  }
  for (const table of tables) await saveTable(target, pipeline, table);
  // After their states: a table that took the place of another one must not be taken for that.
  const others = tables.filter((table) => table.storedOid !== table.source.oid);
  if (others.length > 0) {
    const oids = others.map(({ mapping, source }) => ({ source: mapping.source, oid: source.oid }));
    await storeSourceOids(target, pipeline, oids);
    for (const table of others) table.storedOid = table.source.oid;
  }
  return left;
}

/** Writes down by which entries of the publications the tables' changes come from here on. */
export async function noteMemberships(target: Client, pipeline: string, tables: readonly FollowedTable[]): Promise<void> {
  const others = tables.filter((table) => table.storedMembership?.join() !== table.membership.join());
  if (others.length === 0) return;
  await storeMemberships(
    target,
    pipeline,
    others.map(({ mapping, membership }) => ({ source: mapping.source, membership })),
  );
  for (const table of others) table.storedMembership = table.membership;
}

/**
 * Stores where a table stands, if that has changed. While it is copied only the copy does: its rows may just have been
 * committed with the state that follows, which is not known here yet.
 */
export async function saveTable(target: Client, pipeline: string, table: FollowedTable): Promise<void> {
  if (table.progress.state === 'copying') return;
  const now = savedAs(table);
  if (table.saved === now) return;
  await storeRoute(target, pipeline, table.mapping.source, table);
  table.saved = now;
}

/** Where the table stands now is what is stored: somebody else has stored it. */
export function noteSaved(table: FollowedTable): void {
  table.saved = savedAs(table);
}
