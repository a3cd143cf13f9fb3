import { isBuiltIn } from '../catalog/built-in.ts';
import { needsCast } from '../catalog/casts.ts';
import { targetColumn } from '../catalog/create-table.ts';
import { displayName, type Column, type ColumnType, type Relation, type TableMapping } from '../catalog/relation.ts';
import type { Oid } from '../postgres/oid.ts';
import { quoteIdent, quoteRelation } from '../postgres/quote.ts';
import type { StreamRelation } from '../pgoutput/messages.ts';
import { Problem } from '../problem.ts';

/** One column that is carried over. */
export interface MappedColumn {
  /** Position in the stream's tuples. */
  readonly index: number;
  readonly target: Column;
  /** What the target takes the received bytes for. */
  readonly parameterType: Oid;
  /** The parameter is of the source's type, another one than the column's, and must be cast to that. */
  readonly cast: boolean;
}

/** How the rows of one description of a source relation become rows of its target table. */
export interface RowMap {
  /** `schema.table` on the source: the name in states, metrics and events. */
  readonly table: string;
  readonly relation: StreamRelation;
  readonly target: Relation;
  readonly columns: readonly MappedColumn[];
  /** What finds the old row: a key, or the image of the whole row where there is none (one of equal rows). */
  readonly find: { readonly by: 'key' | 'image'; readonly columns: readonly MappedColumn[] };
  /** Values come in binary where their types can. */
  readonly binary: boolean;
}

/**
 * Matches the stream's columns with the target's by name, after exclusions and renames. `binary`: the stream sends
 * binary where a type can, so a built-in type's bytes are the source type's, not the target column's.
 * Throws TARGET_TABLE_MISSING or TARGET_COLUMN_MISSING with the SQL that mends it.
 */
export function mapRows(relation: StreamRelation, mapping: TableMapping, target: Relation | undefined, binary: boolean): RowMap {
  const table = displayName(mapping.source);
  if (!target) {
    throw new Problem(
      'TARGET_TABLE_MISSING',
      `Table ${displayName(mapping.target)}, where ${table} goes, does not exist on the target.`,
      {
        table,
        retry: 'transient',
        remedy: `Create ${quoteRelation(mapping.target)} on the target with the columns of ${quoteRelation(mapping.source)}.`,
      },
    );
  }
  const byName = new Map(target.columns.map((column) => [column.name, column]));
  const columns: MappedColumn[] = [];
  const generated: MappedColumn[] = [];
  const missing: string[] = [];
  relation.columns.forEach((column, index) => {
    if (mapping.excludeColumns.includes(column.name)) return;
    const name = targetColumn(column.name, mapping);
    const found = byName.get(name);
    if (!found) missing.push(name);
    else
      (found.generated === 'no' ? columns : generated).push({
        index,
        target: found,
        ...parameter(column.typeOid, found.type, binary),
      });
  });
  if (missing.length > 0) {
    const names = missing.map((name) => `"${name}"`).join(', ');
    throw new Problem(
      'TARGET_COLUMN_MISSING',
      `${displayName(mapping.target)} on the target lacks column ${names}, which ${table} has.`,
      {
        table,
        retry: 'transient',
        remedy: missing
          .map((name) => `ALTER TABLE ${quoteRelation(mapping.target)} ADD COLUMN ${quoteIdent(name)} <type as on the source>;`)
          .join(' '),
      },
    );
  }
  return { table, relation, target, columns, find: findBy(relation, target, columns, generated), binary };
}

// Text is read by the column's own type, and so is anything user-defined, whose OID means nothing here.
function parameter(sourceType: Oid, { oid, baseOid }: ColumnType, binary: boolean): Pick<MappedColumn, 'parameterType' | 'cast'> {
  const cast = needsCast(sourceType, baseOid);
  return { cast, parameterType: cast || (binary && isBuiltIn(sourceType)) ? sourceType : oid };
}

// Under FULL a key of the target, where it has one, finds the row by its index; only a keyless target needs the image.
function findBy(
  relation: StreamRelation,
  target: Relation,
  columns: readonly MappedColumn[],
  generated: readonly MappedColumn[],
): RowMap['find'] {
  if (relation.replicaIdentity !== 'full') {
    // A column that the target generates cannot be written, but it can be a key.
    return { by: 'key', columns: [...columns, ...generated].filter((column) => relation.columns[column.index]?.identity) };
  }
  const byTarget = new Map(columns.map((column) => [column.target.name, column]));
  const key = target.uniqueIndexes.find((index) => index.identifies && index.columns.every((name) => byTarget.has(name)));
  if (!key) return { by: 'image', columns };
  return { by: 'key', columns: key.columns.flatMap((name) => byTarget.get(name) ?? []) };
}
