import { quoteIdent, quoteRelation } from '../postgres/quote.ts';
import { Problem, type ProblemCode } from '../problem.ts';
import { typeFits, type CastExists } from './casts.ts';
import { columnDefinition, createTableSql, targetColumn } from './create-table.ts';
import { fieldClash } from './field-clash.ts';
import { displayName, type Column, type Relation, type TableMapping } from './relation.ts';

/** A column that is carried: where it comes from and where it goes. */
export interface ColumnPair {
  readonly source: Column;
  readonly target: Column;
}

export type TargetMatch =
  | { readonly ok: true; readonly columns: readonly ColumnPair[] }
  | { readonly ok: false; readonly problem: Problem };

export interface MatchOptions {
  /** Of the target: readCasts(). */
  readonly castExists: CastExists;
  /**
   * Whether the stream carries the values of stored generated columns: PostgreSQL 18 with a publication whose
   * publish_generated_columns is stored. Virtual ones are never sent.
   */
  readonly generatedColumnsSent: 'none' | 'stored';
}

/**
 * Whether a source table can be written to its target table, and which columns go where: by name, after renaming.
 *
 * A generated column of the source is left out where the target generates it too. Where the target's column is an
 * ordinary one, it is carried if the stream holds its values, else the column could only be wrong: a Problem. A column
 * that only the target generates cannot be written: a Problem. Columns that only the target has keep their defaults, so
 * one that is NOT NULL without any is a Problem.
 * https://www.postgresql.org/docs/current/logical-replication-gencols.html
 */
export function matchTarget(
  source: Relation,
  target: Relation | undefined,
  mapping: TableMapping,
  options: MatchOptions,
): TargetMatch {
  const table = displayName(mapping.source);
  const failed = (code: ProblemCode, message: string, remedy: string): TargetMatch => ({
    ok: false,
    problem: new Problem(code, message, { remedy, table }),
  });
  const fault = mappingFault(source, mapping);
  if (fault) return failed('CONFIG_INVALID', `tables.map for ${table}: ${fault.message}`, fault.remedy);
  const to = displayName(mapping.target);
  if (!target) {
    return failed(
      'TARGET_TABLE_MISSING',
      `${table} has no target table ${to}.`,
      `Run on the target:\n${createTableSql(source, mapping)}`,
    );
  }

  const unsent = unsentKey(source, options);
  if (unsent.length > 0) {
    return failed(
      'SOURCE_UNSUITABLE',
      `Rows of ${table} are found by ${list(unsent)}, generated there, which PostgreSQL before 18 does not send.`,
      `Run on the source:\nALTER TABLE ${quoteRelation(mapping.source)} REPLICA IDENTITY FULL;`,
    );
  }
  const sorted = sortColumns(source, target, mapping, options);
  const alter = (actions: string[]): string => `ALTER TABLE ${quoteRelation(mapping.target)}\n  ${actions.join(',\n  ')};`;
  if (sorted.missing.length > 0) {
    const names = sorted.missing.map((column) => targetColumn(column.name, mapping));
    const additions = sorted.missing.map(
      (column) => `ADD COLUMN ${columnDefinition(column, targetColumn(column.name, mapping), { notNull: false })}`,
    );
    return failed(
      'TARGET_COLUMN_MISSING',
      `${to} lacks ${list(names)}, which ${table} has.`,
      `Run on the target:\n${alter(additions)}\nor leave them out with tables.map columns.exclude: [${sorted.missing.map(({ name }) => name).join(', ')}].`,
    );
  }
  if (sorted.clashes.length > 0) {
    const messages = sorted.clashes.map(({ message }) => message);
    return failed(
      'TARGET_COLUMN_TYPE',
      `${to} cannot take ${table}: ${messages.join('; ')}.`,
      `Run on the target:\n${mendingSql(sorted.clashes, alter)}\nor leave them out with tables.map columns.exclude.`,
    );
  }
  const unfilled = unfilledColumns(target, sorted);
  if (unfilled.length > 0) {
    return failed(
      'TARGET_UNSUITABLE',
      `${to} has ${list(unfilled)}, NOT NULL without a default, which ${table} does not fill.`,
      `Run on the target:\n${alter(unfilled.map((name) => `ALTER COLUMN ${quoteIdent(name)} DROP NOT NULL`))}\nor give a default with SET DEFAULT.`,
    );
  }
  return { ok: true, columns: sorted.pairs };
}

interface SortedColumns {
  readonly pairs: ColumnPair[];
  readonly missing: Column[];
  readonly clashes: Clash[];
}

/** Why values of a source column cannot be written to its target column, and what helps: actions of ALTER TABLE, or a statement of its own. */
interface Clash {
  readonly message: string;
  readonly actions: readonly string[];
  readonly statement?: string;
}

function mendingSql(clashes: readonly Clash[], alter: (actions: string[]) => string): string {
  const statements = new Set(clashes.flatMap(({ statement }) => (statement === undefined ? [] : [statement])));
  const actions = clashes.flatMap((clash) => clash.actions);
  return [...statements, ...(actions.length > 0 ? [alter(actions)] : [])].join('\n');
}

function sortColumns(source: Relation, target: Relation, mapping: TableMapping, options: MatchOptions): SortedColumns {
  const sorted: SortedColumns = { pairs: [], missing: [], clashes: [] };
  const targets = new Map(target.columns.map((column) => [column.name, column]));
  for (const column of source.columns) {
    if (mapping.excludeColumns.includes(column.name)) continue;
    const other = targets.get(targetColumn(column.name, mapping));
    if (!other) {
      sorted.missing.push(column);
      continue;
    }
    if (column.generated !== 'no' && other.generated !== 'no') continue;
    const clash = clashOf(column, other, options);
    if (clash) sorted.clashes.push(clash);
    else sorted.pairs.push({ source: column, target: other });
  }
  return sorted;
}

function clashOf(source: Column, target: Column, options: MatchOptions): Clash | null {
  const name = quoteIdent(target.name);
  if (target.generated !== 'no') {
    return {
      message: `${target.name} is generated there, but an ordinary column on the source`,
      actions:
        target.generated === 'stored'
          ? [`ALTER COLUMN ${name} DROP EXPRESSION`]
          : [`DROP COLUMN ${name}`, `ADD COLUMN ${columnDefinition(source, target.name, { notNull: false })}`],
    };
  }
  if (source.generated !== 'no' && (source.generated === 'virtual' || options.generatedColumnsSent === 'none')) {
    return {
      message: `${target.name} is an ordinary column there, but generated on the source, which does not send its values`,
      actions: [`DROP COLUMN ${name}`, `ADD COLUMN ${columnDefinition(source, target.name)}`],
    };
  }
  if (!typeFits(source.type, target.type, options.castExists)) {
    return {
      message: `${target.name} is ${target.typeText} there and ${source.typeText} on the source, without a cast on both sides`,
      actions: [`ALTER COLUMN ${name} TYPE ${source.typeText} USING ${name}::text::${source.typeText}`],
    };
  }
  const mixedUp = fieldClash(source.type, target.type);
  return mixedUp && { message: `${target.name}: ${mixedUp.message}`, statement: mixedUp.statement, actions: [] };
}

/** Columns of the replica identity whose values the stream does not carry. */
function unsentKey(source: Relation, options: MatchOptions): string[] {
  return source.columns
    .filter(({ generated }) => generated === 'virtual' || (generated === 'stored' && options.generatedColumnsSent === 'none'))
    .filter(({ name }) => source.identityColumns.includes(name))
    .map(({ name }) => name);
}

/** Columns that only the target has and that no INSERT of ours could leave out. */
function unfilledColumns(target: Relation, { pairs }: SortedColumns): string[] {
  const filled = new Set(pairs.map((pair) => pair.target.name));
  return target.columns
    .filter(
      (column) =>
        column.notNull && !column.hasDefault && column.identity === 'no' && column.generated === 'no' && !filled.has(column.name),
    )
    .map((column) => column.name);
}

/** What the mapping asks of columns that cannot be done. A misspelt exclusion must not send what was to stay. */
export function mappingFault(source: Relation, mapping: TableMapping): { message: string; remedy: string } | null {
  const names = new Set(source.columns.map((column) => column.name));
  const unknown = [...mapping.excludeColumns, ...Object.keys(mapping.renameColumns)].filter((name) => !names.has(name));
  if (unknown.length > 0) {
    return {
      message: `the table has no ${list(unknown)}.`,
      remedy: 'Correct the names in columns.exclude and columns.rename, or take them out.',
    };
  }
  const lost = mapping.excludeColumns.filter((name) => source.identityColumns.includes(name));
  if (lost.length > 0) {
    return {
      message: `${list(lost)} cannot be excluded: rows are found by it (replica identity).`,
      remedy: `Take ${list(lost)} out of columns.exclude, or choose another REPLICA IDENTITY on the source.`,
    };
  }
  const targets = source.columns
    .filter((column) => !mapping.excludeColumns.includes(column.name))
    .map((column) => targetColumn(column.name, mapping));
  const doubled = targets.filter((name, at) => targets.indexOf(name) !== at);
  if (doubled.length > 0) {
    return { message: `two columns go to ${list(doubled)}.`, remedy: 'Rename or exclude one of them.' };
  }
  return null;
}

function list(names: readonly string[]): string {
  return `${names.length === 1 ? 'column' : 'columns'} ${names.join(', ')}`;
}
