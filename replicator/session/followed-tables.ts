import type { Client } from 'pg';
import { streamsInBinary } from '../catalog/binary.ts';
import { readCastsOfBoth } from '../catalog/casts.ts';
import { matchTarget } from '../catalog/match-target.ts';
import { readRelations } from '../catalog/read-relations.ts';
import { displayName, type Relation, type TableMapping } from '../catalog/relation.ts';
import { partitionedOnes, sharedRows } from '../catalog/shared-rows.ts';
import type { Config } from '../config/schema.ts';
import type { Finding } from '../finding.ts';
import { nextProgress, takesChanges } from '../metadata/table-state.ts';
import { readTables, type StoredColumns, type StoredMapping, type StoredTable } from '../metadata/table-states.ts';
import { readChoices } from '../metadata/table-choices.ts';
import { ZERO_LSN } from '../postgres/lsn.ts';
import { Problem } from '../problem.ts';
import { readLeaves } from '../source/partitions.ts';
import { isUnbroken, readMemberships, type Membership } from '../source/membership.ts';
import { readPublicationRows, type PublicationRows } from '../source/publication-rows.ts';
import { findTargets } from './create-tables.ts';
import { areExchanged, placesOf } from './exchanged-columns.ts';
import { areFilledOtherwise } from './filled-columns.ts';
import { failTable, savedAs, standing, type FollowedTable } from './followed-table.ts';
import { boundHeapGrowth } from './heap-growth.ts';
import { readMappings } from './mappings.ts';
import { asText, goesWhereItWent, isRemapped, mappedAs } from './remapped-tables.ts';
import { partitionNews, saved as savedPartitions, type PartitionNews } from './partition-news.ts';
import type { RetryClock } from './retry-clock.ts';

export interface ResolvedPipelineTables {
  readonly tables: FollowedTable[];
  /** Every relation of the source, partitions too. */
  readonly relations: readonly Relation[];
  readonly findings: readonly Finding[];
  /** What was created on the target, for people. */
  readonly created: readonly string[];
  readonly news: readonly PartitionNews[];
  /** As they were when it was looked what is in them. */
  readonly publications: PublicationRows;
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
  options: { sourceVersion: number; copyAhead: boolean; clock: RetryClock; signal: AbortSignal },
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
  // Before what is in them, so that whatever is done to them meanwhile is seen.
  const publications = await readPublicationRows(ends.source, config.publication.names);
  const membershipOf = await readMemberships(ends.source, { ...options, publications: config.publication.names, relations });
  const leavesOf = await readLeaves(ends.source, relations);
  const stored = new Map(known.map((table) => [displayName(table.source), table]));
  boundHeapGrowth(mappings.length);
  const byName = new Map(relations.map((relation) => [displayName(relation), relation]));
  const found = await findTargets(ends.target, config, { mappings, byName, stored, ...options });
  // An extension that was created brings its own.
  const castExists = found.created.length === 0 ? casts : await readCastsOfBoth(ends.source, ends.target);
  const targetByName = new Map(found.targets.map((relation) => [displayName(relation), relation]));
  const partitioned = partitionedOnes(found.targets);
  const tables: FollowedTable[] = [];
  const news: PartitionNews[] = [];
  for (const mapping of mappings) {
    const name = displayName(mapping.source);
    const source = byName.get(name);
    if (!source) continue;
    const target = targetByName.get(displayName(mapping.target)) ?? null;
    const match =
      sharedRows(mapping, target, partitioned) ??
      matchTarget(source, target ?? undefined, mapping, { castExists, generatedColumnsSent });
    const before = stored.get(name) ?? null;
    const membership = membershipOf(source);
    const places = placesOf({ mapping, source, target }, before?.columns ?? null);
    const mapped = mappedAs(mapping, config.publication.managed);
    const sameTarget = goesWhereItWent(mapping, before);
    const anew =
      options.copyAhead || !before
        ? null
        : (whyAnew(before, source, { membership, places, mapping, mapped }) ??
          (await whyFilled(ends, before, { mapping, source, target })));
    const isCopied = options.copyAhead || anew !== null;
    const { partitions, ...parts } = await partitionNews(ends.source, options, {
      mapping,
      before: isCopied ? null : before,
      partitions: leavesOf(source),
    });
    const unseen = `partitions of ${name}`;
    if (found.unseen.has(name)) options.clock.failed(unseen);
    else options.clock.succeeded(unseen);
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
      places,
      savedPlaces: before?.columns ? JSON.stringify(before.columns) : null,
      storedMembership: before?.membership ?? null,
      mappedAs: mapped,
      savedMapping: before?.mapping ? asText(before.mapping) : null,
      partitions,
      putOff: found.unseen.has(name) ? [...parts.putOff, unseen] : parts.putOff,
      savedPartitions: savedPartitions(before?.partitions ?? null),
      // The first copy begins with every table, also with those that an earlier attempt has copied or given up.
      ...standing(options.copyAhead || replaced ? null : before),
      ours: sameTarget && (before?.copyFinishedAt ?? null) !== null,
      partial: sameTarget && (before?.partial ?? false),
      spooledBytes: 0,
      publishedAt: ZERO_LSN,
      published: 'before',
      unbuilt: ofOurs?.built === false,
      foreignKeys: ofOurs?.linked === false ? 'open' : 'none',
      lacking: ofOurs?.lacking ?? false,
      superseded: false,
      mend: ofOurs?.lacking ? 'once' : 'no',
      saved: '',
    };
    // To another target it goes like one that is new.
    if (before && sameTarget) table.saved = savedAs({ ...table, ...standing(before), progress: before.progress });
    // Whoever was killed had noted that it is built, and not yet what follows from that.
    if (table.progress.state === 'indexing' && !table.unbuilt) table.progress = nextProgress(table.progress, { type: 'indexed' });
    // Its copy as what it was may go on in this moment: from here on it is not to count.
    if (replaced && sameTarget) table.saved = '-';
    if (!match.ok) unfit(table, found.problems.get(name) ?? (table.hasRows && !target ? dropped(table) : match.problem), config);
    tables.push(table);
  }
  return { tables, relations, findings: [...findings, ...found.findings], created: found.created, news, publications };
}

/** Whether the stream may carry binary values: every table must agree, because it is one setting for the stream. */
export function binaryForStream(
  tables: readonly FollowedTable[],
  versions: { sourceVersion: number; targetVersion: number },
): boolean {
  return tables.every((table) => streamsInBinary(table.columns, versions));
}

// The rows on the target are not its rows, or not all of them. One that is not published now is told by whoever publishes, unless it is being copied.
function whyAnew(
  before: StoredTable,
  source: Relation,
  now: { membership: Membership; places: StoredColumns; mapping: TableMapping; mapped: StoredMapping },
): FollowedTable['replaced'] {
  const { membership, places, mapping, mapped } = now;
  if (before.sourceOid !== null && before.sourceOid !== source.oid) return 'by another';
  if (!(before.hasRows || before.spooling)) return null;
  if (areExchanged(before.columns, places)) return 'columns exchanged';
  if (before.membership) {
    if (membership.length === 0 ? !before.hasRows : !isUnbroken(before.membership, membership)) return 'not published';
  }
  return isRemapped(before, { mapping, source }, mapped) ? 'mapped otherwise' : null;
}

async function whyFilled(
  ends: { source: Client; target: Client },
  before: StoredTable,
  pair: { mapping: TableMapping; source: Relation; target: Relation | null },
): Promise<FollowedTable['replaced']> {
  if (!(before.hasRows || before.spooling)) return null;
  return (await areFilledOtherwise(ends, pair, before.columns)) ? 'column filled' : null;
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
