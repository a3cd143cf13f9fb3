import type { Client } from 'pg';
import { displayName } from '../catalog/relation.ts';
import type { Config } from '../config/schema.ts';
import { complaint, type Finding } from '../finding.ts';
import { hasMade, notePublication, type PipelineRow } from '../metadata/pipeline-row.ts';
import { noteIdentities, type GivenIdentity } from '../metadata/replica-identities.ts';
import { quoteIdent } from '../postgres/quote.ts';
import { Problem } from '../problem.ts';
import { readMemberships } from '../source/membership.ts';
import { ensurePublication, lostPublication, neverMade, otherPublication, wantedTables } from '../source/publication.ts';
import type { WantedTable } from '../source/publish-table.ts';
import { planReplicaIdentity, type IdentityChange } from '../source/replica-identity.ts';
import { walEnd } from '../source/wal-position.ts';
import { unsentChanges, watchPublications, type PublicationNews } from './altered-publications.ts';
import { on } from './blame.ts';
import type { Ends } from './ends.ts';
import { noteColumns } from './exchanged-columns.ts';
import { noteMappings } from './remapped-tables.ts';
import { failTable, type FollowedTable } from './followed-table.ts';
import type { ResolvedPipelineTables } from './followed-tables.ts';
import { noteMemberships, saveTable, storeFollowedTables } from './store-tables.ts';
import { notePartitions } from './partition-news.ts';

/** The longest that a lock of ours on a source table waits, and so the longest that others queue behind it. */
const SOURCE_LOCK_TIMEOUT_MS = 250;

/** What publishing the tables has changed, or found changed. */
export interface Publishing {
  readonly identityChanges: readonly IdentityChange[];
  /** What somebody has done to the publication and cannot be followed, for people. */
  readonly news: PublicationNews | null;
  /** Tables that are not followed and could not be taken out of the publication. */
  readonly kept: readonly Finding[];
}

/**
 * Brings the publication in step with the tables, and writes both down. A table that cannot be published without making
 * writes on the source fail goes to `error` and stays out.
 */
export async function publishTables(ends: Ends, config: Config, resolved: ResolvedPipelineTables): Promise<Publishing> {
  const { tables } = resolved;
  const { row, source, target } = ends;
  await on(
    'target',
    storeFollowedTables(target, config.name, tables).then(() => {}),
  );
  if (!config.publication.managed) {
    if (row.snapshotFinished) await notePosition(ends, tables, () => false);
    const { news } = await watchPublications(ends, config, resolved.publications);
    await on('target', noteShapes(target, config.name, tables));
    return { identityChanges: [], news, kept: [] };
  }
  const name = config.publication.names[0] ?? config.name;
  if (row.snapshotFinished) await on('source', refuseLostPublication(source, name, row));
  const altered = await watchPublications(ends, config, resolved.publications);
  const wanted = wantedTables(
    tables.filter((table) => table.hasRows || table.progress.state !== 'error').map((table) => table.mapping),
    resolved.relations,
  );
  await on('target', noteIdentities(target, config.name, wanted.flatMap(identitiesToGive)));
  const outcome = await on(
    'source',
    ensurePublication(source, {
      name,
      viaPartitionRoot: config.publication.viaPartitionRoot,
      tables: wanted,
      seen: resolved.publications,
      lockTimeoutMs: SOURCE_LOCK_TIMEOUT_MS,
      sourceVersion: ends.sourceIdentity.version,
      createdByUs: hasMade(row, name),
    }),
  );
  if (outcome.created || row.publication === null) await on('target', notePublication(target, config.name, name));
  if (outcome.created || outcome.optionsAltered !== 'no') await altered.byOurselves();
  const followed = new Set(tables.map((table) => table.name));
  const [ours, others] = [true, false].map((is) => outcome.problems.filter(({ table }) => followed.has(table ?? '') === is));
  for (const problem of ours ?? []) refuse(tables, problem, row.snapshotFinished);
  const added = new Set(outcome.added.map(displayName));
  for (const table of tables) if (added.has(table.name)) failUnpublished(table);
  if (row.snapshotFinished) await notePosition(ends, tables, (name) => added.has(name));
  for (const table of tables) await on('target', saveTable(target, config.name, table));
  // Entries that were made just now. All others are as they were read when it was looked whether they are still the same.
  const ofAll = outcome.optionsAltered === 'no' ? [] : tables.map(({ mapping }) => mapping.source);
  const edited = [
    ...ofAll,
    ...outcome.added,
    ...outcome.filtersChanged,
    ...outcome.identityChanges.map((change) => change.relation),
  ];
  if (edited.length > 0) {
    const names = new Set(edited.map(displayName));
    const { version: sourceVersion } = ends.sourceIdentity;
    const membershipOf = await on(
      'source',
      readMemberships(source, { publications: [name], relations: resolved.relations, sourceVersion }),
    );
    for (const table of tables) if (names.has(table.name)) table.membership = membershipOf(table.source);
  }
  await on('target', noteShapes(target, config.name, tables));
  return {
    identityChanges: outcome.identityChanges,
    news: outcome.optionsAltered === 'unsent' ? unsentChanges(name) : altered.news,
    kept: (others ?? []).map((problem) => complaint('warning', 'source', problem.code, problem)),
  };
}

// By what each table is told from one that came in its place, or is sent otherwise, the next time.
async function noteShapes(target: Client, pipeline: string, tables: readonly FollowedTable[]): Promise<void> {
  await noteMemberships(target, pipeline, tables);
  await notePartitions(target, pipeline, tables);
  await noteColumns(target, pipeline, tables);
  await noteMappings(target, pipeline, tables);
}

// A publication means for the stream what it was at each position: from here on it sends all of these tables.
async function notePosition(ends: Ends, tables: readonly FollowedTable[], isNew: (name: string) => boolean): Promise<void> {
  const without = tables.filter((table) => !table.hasRows && !table.spooling);
  if (without.length === 0) return;
  const position = await on('source', walEnd(ends.source, ends.sourceIdentity.inRecovery));
  for (const table of without) {
    table.publishedAt = position;
    if (table.replaced === 'partition attached') table.published = 'anew';
    else if (table.published === 'before' && (isNew(table.name) || isSentOtherwise(table))) table.published = 'now';
  }
}

// A row filter may be another one too.
function isSentOtherwise({ replaced }: FollowedTable): boolean {
  return replaced === 'not published' || replaced === 'mapped otherwise';
}

function identitiesToGive({ relation, partitions, excludeColumns }: WantedTable): GivenIdentity[] {
  return planReplicaIdentity(relation, partitions, excludeColumns).map((change) => ({
    relation: change.relation,
    identity: change.to.kind === 'index' ? `USING INDEX ${quoteIdent(change.to.index)}` : change.to.kind.toUpperCase(),
    before: change.from === 'nothing' ? 'NOTHING' : 'DEFAULT',
  }));
}

// A table whose rows are there already must not go on with a gap: then the pipeline waits instead. It waits too for a
// lock that is in the way of the first copy, so that this is of all tables.
function refuse(tables: readonly FollowedTable[], problem: Problem, live: boolean): void {
  const table = tables.find((each) => each.name === problem.table);
  if (!table || table.hasRows || (problem.retry === 'transient' && !live)) throw problem;
  failTable(table, problem);
}

// Followed, but it was not in the publication: somebody took it out, and what was written meanwhile was not sent.
function failUnpublished(table: FollowedTable): void {
  if (!table.hasRows) return;
  const { name } = table;
  const message = `${name} was taken out of the publication while it was followed: what was written there meanwhile is missing on the target.`;
  Object.assign(table, { hasRows: false, spooling: false });
  failTable(
    table,
    new Problem('TABLE_NOT_PUBLISHABLE', message, { table: name, remedy: 'Nothing to do: it is copied again by itself.' }),
  );
}

async function refuseLostPublication(source: Client, name: string, row: PipelineRow): Promise<void> {
  if (row.publicationCreated && !hasMade(row, name)) throw otherPublication(row.publication ?? name, name);
  const { rows } = await source.query('SELECT FROM pg_catalog.pg_publication WHERE pubname = $1', [name]);
  if (rows.length > 0) return;
  throw row.publicationCreated ? lostPublication(name) : neverMade(name);
}
