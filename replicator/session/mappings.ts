import type { Client } from 'pg';
import { displayName, type Relation, type RelationName, type TableMapping } from '../catalog/relation.ts';
import { resolveTables } from '../catalog/resolve-tables.ts';
import type { Config } from '../config/schema.ts';
import { matchTables, parseRelationName } from '../config/table-pattern.ts';
import { complaint, type Finding } from '../finding.ts';
import { removedOnes, type TableChoice } from '../metadata/table-choices.ts';
import { quoteIdent, quoteLiteral } from '../postgres/quote.ts';
import { Problem } from '../problem.ts';
import { readPublished, type Published } from '../source/published.ts';

/** What the configuration comes down to on a source. */
export interface Mappings {
  readonly mappings: readonly TableMapping[];
  readonly findings: readonly Finding[];
  readonly generatedColumnsSent: 'none' | 'stored';
}

/**
 * Which of the source's relations are followed, and as what: by tables.*, by what was chosen by command, and where the
 * publication is used as it is, by what that publishes. Throws NO_TABLES, PUBLICATION_MISSING.
 */
export async function readMappings(
  source: Client,
  relations: readonly Relation[],
  config: Config,
  options: { sourceVersion: number; choices: readonly TableChoice[] },
): Promise<Mappings> {
  const choices = choiceLookup(options.choices);
  const found = config.publication.managed
    ? managedMappings(relations, config, choices, options)
    : await publishedMappings(source, relations, config, choices);
  if (found.mappings.length === 0) {
    throw noTables(relations, config, options.choices);
  }
  return found;
}

function noTables(relations: readonly Relation[], { name, tables }: Config, choices: readonly TableChoice[]): Problem {
  const removed = removedOnes(choices);
  const known = relations.map(displayName).filter((relation) => removed.has(relation));
  if (known.length === 0) {
    return new Problem('NO_TABLES', `No table of the source matches ${tables.include.join(', ')}.`, {
      retry: 'transient',
      remedy:
        'Correct tables.include and tables.exclude (schema.table, * for any), or create the tables. It is looked at again by itself.',
    });
  }
  return new Problem(
    'NO_TABLES',
    `No table of the source is followed: none but those that were removed by command matches (${known.slice(0, 3).join(', ')}${known.length > 3 ? ', …' : ''}).`,
    {
      retry: 'transient',
      remedy: `To follow what tables.include matches, on the target:\nDELETE FROM pgfollow.table_choice WHERE pipeline = ${quoteLiteral(name)} AND NOT followed;\nIt is looked at again by itself.`,
    },
  );
}

/** What a command has said of a table; undefined when none has. */
type Choices = (relation: RelationName) => boolean | undefined;

function choiceLookup(choices: readonly TableChoice[]): Choices {
  const byName = new Map(choices.map(({ source, followed }) => [displayName(source), followed]));
  return (relation) => byName.get(displayName(relation));
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
    complaint('warning', 'source', 'PUBLISHED_OPERATIONS', {
      message: `${which} do not all publish ${missing.join(', ')}: such changes will be missing on the target.`,
      remedy: names
        .map((name) => `ALTER PUBLICATION ${quoteIdent(name)} SET (publish = 'insert, update, delete, truncate');`)
        .join('\n'),
    }),
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
