import { namesObjects } from '../catalog/binary.ts';
import { isBuiltIn } from '../catalog/built-in.ts';
import { holdsChar } from '../catalog/chars.ts';
import { needsCast, sameTypeName } from '../catalog/casts.ts';
import type { ColumnPair } from '../catalog/match-target.ts';
import type { ColumnType } from '../catalog/relation.ts';
import { TYPE_OID, type Oid } from '../postgres/oid.ts';
import { quoteIdent } from '../postgres/quote.ts';

/** SQL on each side that gives a column in the form that the target stores. */
interface ComparedColumn {
  readonly source: string;
  readonly target: string;
}

export interface ComparedColumns {
  readonly compared: readonly ComparedColumn[];
  /** Names of source columns whose values cannot be brought into the target's form on the source, so nothing is said of them. */
  readonly left: readonly string[];
}

/**
 * Which columns are compared, and as what: the source's value as the target's type makes it when it is applied (see needsCast).
 * Where that cannot be worked out on the source the column is left: a wrong alarm would be worse.
 */
export function comparedColumns(pairs: readonly ColumnPair[]): ComparedColumns {
  const compared: ComparedColumn[] = [];
  const left: string[] = [];
  for (const pair of pairs) {
    const source = inTargetForm(pair);
    if (isChar(pair.source.type) && isChar(pair.target.type))
      compared.push({ source: charCode(pair.source.name), target: charCode(pair.target.name) });
    else if (source === null || printsChars(pair.source.type) || printsChars(pair.target.type)) left.push(pair.source.name);
    else compared.push({ source, target: quoteIdent(pair.target.name) });
  }
  return { compared, left };
}

// Of these the text says all: no length, scale or precision is part of a column's type, or it does not change values.
const UNSIZED: ReadonlySet<Oid> = new Set([
  TYPE_OID.bool,
  TYPE_OID.bytea,
  TYPE_OID.int2,
  TYPE_OID.int4,
  TYPE_OID.int8,
  TYPE_OID.oid,
  TYPE_OID.text,
  TYPE_OID.varchar,
  TYPE_OID.name,
  TYPE_OID.float4,
  TYPE_OID.float8,
  TYPE_OID.date,
  TYPE_OID.uuid,
  TYPE_OID.json,
  TYPE_OID.jsonb,
  TYPE_OID.xml,
]);
const STRINGS: readonly Oid[] = [TYPE_OID.text, TYPE_OID.varchar, TYPE_OID.bpchar];

function inTargetForm({ source, target }: ColumnPair): string | null {
  const [from, to] = [source.type, target.type];
  const name = quoteIdent(source.name);
  // Their text changes when an object is renamed, though no row does.
  if (namesObjects(from.baseOid) || namesObjects(to.baseOid)) return null;
  if (sameTypeName(from, to) && (from.kind === 'domain' || source.typeText === target.typeText || !isBuiltIn(from.oid))) {
    return from.baseOid === to.baseOid || !isBuiltIn(from.baseOid) ? name : null;
  }
  if (to.kind === 'domain' && isBuiltIn(to.baseOid)) return from.baseOid === to.baseOid && UNSIZED.has(to.baseOid) ? name : null;
  if (isBuiltIn(from.baseOid) && isBuiltIn(to.baseOid)) {
    const direct = from.baseOid === to.baseOid || needsCast(from.baseOid, to.baseOid);
    return `${direct ? name : printed(name)}::${target.typeText}`;
  }
  if (STRINGS.includes(to.oid)) return `${printed(name)}::${target.typeText}`;
  return to.kind === 'enum' && STRINGS.includes(from.baseOid) ? name : null;
}

// Above 127 it is printed in another way since 16.
function isChar({ baseOid }: ColumnType): boolean {
  return baseOid === TYPE_OID.char;
}

function printsChars({ form, baseOid, sqlName }: ColumnType): boolean {
  return holdsChar(form ?? { is: 'built-in', name: sqlName, oid: baseOid });
}

function charCode(name: string): string {
  return `${quoteIdent(name)}::pg_catalog.int4`;
}

// As the type's output function has it, which is what travels; a cast to text would lose the blanks of character(n), and print
// true for t. num_nulls(), because IS NULL looks into composites.
function printed(name: string): string {
  return `CASE WHEN pg_catalog.num_nulls(${name}) = 0 THEN pg_catalog.concat(${name}) END`;
}
