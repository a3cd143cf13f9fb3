import { isBuiltIn } from '../catalog/built-in.ts';
import { sameTypeName } from '../catalog/casts.ts';
import type { ColumnPair } from '../catalog/match-target.ts';
import type { ColumnType, Relation } from '../catalog/relation.ts';
import { TYPE_OID, type Oid } from '../postgres/oid.ts';
import { quoteIdent } from '../postgres/quote.ts';

/** A column of the key, on one side. */
export interface KeyColumn {
  readonly name: string;
  /** The same, quoted. */
  readonly sql: string;
  /** What a value that travels as text is read as. */
  readonly type: string;
  /** Stands between the column and a value of that type. */
  readonly equals: string;
}

/** What tells the rows of a table apart on both sides. */
export interface RowKey {
  readonly source: readonly KeyColumn[];
  readonly target: readonly KeyColumn[];
  /** Both sides have an index that sorts the rows alike, and print equal values alike: ranges mean the same on both. */
  readonly ordered: boolean;
}

const INTEGERS: readonly Oid[] = [TYPE_OID.int2, TYPE_OID.int4, TYPE_OID.int8];
const TEXTS: readonly Oid[] = [TYPE_OID.text, TYPE_OID.varchar];
// Text sorts by its collation, and that by the libraries of each machine.
const ORDERED: ReadonlySet<Oid> = new Set([
  ...INTEGERS,
  TYPE_OID.oid,
  TYPE_OID.bool,
  TYPE_OID.bytea,
  TYPE_OID.date,
  TYPE_OID.timestamp,
  TYPE_OID.timestamptz,
  TYPE_OID.uuid,
]);

/** The columns of a unique index, NOT NULL, that both sides have; null where there is none: then rows are a multiset. */
export function rowKey(source: Relation, target: Relation, pairs: readonly ColumnPair[]): RowKey | null {
  const bySource = new Map(pairs.map((pair) => [pair.source.name, pair]));
  const indexes = source.uniqueIndexes.filter((index) => index.identifies);
  // The one that rows are found by comes first.
  const rank = ({ columns }: (typeof indexes)[number]): number => (sameSet(columns, source.identityColumns) ? 0 : 1);
  for (const index of [...indexes].sort((a, b) => rank(a) - rank(b))) {
    const columns = index.columns.flatMap((name) => bySource.get(name) ?? []);
    if (columns.length < index.columns.length || !columns.every(comparable)) continue;
    const names = columns.map((pair) => pair.target.name);
    const others = target.uniqueIndexes.filter((other) => other.identifies && sameSet(other.columns, names));
    if (others.length === 0) continue;
    const sorted = others.some((other) => other.columns.every((name, at) => name === names[at]));
    return {
      source: columns.map((pair) => keyColumn(pair.source.name, pair.source.type)),
      target: columns.map((pair) => keyColumn(pair.target.name, pair.target.type)),
      ordered: sorted && columns.every((pair) => ORDERED.has(pair.source.type.baseOid)),
    };
  }
  return null;
}

// A value of one side can be looked for on the other.
function comparable({ source, target }: ColumnPair): boolean {
  const [from, to] = [source.type.baseOid, target.type.baseOid];
  if ([INTEGERS, TEXTS].some((alike) => alike.includes(from) && alike.includes(to))) return true;
  return isBuiltIn(from) || isBuiltIn(to) ? from === to : sameTypeName(source.type, target.type);
}

function keyColumn(name: string, type: ColumnType): KeyColumn {
  const read = INTEGERS.includes(type.baseOid)
    ? 'pg_catalog.int8'
    : TEXTS.includes(type.baseOid)
      ? 'pg_catalog.text'
      : type.sqlName;
  const sql = quoteIdent(name);
  // The operators of enums do not take domains over them.
  const enumName = type.kind === 'domain' && type.form?.is === 'enum' ? type.form.name : null;
  if (enumName !== null) return { name, sql, type: enumName, equals: `::${enumName} =` };
  const equals = type.operatorSchema === undefined ? '=' : `OPERATOR(${quoteIdent(type.operatorSchema)}.=)`;
  return { name, sql, type: read, equals };
}

function sameSet(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((name) => others.includes(name));
}
