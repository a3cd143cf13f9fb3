import { needsCast } from '../catalog/casts.ts';
import type { ColumnPair } from '../catalog/match-target.ts';
import type { Relation, RelationName, TableMapping } from '../catalog/relation.ts';
import type { Difference } from '../metadata/shadows.ts';
import { quoteIdent, quoteLiteral, quoteRelation } from '../postgres/quote.ts';
import type { Problem } from '../problem.ts';
import type { BlockRange, Chunk } from './chunks.ts';
import { holdsHighCharSql } from './high-chars.ts';

/** `replace`: as truncate, but readers see the old rows until the new ones are there, and rows that are the same stay. */
type ExistingRows = 'error' | 'truncate' | 'keep' | 'replace';

/** One table to copy. */
export interface CopyTask {
  readonly mapping: TableMapping;
  readonly source: Relation;
  readonly target: Relation;
  readonly columns: readonly ColumnPair[];
  /** Both ends agree on the binary form of every column. */
  readonly binary: boolean;
  readonly existingRows: ExistingRows;
  /** The target has no indexes yet: they are built after the rows. */
  readonly bare: boolean;
  /** The target would read the text of a "char" above 127 as a backslash: the copy is to fail instead. */
  readonly refusesHighChars?: boolean;
}

/** What is shown of a copy under way. Row counts are about right until it is finished. */
export interface CopyObserver {
  started(task: CopyTask): void;
  progress(task: CopyTask, rows: number, bytes: number): void;
  /** A table that was copied before is as the source's again; finished() follows. */
  merged(task: CopyTask, found: Difference): void;
  /** What a copy has left cannot be dropped. */
  shadowStays(task: CopyTask, shadow: RelationName, reason: string): void;
  finished(task: CopyTask, rows: number, bytes: number): void;
  failed(task: CopyTask, problem: Problem): void;
}

/**
 * COPY … TO STDOUT on the source, of the whole table or of a chunk. That, a row filter, a partitioned table, generated columns and
 * casts need a query; else the table is named, which leaves tables that inherit from it alone.
 */
export function copyOutSql(
  task: Pick<CopyTask, 'mapping' | 'source' | 'columns' | 'binary' | 'refusesHighChars'>,
  chunk: Chunk | null = null,
): string {
  const relation = quoteRelation(task.source);
  const { where } = task.mapping;
  const ranges: readonly BlockRange[] = chunk?.ranges ?? [{ relation: null, blocks: null }];
  const needsQuery =
    where !== null ||
    ranges.some((range) => range.relation !== null || range.blocks !== null) ||
    task.source.kind === 'partitioned' ||
    task.columns.length === 0 ||
    task.columns.some((pair) => pair.source.generated !== 'no' || sent(pair, task) !== quoteIdent(pair.source.name));
  const names = task.columns.map(({ source }) => quoteIdent(source.name)).join(', ');
  const what = needsQuery ? `(${ranges.map((range) => selectSql(task, range)).join(' UNION ALL ')})` : `${relation} (${names})`;
  return `COPY ${what} TO STDOUT (FORMAT ${task.binary ? 'binary' : 'text'})`;
}

// A partition goes by the name of its table, which the filter may speak of.
function selectSql(
  task: Pick<CopyTask, 'mapping' | 'source' | 'columns' | 'binary' | 'refusesHighChars'>,
  { relation, blocks }: BlockRange,
): string {
  const { mapping, source, columns } = task;
  const { where } = mapping;
  const from = relation
    ? `ONLY ${quoteRelation(relation)} AS ${quoteIdent(source.name)}`
    : `${source.kind === 'table' ? 'ONLY ' : ''}${quoteRelation(source)}`;
  // A comment at the end of the filter ends with its line.
  const conditions = [...(blocks ? blocksOf(blocks) : []), ...(where === null ? [] : [`(${where}\n)`])];
  const filter = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  return `SELECT ${columns.map((pair) => sent(pair, task)).join(', ')} FROM ${from}${filter}`;
}

// A scan of these blocks alone, since PostgreSQL 14.
function blocksOf({ from, to }: { from: number; to: number | null }): string[] {
  return [`ctid >= '(${from},0)'`, ...(to === null ? [] : [`ctid < '(${to},0)'`])];
}

// As in the stream (see mapRows): what the target's type does not read is cast, here where its name is the same.
function sent(pair: ColumnPair, { binary, refusesHighChars = false }: Pick<CopyTask, 'binary' | 'refusesHighChars'>): string {
  const name = quoteIdent(pair.source.name);
  if (isCast(pair)) return `${name}::${pair.target.type.sqlName}`;
  const { form, baseOid, sqlName } = pair.source.type;
  const high =
    binary || !refusesHighChars ? null : holdsHighCharSql(name, form ?? { is: 'built-in', name: sqlName, oid: baseOid });
  if (!high) return name;
  const fault = quoteLiteral(
    `"char" above 127 in column ${pair.source.name}, whose text PostgreSQL 15 and older do not read; binary values are needed (apply.binary): `,
  );
  // A number that is none: the only way for a query to refuse a row with a reason.
  const refused = `(${fault} || pg_catalog.pg_column_size(${name}))::pg_catalog.int4 IS NULL`;
  return `CASE WHEN ${high} THEN CASE WHEN ${refused} THEN NULL ELSE ${name} END ELSE ${name} END`;
}

function isCast({ source, target }: ColumnPair): boolean {
  return target.type.oid === target.type.baseOid && needsCast(source.type.baseOid, target.type.oid);
}

/** COPY … FROM STDIN on the target, `into` its table or another; it takes given values for identity columns as they are. */
export function copyInSql(task: Pick<CopyTask, 'target' | 'columns' | 'binary'>, into: RelationName = task.target): string {
  const names = task.columns.map((pair) => quoteIdent(pair.target.name)).join(', ');
  return `COPY ${quoteRelation(into)}${names === '' ? '' : ` (${names})`} FROM STDIN (FORMAT ${task.binary ? 'binary' : 'text'})`;
}
