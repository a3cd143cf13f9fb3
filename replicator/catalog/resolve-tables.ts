import { complaint, type Finding } from '../finding.ts';
import type { Oid } from '../postgres/oid.ts';
import { quoteRelation } from '../postgres/quote.ts';
import { displayName, type Relation, type RelationName, type TableMapping } from './relation.ts';

/** What tables.* and publication.viaPartitionRoot say. */
export interface TableSelection {
  readonly include: (relation: RelationName) => boolean;
  readonly exclude: (relation: RelationName) => boolean;
  /** tables.map: says how a table is followed, not whether. */
  readonly map: readonly TableMapping[];
  readonly viaPartitionRoot: boolean;
}

export interface ResolvedTables {
  /** In the order of the relations; each target name once. */
  readonly mappings: TableMapping[];
  readonly findings: Finding[];
}

/**
 * Which of the source's relations are followed, and as what.
 *
 * A partitioned table that matches is followed as itself, its partitions with it whatever their names; without
 * viaPartitionRoot its leaf partitions are followed under their own names instead. Excluding a partitioned table
 * excludes its partitions. What is not in the WAL (unlogged, temporary) is never followed.
 * https://www.postgresql.org/docs/current/logical-replication-restrictions.html
 */
export function resolveTables(relations: readonly Relation[], selection: TableSelection): ResolvedTables {
  const findings: Finding[] = [];
  const ancestorsOf = ancestorFinder(relations);
  const followed: Relation[] = [];
  for (const relation of relations) {
    const ancestors = ancestorsOf(relation);
    const lineage = [relation, ...ancestors];
    if (lineage.some(selection.exclude)) {
      const root = selection.viaPartitionRoot
        ? ancestors.findLast((each) => isFollowed(each, ancestorsOf, selection))
        : undefined;
      if (root && selection.exclude(relation)) findings.push(excludedPartition(relation, root));
      continue;
    }
    if (!lineage.some(selection.include)) continue;
    if (relation.persistence !== 'permanent') {
      findings.push(notInWal(relation));
    } else if (isFollowed(relation, ancestorsOf, selection)) {
      followed.push(relation);
    }
  }
  const entries = mapEntries(relations, followed, selection, findings);
  const mappings = followed.map((relation) => entries.get(displayName(relation)) ?? asItIs(relation));
  return { mappings: withoutCollisions(mappings, entries, findings), findings };
}

/** Whether this very relation is published, rather than an ancestor, its partitions, or nothing. */
function isFollowed(
  relation: Relation,
  ancestorsOf: AncestorFinder,
  { include, exclude, viaPartitionRoot }: TableSelection,
): boolean {
  const ancestors = ancestorsOf(relation);
  const lineage = [relation, ...ancestors];
  if (lineage.some(exclude)) return false;
  if (!viaPartitionRoot) return relation.kind === 'table' && lineage.some(include);
  return include(relation) && !ancestors.some(include);
}

type AncestorFinder = (relation: Relation) => Relation[];

/** Partitioned ancestors, the nearest first. */
function ancestorFinder(relations: readonly Relation[]): AncestorFinder {
  const byOid = new Map<Oid, Relation>(relations.map((relation) => [relation.oid, relation]));
  return (relation) => {
    const ancestors: Relation[] = [];
    for (let parent = parentOf(relation); parent !== null;) {
      const ancestor = byOid.get(parent);
      if (!ancestor) break;
      ancestors.push(ancestor);
      parent = parentOf(ancestor);
    }
    return ancestors;
  };
}

function parentOf(relation: Relation): Oid | null {
  return relation.parentOid ?? relation.rootOid;
}

function asItIs(relation: Relation): TableMapping {
  const name = { schema: relation.schema, name: relation.name };
  return { source: name, target: name, excludeColumns: [], renameColumns: {}, where: null };
}

/** tables.map by source name, the entries that have an effect; each of the others is a finding. */
function mapEntries(
  relations: readonly Relation[],
  followed: readonly Relation[],
  selection: TableSelection,
  findings: Finding[],
): Map<string, TableMapping> {
  const existing = new Map(relations.map((relation) => [displayName(relation), relation]));
  const effective = new Set(followed.map(displayName));
  const entries = new Map<string, TableMapping>();
  for (const entry of selection.map) {
    const from = displayName(entry.source);
    const relation = existing.get(from);
    if (entries.has(from)) {
      findings.push(
        complaint('error', 'config', 'TABLE_MAP', {
          table: from,
          message: `tables.map names ${from} twice; the first entry counts.`,
          remedy: 'Keep one of the two entries.',
        }),
      );
    } else if (!relation) {
      findings.push(
        complaint('error', 'config', 'TABLE_MAP', {
          table: from,
          message: `tables.map names ${from}, which does not exist on the source.`,
          remedy: 'Correct the name in tables.map, or create the table.',
        }),
      );
    } else if (effective.has(from)) {
      entries.set(from, entry);
    } else if (relation.persistence === 'permanent') {
      findings.push(
        complaint('warning', 'config', 'TABLE_MAP', {
          table: from,
          message: `The entry of tables.map for ${from} has no effect: ${whyNot(relation, selection)}.`,
          remedy: whatThen(relation, selection),
        }),
      );
    }
  }
  return entries;
}

function whyNot(relation: Relation, selection: TableSelection): string {
  if (selection.exclude(relation)) return 'tables.exclude matches the table';
  if (relation.kind === 'partitioned' && selection.include(relation) && !selection.viaPartitionRoot) {
    return 'with viaPartitionRoot: false its partitions are followed under their own names';
  }
  if (relation.rootOid !== null && selection.viaPartitionRoot && selection.include(relation)) {
    return 'it is followed as part of its partitioned table, or excluded with it';
  }
  return 'tables.include does not match the table';
}

function whatThen(relation: Relation, selection: TableSelection): string {
  if (relation.rootOid !== null || relation.kind === 'partitioned')
    return 'Map the table that is followed, or set publication.viaPartitionRoot.';
  return selection.exclude(relation)
    ? 'Take it out of tables.exclude, or out of tables.map.'
    : 'Add it to tables.include, or take it out of tables.map.';
}

/** Two tables must not fill one: the mapped one wins, else the first. */
function withoutCollisions(
  mappings: readonly TableMapping[],
  entries: ReadonlyMap<string, TableMapping>,
  findings: Finding[],
): TableMapping[] {
  const winners = new Map<string, TableMapping>();
  for (const mapping of mappings) {
    const to = displayName(mapping.target);
    const holder = winners.get(to);
    if (!holder || (!entries.has(displayName(holder.source)) && entries.has(displayName(mapping.source))))
      winners.set(to, mapping);
  }
  return mappings.filter((mapping) => {
    const to = displayName(mapping.target);
    const winner = winners.get(to);
    if (winner === mapping) return true;
    const from = displayName(mapping.source);
    const message = `${from} is not followed: its target ${to} is already filled from ${winner ? displayName(winner.source) : 'elsewhere'}.`;
    const remedy = `Give ${from} another target in tables.map, or exclude it.`;
    findings.push(complaint('error', 'config', 'TABLE_COLLISION', { table: from, message, remedy }));
    return false;
  });
}

function excludedPartition(partition: Relation, root: Relation): Finding {
  const name = displayName(partition);
  return complaint('warning', 'config', 'PARTITION_EXCLUDED', {
    table: name,
    message: `${name} is excluded, but it is a partition of ${displayName(root)}, which is followed as a whole.`,
    remedy: 'Set publication.viaPartitionRoot: false to follow partitions one by one, or take it out of tables.exclude.',
  });
}

function notInWal(relation: Relation): Finding {
  const name = displayName(relation);
  return complaint('warning', 'source', 'NOT_IN_WAL', {
    table: name,
    message: `${name} is ${relation.persistence}: PostgreSQL writes no WAL for it, so it cannot be followed.`,
    remedy:
      relation.persistence === 'unlogged'
        ? `ALTER TABLE ${quoteRelation(relation)} SET LOGGED; on the source, or add it to tables.exclude.`
        : 'Add it to tables.exclude.',
  });
}
