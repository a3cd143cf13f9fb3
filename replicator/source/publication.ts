import type { Client } from 'pg';
import { displayName, type Relation, type RelationName, type TableMapping } from '../catalog/relation.ts';
import type { Oid } from '../postgres/oid.ts';
import { namingEventTriggers } from '../postgres/event-triggers.ts';
import { quoteIdent, quoteRelation } from '../postgres/quote.ts';
import { describeError, SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';
import { isAltered, type PublicationRows } from './publication-rows.ts';
import { readPublication, type MemberState, type PublicationState } from './publication-state.ts';
import { notPublishable } from './publish-problem.ts';
import { PublicationEditor, type TableOutcome, type WantedTable } from './publish-table.ts';
import { planReplicaIdentity, type IdentityChange } from './replica-identity.ts';
import { COPY_ALL_AGAIN } from './slot-verdict.ts';

export interface EnsurePublicationOptions {
  readonly name: string;
  readonly viaPartitionRoot: boolean;
  /** wantedTables(): every table that is to be published. */
  readonly tables: readonly WantedTable[];
  /** What it was when it was looked what is in it; an alteration since then is not to be undone unseen. Any, unless given. */
  readonly seen?: PublicationRows;
  /** Longest wait for locks of one table, and so the longest that others queue behind us; tried again after a pause. */
  readonly lockTimeoutMs: number;
  /** server_version_num. */
  readonly sourceVersion: number;
  /** Metadata says that this pipeline created it. Else it is taken over only when it holds nothing that is not wanted. */
  readonly createdByUs: boolean;
  /** Row filters as the server has written them down, by table: keep it from call to call, so that unchanged filters cost nothing. */
  readonly filterMemo?: Map<string, string>;
}

export interface PublicationOutcome {
  /** This call created it, or took it over: metadata should say so. */
  readonly created: boolean;
  /** Wanted tables that are in the publication now. */
  readonly published: readonly RelationName[];
  readonly added: readonly RelationName[];
  readonly removed: readonly RelationName[];
  /** Published before, with another filter. */
  readonly filtersChanged: readonly RelationName[];
  /** To be recorded as events, and listed by teardown. */
  readonly identityChanges: readonly IdentityChange[];
  /** Somebody had altered the options of ours; `unsent`: so that some kinds of changes were not sent. They are as they should be again. */
  readonly optionsAltered: 'no' | 'yes' | 'unsent';
  /** A table each; it stays out. */
  readonly problems: readonly Problem[];
  /** For matchTarget(). */
  readonly generatedColumnsSent: 'none' | 'stored';
}

/** The relations behind the mappings, each with its partitions of every level. A mapping without relation is left out. */
export function wantedTables(mappings: readonly TableMapping[], relations: readonly Relation[]): WantedTable[] {
  const byName = new Map(relations.map((relation) => [displayName(relation), relation]));
  const children = new Map<Oid, Relation[]>();
  for (const relation of relations) {
    const parent = relation.parentOid ?? relation.rootOid;
    if (parent !== null) children.set(parent, [...(children.get(parent) ?? []), relation]);
  }
  const below = (oid: Oid): Relation[] => (children.get(oid) ?? []).flatMap((child) => [child, ...below(child.oid)]);
  return mappings.flatMap((mapping) => {
    const relation = byName.get(displayName(mapping.source));
    if (!relation) return [];
    return [{ relation, partitions: below(relation.oid), excludeColumns: mapping.excludeColumns, where: mapping.where }];
  });
}

/**
 * Brings the publication in step with the tables that are wanted: creates it, adds, removes, changes row filters. No
 * table gets in, or stays in, whose UPDATEs and DELETEs the server would then refuse: each enters in a transaction of
 * its own that asks the server itself before it commits. Meant to be called again and again: it also mends the replica
 * identity of partitions that are new, and of tables that have lost their key.
 *
 * Throws a Problem where the publication as a whole cannot be had; what concerns one table is in `problems`.
 * https://www.postgresql.org/docs/current/sql-alterpublication.html
 */
export async function ensurePublication(client: Client, options: EnsurePublicationOptions): Promise<PublicationOutcome> {
  const found = await readPublication(client, options.name, options.sourceVersion);
  const foreign = found && foreignPublication(found, options);
  if (foreign) throw foreign;
  if (found && isAltered(options.seen ?? [], [found.row])) throw alteredNow(options.name);
  if (!found) await createPublication(client, options);
  const generatedColumnsSent = options.sourceVersion >= 180000 ? 'stored' : 'none';
  const editor = new PublicationEditor(client, {
    publication: options.name,
    lockTimeoutMs: options.lockTimeoutMs,
    sourceVersion: options.sourceVersion,
    generatedColumnsSent,
    filterMemo: options.filterMemo ?? new Map<string, string>(),
  });
  const expelled =
    found && optionsDiffer(found, options) ? await editor.setOptions(optionClause(options), found.members, options.tables) : [];
  const members = new Map(
    (found?.members ?? []).filter((member) => !expelled.includes(member.oid)).map((member) => [member.oid, member]),
  );

  const outcomes = await publishTables(editor, options, members);
  const wanted = new Set(options.tables.map((table) => table.relation.oid));
  const removals: TableOutcome[] = [];
  // After the additions: between a root and its partitions, better both for a moment than neither.
  for (const member of members.values()) {
    if (!wanted.has(member.oid)) removals.push(await editor.remove(member));
  }
  const all = [...outcomes, ...removals];
  const named = (...kinds: TableOutcome['kind'][]) =>
    all.filter(({ kind }) => kinds.includes(kind)).map(({ relation }) => relation);
  return {
    created: !found || !options.createdByUs,
    published: named('added', 'filter changed', 'kept'),
    added: named('added'),
    removed: named('removed'),
    filtersChanged: named('filter changed'),
    identityChanges: all.flatMap((outcome) => outcome.identityChanges),
    optionsAltered:
      !found || !options.createdByUs || !optionsDiffer(found, options) ? 'no' : found.publishesAll ? 'yes' : 'unsent',
    problems: all.flatMap((outcome) => (outcome.problem ? [outcome.problem] : [])),
    generatedColumnsSent,
  };
}

/** Drops the publication; false when there was none. */
export async function dropPublication(client: Client, name: string): Promise<boolean> {
  try {
    await client.query(`DROP PUBLICATION ${quoteIdent(name)}`);
    return true;
  } catch (error) {
    if (sqlState(error) === SQLSTATE.undefined_object) return false;
    throw error;
  }
}

async function publishTables(
  editor: PublicationEditor,
  options: EnsurePublicationOptions,
  members: ReadonlyMap<Oid, MemberState>,
): Promise<TableOutcome[]> {
  const outcomes: TableOutcome[] = [];
  const simple: WantedTable[] = [];
  for (const table of options.tables) {
    const member = members.get(table.relation.oid) ?? null;
    if (table.where !== null && options.sourceVersion < 150000) {
      outcomes.push(await editor.withhold(table, member, filterUnsupported(table)));
      continue;
    }
    const plan = planReplicaIdentity(table.relation, table.partitions, table.excludeColumns);
    if (!member && plan.length === 0 && table.where === null) {
      simple.push(table);
    } else if (member && plan.length === 0 && editor.isAsWanted(member, table)) {
      const fault = editor.writeFault(table, plan, member.filterColumns);
      if (fault) outcomes.push(await editor.withhold(table, member, notPublishable(table.relation, fault.message, fault.remedy)));
      else outcomes.push({ kind: 'kept', relation: table.relation, identityChanges: [], problem: null });
    } else {
      outcomes.push(await editor.publish(table, member, plan));
    }
  }
  return [...outcomes, ...(await editor.publishAll(simple))];
}

async function createPublication(client: Client, options: EnsurePublicationOptions): Promise<void> {
  try {
    const sql = `CREATE PUBLICATION ${quoteIdent(options.name)} WITH (${optionClause(options)})`;
    await namingEventTriggers(client, 'source', () => client.query(sql));
  } catch (error) {
    if (sqlState(error) !== SQLSTATE.insufficient_privilege) throw error;
    throw new Problem('SOURCE_UNSUITABLE', `The publication ${options.name} cannot be created: ${describeError(error)}`, {
      remedy:
        'GRANT CREATE ON DATABASE … TO the role of source.url; or create the publication yourself and set publication.managed: false.',
      cause: error,
    });
  }
}

function optionClause({ viaPartitionRoot, sourceVersion }: EnsurePublicationOptions): string {
  // Without the last, PostgreSQL 18 refuses UPDATE and DELETE on a REPLICA IDENTITY FULL table with a stored generated column.
  const generated = sourceVersion >= 180000 ? ', publish_generated_columns = stored' : '';
  return `publish = 'insert, update, delete, truncate', publish_via_partition_root = ${viaPartitionRoot}${generated}`;
}

function optionsDiffer(state: PublicationState, { viaPartitionRoot, sourceVersion }: EnsurePublicationOptions): boolean {
  return (
    !state.publishesAll ||
    state.viaPartitionRoot !== viaPartitionRoot ||
    (sourceVersion >= 180000 && state.generatedColumns !== 'stored')
  );
}

function alteredNow(name: string): Problem {
  return new Problem('SOURCE_UNREACHABLE', `Somebody is altering the publication ${name}: it is looked at once more.`, {
    retry: 'transient',
    remedy: 'Nothing to do.',
  });
}

/** Ours, and dropped by somebody. */
export function lostPublication(name: string): Problem {
  return new Problem(
    'PUBLICATION_MISSING',
    `The publication ${name} was dropped while it was followed: what was written meanwhile cannot be read.`,
    { remedy: COPY_ALL_AGAIN },
  );
}

/** publication.names names another one than the pipeline has made: what it has not been sent yet cannot come by that. */
export function otherPublication(made: string, name: string): Problem {
  return new Problem(
    'SOURCE_UNSUITABLE',
    `publication.names says ${name}, but this pipeline follows by the publication ${made}, which it has made: with another one changes would be missing.`,
    { remedy: `Set publication.names: [${made}] again. To go over to ${name}, copy again: ${COPY_ALL_AGAIN}` },
  );
}

/** publication.managed has become true for a pipeline that reads from publications of others. */
export function neverMade(name: string): Problem {
  return new Problem(
    'PUBLICATION_MISSING',
    `publication.managed is true, but this pipeline follows by publications that it has not made: what is still to be sent is not in ${name}, which would have to be made first.`,
    {
      remedy: `Set publication.managed: false and publication.names as they were. To go over to a publication of pgfollow, copy again: ${COPY_ALL_AGAIN}`,
    },
  );
}

/** Why a publication cannot be taken over, else null: one that somebody else made must not be bent to our will. */
export function foreignPublication(
  state: PublicationState,
  options: Pick<EnsurePublicationOptions, 'name' | 'tables' | 'createdByUs'>,
): Problem | null {
  const wanted = new Set(options.tables.map((table) => table.relation.oid));
  const foreign = options.createdByUs ? [] : state.members.filter((member) => !wanted.has(member.oid));
  const why = state.allTables
    ? 'is FOR ALL TABLES'
    : state.schemas > 0
      ? 'is FOR TABLES IN SCHEMA'
      : foreign.length > 0
        ? `holds tables that are not followed (${foreign.slice(0, 3).map(displayName).join(', ')}${foreign.length > 3 ? ', …' : ''})`
        : null;
  if (!why) return null;
  return new Problem(
    'SOURCE_UNSUITABLE',
    `A publication named ${options.name} exists already, which pgfollow did not create and which ${why}.`,
    {
      remedy: `Set publication.managed: false to use it as it is, or publication.names to another name; or drop it: DROP PUBLICATION ${quoteIdent(options.name)};`,
    },
  );
}

/** A row filter on a source that has none. */
export function filterUnsupported({ relation }: Pick<WantedTable, 'relation'>): Problem {
  return new Problem(
    'ROW_FILTER_UNSUPPORTED',
    `${displayName(relation)} has a row filter, which needs PostgreSQL 15 or newer on the source.`,
    {
      remedy: `Take \`where\` of ${quoteRelation(relation)} out of tables.map, or upgrade the source.`,
      table: displayName(relation),
    },
  );
}
