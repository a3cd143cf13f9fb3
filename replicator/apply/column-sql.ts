import type { ColumnType } from '../catalog/relation.ts';
import { TYPE_OID, type Oid } from '../postgres/oid.ts';
import { quoteIdent } from '../postgres/quote.ts';
import { unreachable } from '../problem.ts';
import { MARK } from './reshape-text.ts';
import type { MappedColumn } from './row-map.ts';

/** The column's value out of a parameter's. The assignment to the column does what an assignment may; what more it takes is here. */
export function converted({ conversion, target, parameterType, via }: MappedColumn, parameter: string): string {
  switch (conversion) {
    case 'none':
      return parameter;
    case 'cast':
      return `${parameter}::${castName(target.type)}`;
    case 'by text':
      return `${textOf(parameterType, parameter)}::${castName(target.type)}`;
    case 'char':
      return charOf(`${parameter}::pg_catalog.text`);
    case 'marked':
      return `${markedSql(parameter)}${via === undefined ? '' : `::${via}`}::${castName(target.type)}`;
    default:
      return unreachable(conversion);
  }
}

const CUT_BY_A_CAST: ReadonlyMap<Oid, string> = new Map([
  [TYPE_OID.varchar, 'pg_catalog."varchar"'],
  [TYPE_OID.bpchar, 'pg_catalog.bpchar'],
  [TYPE_OID.bit, 'pg_catalog."bit"'],
  [TYPE_OID.varbit, 'pg_catalog.varbit'],
]);

/**
 * The type that a value is cast to on its way into a column of this one. A cast cuts off what is too long for a domain, where the assignment refuses
 * it; so it goes to the type behind that, of any length.
 */
export function castName({ kind, baseOid, sqlName }: ColumnType): string {
  return (kind === 'domain' ? CUT_BY_A_CAST.get(baseOid) : undefined) ?? sqlName;
}

// What a copy brings is what the type prints: of these a cast to text gives something else, true for t and 10.0.0.1/32 for 10.0.0.1.
function textOf(type: Oid, parameter: string): string {
  if (type !== TYPE_OID.bool && type !== TYPE_OID.inet) return `${parameter}::pg_catalog.text`;
  return `CASE WHEN ${parameter} IS NOT NULL THEN pg_catalog.concat(${parameter}) END`;
}

// A backslash and three octal digits stand for a byte above 127, which as a number is negative.
function charOf(text: string): string {
  const digit = (n: number): string => `pg_catalog.ascii(pg_catalog.substr(${text}, ${n}, 1))`;
  const zeroes = 48 * 64 + 48 * 8 + 48;
  const number = `${digit(2)} * 64 + ${digit(3)} * 8 + ${digit(4)} - ${zeroes + 256}`;
  return `(CASE pg_catalog.length(${text}) WHEN 4 THEN (${number})::"char" ELSE ${text}::"char" END)`;
}

// The text behind each mark begins with three digits for a byte. Such a text is in no encoding: it is put together on the target, which
// before 16 gives the byte of a "char" as it is, and reads it so inside of another value.
function markedSql(text: string): string {
  const byte = `(pg_catalog.substr(m.piece, 1, 3)::pg_catalog.int4 - 128)::"char"::pg_catalog.text`;
  return (
    `(SELECT pg_catalog.string_agg(CASE m.n WHEN 1 THEN m.piece ELSE ${byte} || pg_catalog.substr(m.piece, 4) END, '' ORDER BY m.n) ` +
    `FROM pg_catalog.unnest(pg_catalog.string_to_array(${text}::pg_catalog.text, pg_catalog.chr(${MARK}))) WITH ORDINALITY AS m(piece, n))`
  );
}

/** SQL that compares a column with what converted() gives, by the = that its indexes use. */
export function equalityExpression(column: Pick<MappedColumn, 'target'>, left: string, right: string): string {
  return `${comparable(column, left)} ${equalityOperator(column)} ${comparable(column, right)}`;
}

/** A value as the column's operators take it: those of enums do not take domains over them. An index is found all the same. */
export function comparable({ target: { type } }: Pick<MappedColumn, 'target'>, of: string): string {
  return type.kind === 'domain' && type.form?.is === 'enum' ? `${of}::${type.form.name}` : of;
}

// The = of a column's type. The search_path is empty, so one that came with an extension must be named with its schema;
// without, the columns of such a type, or of a domain over it, would be compared as text, or not at all.
function equalityOperator({ target: { type } }: Pick<MappedColumn, 'target'>): string {
  return type.operatorSchema === undefined ? '=' : `OPERATOR(${quoteIdent(type.operatorSchema)}.=)`;
}
