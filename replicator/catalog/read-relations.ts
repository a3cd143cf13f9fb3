import type { Client } from 'pg';
import { TYPE_OID, type Oid } from '../postgres/oid.ts';
import { isBuiltIn } from './built-in.ts';
import { groupBy } from './group-by.ts';
import {
  COLUMNS,
  INDEXES,
  TABLES,
  TYPES,
  type ColumnRow,
  type IndexRow,
  type TableRow,
  type TypeRow,
} from './relation-queries.ts';
import type { Column, ColumnType, Relation, RelationName, UniqueIndex } from './relation.ts';
import { readTypeForms, type TypeForm } from './type-forms.ts';

/** Which tables to read; `withPartitions` adds the partitions of the named ones at every level. */
export type RelationFilter =
  | { readonly oids: readonly Oid[]; readonly withPartitions?: boolean }
  | { readonly names: readonly RelationName[]; readonly withPartitions?: boolean };

/** The columns of thousands of tables are many rows: so many tables a query. */
const TABLES_A_QUERY = 1000;

/**
 * Ordinary and partitioned tables as the catalog describes them, ordered by schema and name: all of them but
 * the server's own, temporary ones and pgfollow's, or the ones that the filter names (missing ones are left
 * out). Four queries for a thousand tables, and one more where a type is not built in. The session's search_path must be
 * empty.
 * https://www.postgresql.org/docs/current/catalogs.html
 */
export async function readRelations(client: Client, filter?: RelationFilter): Promise<Relation[]> {
  const tables = await rowsOf<TableRow>(client, TABLES, [
    filter && 'oids' in filter ? filter.oids : null,
    filter && 'names' in filter ? filter.names.map((name) => name.schema) : null,
    filter && 'names' in filter ? filter.names.map((name) => name.name) : null,
    filter?.withPartitions ?? false,
  ]);
  if (tables.length === 0) return [];
  const relations: Relation[] = [];
  const types = new Map<Oid, TypeRow>();
  const forms = new Map<Oid, TypeForm>();
  const columnType = memoizedType(types, forms);
  const column = onceEach<ColumnRow, Column>((row) => JSON.stringify({ ...row, relation: 0 }));
  for (let at = 0; at < tables.length; at += TABLES_A_QUERY) {
    const some = tables.slice(at, at + TABLES_A_QUERY);
    const oids = some.map((table) => table.oid);
    const columnRows = await rowsOf<ColumnRow>(client, COLUMNS, [oids]);
    const indexes = groupBy(await rowsOf<IndexRow>(client, INDEXES, [oids]), (row) => row.relation);
    const typeOids = columnRows.map((row) => row.type_oid);
    await learnTypes(client, typeOids, types, forms);
    const columns = groupBy(columnRows, (row) => row.relation);
    for (const table of some) {
      const own = (columns.get(table.oid) ?? []).map((row) =>
        column(row, () => toColumn(row, columnType(row.type_oid, row.collation_deterministic))),
      );
      relations.push(toRelation(table, own, indexes.get(table.oid) ?? []));
    }
  }
  return relations;
}

async function learnTypes(
  client: Client,
  oids: readonly Oid[],
  types: Map<Oid, TypeRow>,
  forms: Map<Oid, TypeForm>,
): Promise<void> {
  const unknown = [...new Set(oids)].filter((oid) => !types.has(oid));
  if (unknown.length === 0) return;
  const rows = await rowsOf<TypeRow>(client, TYPES, [unknown]);
  for (const row of rows) types.set(row.oid, row);
  const own = rows.filter((type) => !isBuiltIn(type.base)).map((type) => type.oid);
  if (own.length === 0) return;
  for (const [oid, form] of await readTypeForms(client, own)) forms.set(oid, form);
}

/** Gives one object for all rows that are the same: thousands of tables may have columns that are. */
function onceEach<Row, Made>(keyOf: (row: Row) => string): (row: Row, make: () => Made) => Made {
  const known = new Map<string, Made>();
  return (row, make) => {
    const key = keyOf(row);
    const first = known.get(key);
    if (first !== undefined) return first;
    const made = make();
    known.set(key, made);
    return made;
  };
}

/** These types as the catalog describes them; missing ones are left out. The session's search_path must be empty. */
export async function readTypes(client: Client, oids: readonly Oid[]): Promise<Map<Oid, ColumnType>> {
  const types = new Map<Oid, TypeRow>();
  const forms = new Map<Oid, TypeForm>();
  await learnTypes(client, oids, types, forms);
  const columnType = memoizedType(types, forms);
  return new Map([...types.keys()].map((oid) => [oid, columnType(oid, true)]));
}

async function rowsOf<Row>(client: Client, text: string, values: unknown[]): Promise<Row[]> {
  return (await client.query<Row & Record<string, unknown>>(text, values)).rows;
}

const KINDS: Readonly<Record<string, ColumnType['kind']>> = {
  b: 'base',
  c: 'composite',
  d: 'domain',
  e: 'enum',
  p: 'pseudo',
  r: 'range',
  m: 'multirange',
};

// Two values of these are equal exactly when their text is the same. Not so numeric (1.0 = 1.00), float8 (0 = -0),
// character(n) (trailing blanks), interval (24 h = 1 day), timetz, citext, jsonb, nor what is made of other types.
const EXACT_TYPES: ReadonlySet<Oid> = new Set([
  TYPE_OID.bool,
  TYPE_OID.int2,
  TYPE_OID.int4,
  TYPE_OID.int8,
  TYPE_OID.oid,
  TYPE_OID.text,
  TYPE_OID.varchar,
  TYPE_OID.char,
  TYPE_OID.name,
  TYPE_OID.bytea,
  TYPE_OID.date,
  TYPE_OID.timestamp,
  TYPE_OID.timestamptz,
  TYPE_OID.uuid,
]);

/** One object a type and collation, shared by all columns that have it. */
function memoizedType(
  types: ReadonlyMap<Oid, TypeRow>,
  forms: ReadonlyMap<Oid, TypeForm>,
): (oid: Oid, deterministic: boolean) => ColumnType {
  const memo = new Map<string, ColumnType>();
  return (oid, deterministic) => {
    const key = `${oid} ${deterministic}`;
    const known = memo.get(key);
    if (known) return known;
    const row = types.get(oid);
    const form = forms.get(oid);
    const type: ColumnType = {
      oid,
      sqlName: row?.sql_name ?? String(oid),
      kind: KINDS[row?.typtype ?? 'b'] ?? 'base',
      baseOid: row?.base ?? oid,
      elementOid: row?.element ?? null,
      hasEquality: row?.has_equality ?? false,
      equalityIsIdentity: row !== undefined && deterministic && (row.base_typtype === 'e' || EXACT_TYPES.has(row.base)),
      ...(row?.operator_schema ? { operatorSchema: row.operator_schema } : {}),
      ...(form ? { form } : {}),
    };
    memo.set(key, type);
    return type;
  };
}

function toColumn(row: ColumnRow, type: ColumnType): Column {
  return {
    name: row.name,
    attnum: row.attnum,
    type,
    typeText: row.type_text,
    notNull: row.not_null,
    generated: row.generated === 's' ? 'stored' : row.generated === 'v' ? 'virtual' : 'no',
    identity: row.identity === 'a' ? 'always' : row.identity === 'd' ? 'by default' : 'no',
    hasDefault: row.has_default,
    ...(row.generated === '' ? {} : { generatedAs: row.generated_as }),
  };
}

const IDENTITIES: Readonly<Record<string, Relation['replicaIdentity']>> = { d: 'default', i: 'index', f: 'full', n: 'nothing' };

function toRelation(row: TableRow, columns: Column[], indexRows: readonly IndexRow[]): Relation {
  const replicaIdentity = IDENTITIES[row.identity] ?? 'default';
  return {
    schema: row.schema,
    name: row.name,
    oid: row.oid,
    kind: row.kind === 'p' ? 'partitioned' : 'table',
    persistence: row.persistence === 'u' ? 'unlogged' : row.persistence === 't' ? 'temporary' : 'permanent',
    replicaIdentity,
    identityColumns: identityColumns(replicaIdentity, indexRows),
    uniqueIndexes: indexRows.map(toUniqueIndex),
    columns,
    rootOid: row.root,
    parentOid: row.parent,
    estimatedRows: row.rows,
    bytes: Number(row.bytes),
    firesOnReplica: row.fires,
  };
}

/** As RelationGetIndexList() in relcache.c finds it: the primary key by default, or the index that was chosen. */
function identityColumns(identity: Relation['replicaIdentity'], indexes: readonly IndexRow[]): readonly string[] {
  if (identity !== 'default' && identity !== 'index') return [];
  const index = indexes.find((each) => each.usable && (identity === 'default' ? each.is_primary : each.is_identity));
  return index ? plainColumns(index) : [];
}

function toUniqueIndex(row: IndexRow): UniqueIndex {
  const columns = plainColumns(row);
  return {
    name: row.name,
    columns,
    primary: row.is_primary,
    identifies: row.usable && row.all_not_null && columns.length === row.columns.length,
  };
}

function plainColumns(row: IndexRow): string[] {
  return row.columns.filter((name) => name !== null);
}
