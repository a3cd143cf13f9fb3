import type { Client } from 'pg';
import { binaryIsSafe } from '../catalog/binary.ts';
import { readCasts } from '../catalog/casts.ts';
import type { Finding } from '../catalog/finding.ts';
import { matchTarget, type ColumnPair } from '../catalog/match-target.ts';
import { readRelations } from '../catalog/read-relations.ts';
import { displayName, type Relation, type RelationName, type TableMapping } from '../catalog/relation.ts';
import { resolveTables } from '../catalog/resolve-tables.ts';
import type { Config } from '../config/schema.ts';
import { matchTables, parseRelationName } from '../config/table-pattern.ts';
import { nextProgress, takesChanges, type TableProgress } from '../metadata/table-state.ts';
import { enrollTable, forgetTable, readTables, storeRoute, type CopiedAsOf, type StoredTable } from '../metadata/table-states.ts';
import { readChoices, type TableChoice } from '../metadata/table-choices.ts';
import { formatLsn, ZERO_LSN, type Lsn } from '../postgres/lsn.ts';
import { quoteIdent } from '../postgres/quote.ts';
import { Problem } from '../problem.ts';
import { readPublished, type Published } from '../source/published.ts';

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
  /** Every transaction that commits behind this position on the source is in the stream. */
  publishedAt: Lsn;
  /** It was put into the publication in this session: whoever was writing to it then may be in the stream in part only. */
  publishedNow: boolean;
  /** What was stored last of what may change. */
  saved: string;
}

export interface ResolvedPipelineTables {
  readonly tables: FollowedTable[];
  /** Every relation of the source, partitions too. */
  readonly relations: readonly Relation[];
  readonly findings: readonly Finding[];
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
  options: { sourceVersion: number; copyAhead: boolean },
): Promise<ResolvedPipelineTables> {
  const relations = await readRelations(ends.source);
  const choices = choiceLookup(await readChoices(ends.target, config.name));
  const { mappings, findings, generatedColumnsSent } = config.publication.managed
    ? managedMappings(relations, config, choices, options)
    : await publishedMappings(ends.source, relations, config, choices);
  if (mappings.length === 0) {
    throw new Problem('NO_TABLES', `No table of the source matches ${config.tables.include.join(', ')}.`, {
      retry: 'transient',
      remedy:
        'Correct tables.include and tables.exclude (schema.table, * for any), or create the tables. It is looked at again by itself.',
    });
  }
  const targets = await readRelations(ends.target, { names: mappings.map((mapping) => mapping.target) });
  const castExists = await readCasts(ends.target);
  const stored = new Map((await readTables(ends.target, config.name)).map((table) => [displayName(table.source), table]));
  const byName = new Map(relations.map((relation) => [displayName(relation), relation]));
  const targetByName = new Map(targets.map((relation) => [displayName(relation), relation]));
  const tables: FollowedTable[] = [];
  for (const mapping of mappings) {
    const name = displayName(mapping.source);
    const source = byName.get(name);
    if (!source) continue;
    const target = targetByName.get(displayName(mapping.target)) ?? null;
    const match = matchTarget(source, target ?? undefined, mapping, { castExists, generatedColumnsSent });
    const known = stored.get(name) ?? null;
    const table: FollowedTable = {
      name,
      mapping,
      source,
      target,
      columns: match.ok ? match.columns : [],
      stored: known,
      // The first copy begins with every table, also with those that an earlier attempt has copied or given up.
      ...standing(options.copyAhead ? null : known),
      ours: (known?.copyFinishedAt ?? null) !== null,
      spooledBytes: 0,
      publishedAt: ZERO_LSN,
      publishedNow: false,
      saved: '',
    };
    if (known) table.saved = savedAs({ ...table, ...standing(known), progress: known.progress });
    if (!match.ok) unfit(table, match.problem, config);
    tables.push(table);
  }
  return { tables, relations, findings };
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
  for (const table of tables) {
    if (table.saved === '') {
      if (await enrollTable(target, pipeline, table.mapping.source, table.mapping.target)) table.ours = true;
      table.saved = 'enrolled';
    }
    await saveTable(target, pipeline, table);
  }
  return left;
}

/** Stores where a table stands, if that has changed. */
export async function saveTable(target: Client, pipeline: string, table: FollowedTable): Promise<void> {
  const now = savedAs(table);
  if (table.saved === now) return;
  await storeRoute(target, pipeline, table.mapping.source, table);
  table.saved = now;
}

function savedAs(table: Pick<FollowedTable, 'progress' | 'spooling' | 'hasRows' | 'copiedAsOf'>): string {
  const { progress, spooling, hasRows, copiedAsOf } = table;
  return JSON.stringify([progress, spooling, hasRows, copiedAsOf && [copiedAsOf.snapshot, formatLsn(copiedAsOf.walEnd)]]);
}

/** A table cannot take part for now: `error`, with the reason. */
export function failTable(table: FollowedTable, problem: Problem): void {
  table.progress = nextProgress(table.progress, { type: 'failed', problem });
}

/** Whether values may travel in binary: every table's both ends must agree, because it is one setting for the stream. */
export function binaryForStream(
  tables: readonly FollowedTable[],
  versions: { sourceVersion: number; targetVersion: number },
): boolean {
  return tables.every((table) => table.columns.length === 0 || binaryIsSafe(table.columns, versions).safe);
}

// Where a table goes on from. A copy that was interrupted, or failed, is made again.
function standing(stored: StoredTable | null): Pick<FollowedTable, 'progress' | 'spooling' | 'hasRows' | 'copiedAsOf'> {
  if (!stored?.hasRows) return { progress: { state: 'pending' }, spooling: false, hasRows: false, copiedAsOf: null };
  const { progress, spooling, hasRows, copiedAsOf } = stored;
  return { progress, spooling, hasRows, copiedAsOf };
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

/** What a command has said of a table; undefined when none has. */
type Choices = (relation: RelationName) => boolean | undefined;

function choiceLookup(choices: readonly TableChoice[]): Choices {
  const byName = new Map(choices.map(({ source, followed }) => [displayName(source), followed]));
  return (relation) => byName.get(displayName(relation));
}

interface Mappings {
  readonly mappings: readonly TableMapping[];
  readonly findings: readonly Finding[];
  readonly generatedColumnsSent: 'none' | 'stored';
}

function managedMappings(
  relations: readonly Relation[],
  config: Config,
  choices: Choices,
  { sourceVersion }: { sourceVersion: number },
): Mappings {
  const include = matchTables(config.tables.include);
  const exclude = config.tables.exclude.length === 0 ? () => false : matchTables(config.tables.exclude);
  const resolved = resolveTables(relations, {
    include: (relation) => choices(relation) ?? include(relation),
    exclude: (relation) => !(choices(relation) ?? !exclude(relation)),
    map: mapEntries(config),
    viaPartitionRoot: config.publication.viaPartitionRoot,
  });
  return { ...resolved, generatedColumnsSent: sourceVersion >= 180000 ? 'stored' : 'none' };
}

// Publications used as they are: what they publish is followed, tables.map says under which names.
async function publishedMappings(
  source: Client,
  relations: readonly Relation[],
  config: Config,
  choices: Choices,
): Promise<Mappings> {
  const published = await readPublished(source, config.publication.names);
  const [missing] = published.problems;
  if (missing) throw missing;
  const included = matchTables(config.tables.include);
  const excluded = config.tables.exclude.length === 0 ? () => false : matchTables(config.tables.exclude);
  const byName = new Map(relations.map((relation) => [displayName(relation), relation]));
  const map = new Map(mapEntries(config).map((entry) => [displayName(entry.source), entry]));
  const mappings = published.tables
    .filter(({ relation }) => choices(relation) ?? (included(relation) && !excluded(relation)))
    .map(({ relation, columns, rowFilter }): TableMapping => {
      const entry = map.get(displayName(relation));
      const unpublished = (byName.get(displayName(relation))?.columns ?? [])
        .map((column) => column.name)
        .filter((name) => columns !== null && !columns.includes(name));
      return {
        source: { schema: relation.schema, name: relation.name },
        target: entry?.target ?? { schema: relation.schema, name: relation.name },
        excludeColumns: [...(entry?.excludeColumns ?? []), ...unpublished],
        renameColumns: entry?.renameColumns ?? {},
        where: rowFilter,
      };
    });
  return { mappings, findings: unpublishedOperations(published, config), generatedColumnsSent: published.generatedColumnsSent };
}

function unpublishedOperations({ unpublishedOperations: missing }: Published, { publication: { names } }: Config): Finding[] {
  if (missing.length === 0) return [];
  const which = `The publications ${names.join(', ')}`;
  return [
    {
      level: 'warning',
      table: null,
      message: `${which} do not all publish ${missing.join(', ')}: such changes will be missing on the target.`,
      remedy: names
        .map((name) => `ALTER PUBLICATION ${quoteIdent(name)} SET (publish = 'insert, update, delete, truncate');`)
        .join('\n'),
    },
  ];
}

function mapEntries(config: Config): TableMapping[] {
  return config.tables.map.map((entry) => ({
    source: parseRelationName(entry.from),
    target: parseRelationName(entry.to),
    excludeColumns: entry.columns.exclude,
    renameColumns: entry.columns.rename,
    where: entry.where,
  }));
}
