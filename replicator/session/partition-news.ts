import type { Client } from 'pg';
import { displayName, type TableMapping } from '../catalog/relation.ts';
import { quoteRelation } from '../postgres/quote.ts';
import type { StoredPartition, StoredTable } from '../metadata/table-states.ts';
import { storePartitions } from '../metadata/many-tables.ts';
import { holdsUnsentRows, leafChanges, type PresentLeaf } from '../source/partitions.ts';
import type { FollowedTable } from './followed-table.ts';
import type { RetryClock } from './retry-clock.ts';

/** So often a partition that somebody keeps locked is looked at, with pauses that grow to 16 s; then its table is copied. */
const MOST_LOOKS = 6;

/** What happened to partitions and cannot be followed, for people. */
export interface PartitionNews {
  readonly table: string;
  readonly code: 'PARTITION_GONE' | 'PARTITION_EMPTIED';
  readonly message: string;
  readonly remedy: string;
}

/** What a look at the partitions of a table came to. */
export interface PartitionLook {
  /** One has come with rows that are to be copied. */
  readonly attached: boolean;
  /** As they are now, without those that are to be looked at again: they count as not seen yet. */
  readonly partitions: readonly PresentLeaf[];
  /** These, by what `clock` knows them by. */
  readonly putOff: readonly string[];
  readonly news: readonly PartitionNews[];
}

/**
 * What has become of the partitions of a table that is followed since they were looked at last. None of it is in the stream: rows
 * that come with a partition that is attached are to be copied; those that leave with one stay on the target. `clock` tells when one that was
 * locked is looked at again.
 */
export async function partitionNews(
  source: Client,
  { sourceVersion, clock }: { readonly sourceVersion: number; readonly clock: RetryClock },
  { mapping, before, partitions }: { mapping: TableMapping; before: StoredTable | null; partitions: readonly PresentLeaf[] },
): Promise<PartitionLook> {
  const look: PartitionLook = { attached: false, partitions, putOff: [], news: [] };
  if (!before?.partitions || !(before.hasRows || before.spooling)) return look;
  const { come, gone, emptied } = leafChanges(before.partitions, partitions);
  const unknown = new Map<PresentLeaf, string>();
  for (const leaf of come) {
    const key = `partition ${leaf.oid} ${leaf.edges}`;
    const holds = clock.due(key) ? await holdsUnsentRows(source, sourceVersion, mapping.source, leaf) : 'not now';
    if (holds === null) clock.failed(key);
    if (holds === true || clock.failures(key) >= MOST_LOOKS) {
      for (const each of [key, ...unknown.values()]) clock.succeeded(each);
      return { ...look, attached: true };
    }
    if (holds === false) clock.succeeded(key);
    else unknown.set(leaf, key);
  }
  const news: PartitionNews[] = [];
  if (gone.length > 0) news.push(goneNews(mapping, gone));
  if (emptied.length > 0) news.push(emptiedNews(mapping, emptied));
  const seen = partitions.filter((leaf) => !unknown.has(leaf));
  return { attached: false, partitions: seen, putOff: [...unknown.values()], news };
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
