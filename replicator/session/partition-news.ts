import type { Client } from 'pg';
import { displayName, type TableMapping } from '../catalog/relation.ts';
import { quoteRelation } from '../postgres/quote.ts';
import type { StoredPartition, StoredTable } from '../metadata/table-states.ts';
import { storePartitions } from '../metadata/many-tables.ts';
import { holdsUnsentRows, leafChanges, type PresentLeaf } from '../source/partitions.ts';
import type { FollowedTable } from './followed-table.ts';

/** What happened to partitions and cannot be followed, for people. */
export interface PartitionNews {
  readonly table: string;
  readonly code: 'PARTITION_GONE' | 'PARTITION_EMPTIED';
  readonly message: string;
  readonly remedy: string;
}

/**
 * What has become of the partitions of a table that is followed since they were looked at last. None of it is in the stream: rows
 * that come with a partition that is attached are to be copied (`attached`); those that leave with one stay on the target.
 */
export async function partitionNews(
  source: Client,
  sourceVersion: number,
  { mapping, before, partitions }: { mapping: TableMapping; before: StoredTable | null; partitions: readonly PresentLeaf[] },
): Promise<{ attached: boolean; news: PartitionNews[] }> {
  if (!before?.partitions || !(before.hasRows || before.spooling)) return { attached: false, news: [] };
  const { come, gone, emptied } = leafChanges(before.partitions, partitions);
  for (const leaf of come)
    if (await holdsUnsentRows(source, sourceVersion, mapping.source, leaf)) return { attached: true, news: [] };
  const news: PartitionNews[] = [];
  if (gone.length > 0) news.push(goneNews(mapping, gone));
  if (emptied.length > 0) news.push(emptiedNews(mapping, emptied));
  return { attached: false, news };
}

/** Writes down which partitions tables have from here on. */
export async function notePartitions(target: Client, pipeline: string, tables: readonly FollowedTable[]): Promise<void> {
  const others = tables.filter((table) => table.savedPartitions !== saved(table.partitions));
  if (others.length === 0) return;
  await storePartitions(
    target,
    pipeline,
    others.map(({ mapping, partitions }) => ({ source: mapping.source, partitions: partitions.map(toStore) })),
  );
  for (const table of others) table.savedPartitions = saved(table.partitions);
}

/** Partitions as they are stored; null for a table of which none were. */
export function saved(partitions: readonly StoredPartition[] | null): string | null {
  return partitions && JSON.stringify(partitions.map(toStore));
}

function toStore({ oid, edges, file, name }: StoredPartition): StoredPartition {
  return { oid, edges, file, name };
}

function goneNews(mapping: TableMapping, gone: readonly StoredPartition[]): PartitionNews {
  const table = displayName(mapping.source);
  const [names, they] = many(gone);
  return {
    table,
    code: 'PARTITION_GONE',
    message: `${names} of ${table} ${they} dropped or detached on the source. That is not in the stream: the rows are still in ${displayName(mapping.target)} on the target.`,
    remedy: `To keep them there: nothing. Else drop or detach the partition of ${quoteRelation(mapping.target)} on the target as well, or: pgfollow resync ${table}`,
  };
}

function emptiedNews(mapping: TableMapping, emptied: readonly StoredPartition[]): PartitionNews {
  const table = displayName(mapping.source);
  const [names, they] = many(emptied);
  return {
    table,
    code: 'PARTITION_EMPTIED',
    message: `${names} of ${table} ${they} emptied on the source, or written anew. A TRUNCATE of a partition alone is not in the stream: if it was one, the rows are still in ${displayName(mapping.target)} on the target.`,
    remedy: `TRUNCATE the partition of ${quoteRelation(mapping.target)} on the target as well, or: pgfollow resync ${table}`,
  };
}

const MOST_NAMES = 10;

function many(leaves: readonly StoredPartition[]): [string, string] {
  const names = leaves.slice(0, MOST_NAMES).map(({ name }) => name);
  if (leaves.length > MOST_NAMES) names.push(`${leaves.length - MOST_NAMES} more`);
  return leaves.length === 1 ? [`Partition ${names[0]}`, 'was'] : [`Partitions ${names.join(', ')}`, 'were'];
}
