import { cameAsText, sameBinary } from '../catalog/binary.ts';
import { isBuiltIn } from '../catalog/built-in.ts';
import { needsCast } from '../catalog/casts.ts';
import { targetColumn } from '../catalog/create-table.ts';
import { displayName, type Column, type ColumnType, type Relation, type TableMapping } from '../catalog/relation.ts';
import { TYPE_OID, type Oid } from '../postgres/oid.ts';
import { quoteIdent, quoteRelation } from '../postgres/quote.ts';
import type { TypeForm } from '../catalog/type-forms.ts';
import type { StreamColumn, StreamRelation } from '../pgoutput/messages.ts';
import { Problem } from '../problem.ts';
import type { ReshapedColumn } from './reshape-rows.ts';
import { holdsChars, valueShape, type ValueShape } from './value-shape.ts';

/** One column that is carried over. */
export interface MappedColumn {
  /** Position in the stream's tuples. */
  readonly index: number;
  readonly target: Column;
  /** What the target takes the received bytes for. */
  readonly parameterType: Oid;
  /** How SQL makes the column's value of the parameter, which may be of another type than the column. */
  readonly conversion: Conversion;
  /** SQL name of a type that is cast to the column's; only with the conversion "marked". */
  readonly via?: string;
}

/**
 * Nothing to be done; a cast that must be asked for; the parameter's text is read as the column's type; it is the text of a
 * "char", which since 16 is written in octal where its highest bit is set, and read so only since then; or the text of a value with
 * such ones in it, marked (see reshape-text.ts).
 */
export type Conversion = 'none' | 'cast' | 'by text' | 'char' | 'marked';

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
  /** Columns whose values have to be looked at first, by their place in the stream. */
  readonly reshaped: readonly ReshapedColumn[];
}

/** What is known of a column's type on the source. */
export interface KnownColumn {
  readonly source: { readonly name: string; readonly type: SourceType };
}

export type SourceType = Pick<ColumnType, 'oid' | 'baseOid' | 'form'>;

export interface MapOptions {
  /** The stream sends binary where a type can, so a built-in type's bytes are the source type's, not the target column's. */
  readonly binary: boolean;
  /** What the catalogs know of the columns; the stream may be of another time. */
  readonly known?: readonly KnownColumn[];
  /** As text a "char" above 127 comes in a form that the target does not read. */
  readonly octalChars?: boolean;
}

/**
 * Matches the stream's columns with the target's by name, after exclusions and renames.
 * Throws TARGET_TABLE_MISSING or TARGET_COLUMN_MISSING with the SQL that mends it.
 */
export function mapRows(
  relation: StreamRelation,
  mapping: TableMapping,
  target: Relation | undefined,
  options: MapOptions,
): RowMap {
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
  const reshaped: ReshapedColumn[] = [];
  relation.columns.forEach((column, index) => {
    if (mapping.excludeColumns.includes(column.name)) return;
    const name = targetColumn(column.name, mapping);
    const found = byName.get(name);
    if (!found) {
      missing.push(name);
      return;
    }
    const source = sourceType(column, options.known ?? []);
    const { shape, ...given } = parameter(source, found.type, options);
    if (shape) reshaped.push({ index, shape, marked: given.conversion === 'marked' });
    (found.generated === 'no' ? columns : generated).push({ index, target: found, ...given });
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
  const { binary } = options;
  return { table, relation, target, columns, find: findBy(relation, target, columns, generated), binary, reshaped };
}

/** The type of a column as the catalog knows it, if it means the same one. */
export function sourceType({ name, typeOid }: StreamColumn, known: readonly KnownColumn[]): SourceType {
  const found = known.find(({ source }) => source.name === name && source.type.oid === typeOid)?.source.type;
  return found ?? { oid: typeOid, baseOid: typeOid };
}

type Parameter = Pick<MappedColumn, 'parameterType' | 'conversion' | 'via'>;

function parameter(
  source: SourceType,
  target: ColumnType,
  { binary, octalChars = false }: MapOptions,
): Parameter & { readonly shape: ValueShape | null } {
  const given = conversionOf(source, target, binary);
  const to = formOf(target);
  // What is not known is read as what the target has, as text is.
  const from = formOf(source) ?? (binary ? null : to);
  if (!from || !to) return { ...given, shape: null };
  if (binary) return { ...given, shape: valueShape(from, to, false) };
  const cast = given.conversion === 'cast';
  const shape = given.conversion === 'char' ? null : valueShape(from, cast ? from : to, octalChars);
  if (!holdsChars(shape)) return { ...given, shape: cast ? null : shape };
  return { parameterType: TYPE_OID.text, conversion: 'marked', ...(cast ? { via: '"char"[]' } : {}), shape };
}

function formOf({ form, baseOid }: SourceType): TypeForm | null {
  return form ?? (isBuiltIn(baseOid) ? { is: 'built-in', name: '', oid: baseOid } : null);
}

// Text is read by the column's own type, and so is anything user-defined, whose OID means nothing here. The binary form
// of a built-in type is that of the same one only.
function conversionOf(source: SourceType, target: ColumnType, binary: boolean): Parameter {
  if (needsCast(source.baseOid, target.baseOid)) return { parameterType: source.baseOid, conversion: 'cast' };
  const chars = source.baseOid === TYPE_OID.char && target.baseOid === TYPE_OID.char;
  if (!binary && chars) return { parameterType: TYPE_OID.text, conversion: 'char' };
  if (!binary) return { parameterType: target.oid, conversion: 'none' };
  if (cameAsText(source)) return { parameterType: TYPE_OID.text, conversion: 'by text' };
  if (!isBuiltIn(source.baseOid)) return { parameterType: target.oid, conversion: 'none' };
  if (source.baseOid === target.baseOid) return { parameterType: source.baseOid, conversion: 'none' };
  if (sameBinary(source.baseOid, target.baseOid)) return { parameterType: target.oid, conversion: 'none' };
  // A cast of character(n) to text would lose its blanks.
  return { parameterType: sameBinary(source.baseOid, TYPE_OID.text) ? TYPE_OID.text : source.baseOid, conversion: 'by text' };
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
