import type { Client } from 'pg';
import { readCastsOfBoth } from '../catalog/casts.ts';
import { matchTarget, type ColumnPair } from '../catalog/match-target.ts';
import { readRelations } from '../catalog/read-relations.ts';
import { displayName, type Relation, type RelationName, type TableMapping } from '../catalog/relation.ts';
import { partitionedOnes, sharedRows } from '../catalog/shared-rows.ts';
import { complaint, fine, ofProblem, type Finding } from '../finding.ts';
import type { Config } from '../config/schema.ts';
import type { TableChoice } from '../metadata/table-choices.ts';
import type { StoredTable } from '../metadata/table-states.ts';
import { quoteRelation, quoteIdent } from '../postgres/quote.ts';
import { readMappings } from '../session/mappings.ts';

/** A table that is to be followed, with what the target has for it. */
export interface TablePair {
  /** `schema.table` on the source. */
  readonly name: string;
  readonly mapping: TableMapping;
  readonly source: Relation;
  readonly target: Relation | null;
  /** Null while the target does not fit. */
  readonly columns: readonly ColumnPair[] | null;
}

export interface Pairs {
  readonly pairs: readonly TablePair[];
  /** Those whose target is going to be created. */
  readonly missing: readonly TablePair[];
  /** Every relation of the source, partitions too. */
  readonly relations: readonly Relation[];
  readonly findings: readonly Finding[];
  readonly generatedColumnsSent: 'none' | 'stored';
}

/** What the configuration comes down to on both databases, as a start would find it. Throws what a start would throw. */
export async function readPairs(
  ends: { source: Client; target: Client | null },
  config: Config,
  options: { sourceVersion: number; choices: readonly TableChoice[]; stored: readonly StoredTable[] },
): Promise<Pairs> {
  const relations = await readRelations(ends.source);
  const { mappings, findings, generatedColumnsSent } = await readMappings(ends.source, relations, config, options);
  const byName = byDisplayName(relations);
  const targets = ends.target && byDisplayName(await readRelations(ends.target, { names: mappings.map((each) => each.target) }));
  const castExists = ends.target ? await readCastsOfBoth(ends.source, ends.target) : () => true;
  // A table whose rows were there is not made anew: it would be empty.
  const hadRows = new Set(options.stored.filter((table) => table.hasRows).map(({ source }) => displayName(source)));
  const creates = (name: string): boolean => config.schema.create === 'missing' && !hadRows.has(name);
  const partitioned = partitionedOnes(targets?.values() ?? []);
  const problems: Finding[] = [];
  const missing: TablePair[] = [];
  const pairs = mappings.flatMap((mapping): TablePair[] => {
    const source = byName.get(displayName(mapping.source));
    if (!source) return [];
    const target = targets?.get(displayName(mapping.target)) ?? null;
    const pair = { name: displayName(mapping.source), mapping, source, target };
    if (!targets) return [{ ...pair, columns: null }];
    const match =
      sharedRows(mapping, target, partitioned) ??
      matchTarget(source, target ?? undefined, mapping, { castExists, generatedColumnsSent });
    if (match.ok) return [{ ...pair, columns: match.columns }];
    if (match.problem.code === 'TARGET_TABLE_MISSING' && creates(pair.name)) missing.push({ ...pair, columns: null });
    else problems.push(ofProblem('target', match.problem));
    return [{ ...pair, columns: null }];
  });
  const fit = pairs.filter(({ columns }) => columns !== null).length;
  return {
    pairs,
    missing,
    relations,
    generatedColumnsSent,
    findings: [
      fine('config', 'TABLES', followed(pairs)),
      ...findings,
      ...(fit > 0 ? [fine('target', 'TARGET_TABLES', `${tables(fit)} on the target can take what comes.`)] : []),
      ...problems,
    ],
  };
}

function followed(pairs: readonly TablePair[]): string {
  const bytes = pairs.reduce((sum, { source }) => sum + source.bytes, 0);
  return `${tables(pairs.length)} of the source, ${Math.ceil(bytes / 1024 / 1024)} MB, ${pairs.length === 1 ? 'is' : 'are'} followed.`;
}

/**
 * Pure: target tables in which the rows that change can only be found by reading all of them. Those whose indexes are
 * still to be built (`unbuilt`, by display name) are left out.
 */
export function classifyIndexes(pairs: readonly TablePair[], unbuilt: ReadonlySet<string>): Finding[] {
  return pairs.flatMap(({ name, mapping, source, target, columns }) => {
    if (!target || !columns || source.identityColumns.length === 0 || unbuilt.has(displayName(target))) return [];
    const key = source.identityColumns.map((column) => mapping.renameColumns[column] ?? column);
    if (target.uniqueIndexes.some((index) => index.columns.length > 0 && index.columns.every((column) => key.includes(column))))
      return [];
    return [
      complaint('warning', 'target', 'TARGET_INDEX', {
        table: name,
        message: `Rows of ${name} are found by ${key.join(', ')}, but ${displayName(mapping.target)} has no unique index on that: each batch reads the whole table.`,
        remedy: `Run on the target: CREATE UNIQUE INDEX CONCURRENTLY ON ${quoteRelation(mapping.target)} (${key.map(quoteIdent).join(', ')});`,
      }),
    ];
  });
}

/** "1 table", "7 tables". */
export function tables(count: number): string {
  return count === 1 ? '1 table' : `${count} tables`;
}

/** The first few by name, the others as a number. */
export function some(names: readonly string[]): string {
  return names.length <= 5 ? names.join(', ') : `${names.slice(0, 5).join(', ')} and ${names.length - 5} more`;
}

function byDisplayName<T extends RelationName>(relations: readonly T[]): Map<string, T> {
  return new Map(relations.map((relation) => [displayName(relation), relation]));
}
