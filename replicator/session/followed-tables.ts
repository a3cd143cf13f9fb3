import type { Client } from 'pg';
import { streamsInBinary } from '../catalog/binary.ts';
import { readCastsOfBoth } from '../catalog/casts.ts';
import { matchTarget, type ColumnPair } from '../catalog/match-target.ts';
import { readRelations } from '../catalog/read-relations.ts';
import { displayName, type Relation, type RelationName, type TableMapping } from '../catalog/relation.ts';
import type { Config } from '../config/schema.ts';
import type { Finding } from '../finding.ts';
import { nextProgress, takesChanges, type TableProgress } from '../metadata/table-state.ts';
import { enrollTables, storeMemberships, storeSourceOids } from '../metadata/many-tables.ts';
import { forgetTable, readTables, storeRoute, type CopiedAsOf, type StoredTable } from '../metadata/table-states.ts';
import { readChoices } from '../metadata/table-choices.ts';
import { formatLsn, ZERO_LSN, type Lsn } from '../postgres/lsn.ts';
import type { Oid } from '../postgres/oid.ts';
import { Problem } from '../problem.ts';
import { readLeaves, type PresentLeaf } from '../source/partitions.ts';
import { isUnbroken, readMemberships, type Membership } from '../source/membership.ts';
import { findTargets } from './create-tables.ts';
import { boundHeapGrowth } from './heap-growth.ts';
import { readMappings } from './mappings.ts';
import { partitionNews, saved as savedPartitions, type PartitionNews } from './partition-news.ts';

/** One table of the pipeline: where it comes from and goes to, and how far it is. */
export interface FollowedTable {
  /** `schema.table` on the source. */
  readonly name: string;
  mapping: TableMapping;
  source: Relation;
  target: Relation | null;
  /** Empty while the target does not fit. */
  columns: readonly ColumnPair[];
  readonly stored: StoredTable | null;
  /**
   * What is known of the table of this name does not hold for it any more: the source has another one under the name, or it was not
   * published for a while, or has got rows with a partition.
   */
  replaced: 'by another' | 'not published' | 'partition attached' | null;
  /** OID of the source's table as it is stored. */
  storedOid: Oid | null;
  /** By which entries of the publications its changes come, as was read last, and as it is stored. */
  membership: Membership;
  storedMembership: Membership | null;
  /** Its partitions as they were read last, and as they are stored. */
  partitions: readonly PresentLeaf[];
  savedPartitions: string | null;
  progress: TableProgress;
  /** Its changes go to the spool. */
  spooling: boolean;
  /** The rows are there as of a copy; else a copy is needed, once nothing else is in the way. */
  hasRows: boolean;
  /** The copy was made beside the stream: what the spool need not bring, and from when on that is clear. */
  copiedAsOf: CopiedAsOf | null;
  spooledBytes: number;
  /** Rows that are on the target come from an earlier copy of ours. */
  ours: boolean;
  /** The target holds rows of a copy in chunks that was not finished. */
  partial: boolean;
  /** Every transaction that commits behind this position on the source is in the stream. */
  publishedAt: Lsn;
  /** It was put into the publication in this session: whoever was writing to it then may be in the stream in part only. */
  publishedNow: boolean;
  /** Made by us on the target, and its keys, indexes and constraints are not all there: no changes are applied before. */
  unbuilt: boolean;
  /** Made by us, and its foreign keys are not there. */
  unlinked: boolean;
  /** Made by us, and the target has refused something of it. */
  lacking: boolean;
  /** Another one stands under its name by now, or none: what is still done with this one does not count. */
  superseded: boolean;
  /** What was refused is to be tried once more: at the beginning of a session, or because somebody has asked. */
  mend: 'no' | 'once' | 'asked';
  /** What was stored last of what may change. */
  saved: string;
}

export interface ResolvedPipelineTables {
  readonly tables: FollowedTable[];
  /** Every relation of the source, partitions too. */
  readonly relations: readonly Relation[];
  readonly findings: readonly Finding[];
  /** What was created on the target, for people. */
  readonly created: readonly string[];
  readonly news: readonly PartitionNews[];
}

/**
 * What the configuration comes down to on these two databases: the tables to follow, each matched with its target and
 * with what the metadata knows of it; `copyAhead`: the first copy is still to be made. Throws NO_TABLES,
 * PUBLICATION_MISSING, and the Problem of a table that is being followed already but no longer fits: its changes must not
 * be skipped.
 */
export async function resolveFollowedTables(
  ends: { source: Client; target: Client },
  config: Config,
  options: { sourceVersion: number; copyAhead: boolean; signal: AbortSignal },
): Promise<ResolvedPipelineTables> {
  const [relations, choices, known, casts] = await Promise.all([
    readRelations(ends.source),
    readChoices(ends.target, config.name),
    readTables(ends.target, config.name),
    readCastsOfBoth(ends.source, ends.target),
  ]);
  const { mappings, findings, generatedColumnsSent } = await readMappings(ends.source, relations, config, {
    ...options,
    choices,
  });
  const membershipOf = await readMemberships(ends.source, { ...options, publications: config.publication.names, relations });
  const leavesOf = await readLeaves(ends.source, relations);
  const stored = new Map(known.map((table) => [displayName(table.source), table]));
  boundHeapGrowth(mappings.length);
  const byName = new Map(relations.map((relation) => [displayName(relation), relation]));
  const found = await findTargets(ends.target, config, { mappings, byName, stored, ...options });
  // An extension that was created brings its own.
  const castExists = found.created.length === 0 ? casts : await readCastsOfBoth(ends.source, ends.target);
  const targetByName = new Map(found.targets.map((relation) => [displayName(relation), relation]));
  const tables: FollowedTable[] = [];
  const news: PartitionNews[] = [];
  for (const mapping of mappings) {
    const name = displayName(mapping.source);
    const source = byName.get(name);
    if (!source) continue;
    const target = targetByName.get(displayName(mapping.target)) ?? null;
    const match = matchTarget(source, target ?? undefined, mapping, { castExists, generatedColumnsSent });
    const before = stored.get(name) ?? null;
    const membership = membershipOf(source);
    const partitions = leavesOf(source);
    const parts = await partitionNews(ends.source, options.sourceVersion, { mapping, before, partitions });
    const anew = options.copyAhead || !before ? null : whyAnew(before, source, membership);
    const replaced = anew ?? (parts.attached ? 'partition attached' : null);
    if (!replaced) news.push(...parts.news);
    const ofOurs = found.made.get(displayName(mapping.target));
    const table: FollowedTable = {
      name,
      mapping,
      source,
      target,
      columns: match.ok ? match.columns : [],
      stored: before,
      replaced,
      storedOid: before?.sourceOid ?? null,
      membership,
      storedMembership: before?.membership ?? null,
      partitions,
      savedPartitions: savedPartitions(before?.partitions ?? null),
      // The first copy begins with every table, also with those that an earlier attempt has copied or given up.
      ...standing(options.copyAhead || replaced ? null : before),
      ours: (before?.copyFinishedAt ?? null) !== null,
      partial: before?.partial ?? false,
      spooledBytes: 0,
      publishedAt: ZERO_LSN,
      publishedNow: false,
      unbuilt: ofOurs?.built === false,
      unlinked: ofOurs?.linked === false,
      lacking: ofOurs?.lacking ?? false,
      superseded: false,
      mend: ofOurs?.lacking ? 'once' : 'no',
      saved: '',
    };
    if (before) table.saved = savedAs({ ...table, ...standing(before), progress: before.progress });
    // Its copy as what it was may go on in this moment: from here on it is not to count.
    if (replaced) table.saved = '-';
    if (!match.ok) unfit(table, found.problems.get(name) ?? (table.hasRows && !target ? dropped(table) : match.problem), config);
    tables.push(table);
  }
  return { tables, relations, findings: [...findings, ...found.findings], created: found.created, news };
}

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

function savedAs(table: Pick<FollowedTable, 'progress' | 'spooling' | 'hasRows' | 'copiedAsOf'>): string {
  const { progress, spooling, hasRows, copiedAsOf } = table;
  return JSON.stringify([progress, spooling, hasRows, copiedAsOf && [copiedAsOf.snapshot, formatLsn(copiedAsOf.walEnd)]]);
}

/** A table cannot take part for now: `error`, with the reason. */
export function failTable(table: FollowedTable, problem: Problem): void {
  table.progress = nextProgress(table.progress, { type: 'failed', problem });
}

/** Whether the stream may carry binary values: every table must agree, because it is one setting for the stream. */
export function binaryForStream(
  tables: readonly FollowedTable[],
  versions: { sourceVersion: number; targetVersion: number },
): boolean {
  return tables.every((table) => streamsInBinary(table.columns, versions));
}

// The rows on the target are not its rows, or not all of them. One that is not published now is told by whoever publishes, unless it is being copied.
function whyAnew(before: StoredTable, { oid }: Relation, membership: Membership): FollowedTable['replaced'] {
  if (before.sourceOid !== null && before.sourceOid !== oid) return 'by another';
  if (!(before.hasRows || before.spooling) || !before.membership) return null;
  if (membership.length === 0) return before.hasRows ? null : 'not published';
  return isUnbroken(before.membership, membership) ? null : 'not published';
}

// Where a table goes on from. A copy that was interrupted, or failed, is made again.
function standing(stored: StoredTable | null): Pick<FollowedTable, 'progress' | 'spooling' | 'hasRows' | 'copiedAsOf'> {
  if (!stored?.hasRows) return { progress: { state: 'pending' }, spooling: false, hasRows: false, copiedAsOf: null };
  const { progress, spooling, hasRows, copiedAsOf } = stored;
  return { progress, spooling, hasRows, copiedAsOf };
}

// To create it again would leave it empty.
function dropped({ name, mapping }: FollowedTable): Problem {
  return new Problem(
    'TARGET_TABLE_MISSING',
    `The target table ${displayName(mapping.target)} of ${name} is gone, and its rows with it.`,
    {
      table: name,
      remedy: `pgfollow resync ${name}: it is created again and copied. With schema.create: never create it before.`,
    },
  );
}

// A table whose rows are there must not go on with a gap: its changes are kept, or everything waits.
function unfit(table: FollowedTable, problem: Problem, config: Config): void {
  if (takesChanges(table.progress.state) && !table.spooling) {
    if (config.apply.onError === 'pipeline')
      throw new Problem(problem.code, problem.message, {
        remedy: problem.remedy,
        retry: 'transient',
        ...(problem.table ? { table: problem.table } : {}),
      });
    table.spooling = true;
  }
  failTable(table, problem);
}
