import type { Client } from 'pg';
import { TYPE_OID, type Oid } from '../postgres/oid.ts';
import type { Column, ColumnType, Relation, RelationName, UniqueIndex } from './relation.ts';

/** Which tables to read; `withPartitions` adds the partitions of the named ones at every level. */
export type RelationFilter =
  | { readonly oids: readonly Oid[]; readonly withPartitions?: boolean }
  | { readonly names: readonly RelationName[]; readonly withPartitions?: boolean };

/**
 * Ordinary and partitioned tables as the catalog describes them, ordered by schema and name: all of them but
 * the server's own, temporary ones and pgfollow's, or the ones that the filter names (missing ones are left
 * out). Four queries, however many tables there are. The session's search_path must be empty.
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
  const oids = tables.map((table) => table.oid);
  const columnRows = await rowsOf<ColumnRow>(client, COLUMNS, [oids]);
  const indexRows = await rowsOf<IndexRow>(client, INDEXES, [oids]);
  const typeOids = [...new Set(columnRows.map((column) => column.type_oid))];
  const types = new Map((await rowsOf<TypeRow>(client, TYPES, [typeOids])).map((type) => [type.oid, type]));

  const columnType = memoizedType(types);
  const columns = groupBy(columnRows, (row) => row.relation);
  const indexes = groupBy(indexRows, (row) => row.relation);
  return tables.map((table) =>
    toRelation(
      table,
      (columns.get(table.oid) ?? []).map((row) => toColumn(row, columnType(row.type_oid, row.collation_deterministic))),
      indexes.get(table.oid) ?? [],
    ),
  );
}

interface TableRow {
  oid: Oid;
  schema: string;
  name: string;
  kind: string;
  persistence: string;
  identity: string;
  parent: Oid | null;
  root: Oid | null;
  rows: number;
  bytes: string;
  fires: boolean;
}

interface ColumnRow {
  relation: Oid;
  name: string;
  attnum: number;
  type_oid: Oid;
  type_text: string;
  not_null: boolean;
  generated: string;
  identity: string;
  has_default: boolean;
  collation_deterministic: boolean;
  generated_as: string | null;
}

interface IndexRow {
  relation: Oid;
  name: string;
  is_primary: boolean;
  is_identity: boolean;
  /** Valid, immediate, not partial: what RelationGetIndexList() wants of a replica identity (relcache.c). */
  usable: boolean;
  /** Key columns; a null stands for an expression. */
  columns: (string | null)[];
  all_not_null: boolean;
}

interface TypeRow {
  oid: Oid;
  sql_name: string;
  typtype: string;
  base: Oid;
  base_typtype: string;
  element: Oid | null;
}

// pg_relation_size() would wait for whoever holds ACCESS EXCLUSIVE, and so would pg_get_expr(): where somebody does,
// the size of the last VACUUM or ANALYZE must do.
const LOCKED = `select l.relation from pg_catalog.pg_locks l
  where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock' and l.granted
    and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())`;

// Sizes, estimates and triggers of a partitioned table are those of its whole tree. pg_partition_tree() would do,
// but it locks every member.
const TABLES = `with recursive
named as materialized (
  select c.oid, c.relkind
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'pgfollow')
    and ($1::pg_catalog.oid[] is null or c.oid = any ($1))
    and ($2::pg_catalog.text[] is null
         or (n.nspname::text, c.relname::text) in (select * from unnest($2::pg_catalog.text[], $3::pg_catalog.text[])))
),
edges as materialized (
  select i.inhparent as parent, i.inhrelid as child, c.relkind
  from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
  where c.relispartition and not i.inhdetachpending
),
tree (top, member, relkind) as (
  select oid, oid, relkind from named
  union
  select tree.top, edges.child, edges.relkind from tree join edges on edges.parent = tree.member
),
chosen as materialized (
  select distinct member as oid from tree
  where relkind in ('r', 'p') and (top = member or $4::pg_catalog.bool)
),
ancestry (oid, ancestor, level) as (
  select chosen.oid, edges.parent, 1 from chosen join edges on edges.child = chosen.oid
  union all
  select a.oid, edges.parent, a.level + 1 from ancestry a join edges on edges.child = a.ancestor
),
parents as (
  select oid, (array_agg(ancestor order by level))[1] as parent, (array_agg(ancestor order by level desc))[1] as root
  from ancestry group by oid
),
members (top, member) as (
  select oid, oid from chosen
  union
  select members.top, edges.child from members join edges on edges.parent = members.member
),
locked as materialized (${LOCKED}),
firing as materialized (
  select tgrelid as relation from pg_catalog.pg_trigger where tgenabled in ('R', 'A') and not tgisinternal
  union
  select ev_class from pg_catalog.pg_rewrite where ev_type <> '1' and ev_enabled <> 'D'
),
sums as (
  select m.top,
    coalesce(sum(c.reltuples) filter (where c.relkind <> 'p' and c.reltuples >= 0), -1)::pg_catalog.float8 as rows,
    coalesce(sum(case
      when c.relkind <> 'r' then 0
      when c.oid in (select relation from locked) then c.relpages * pg_catalog.current_setting('block_size')::pg_catalog.int8
      else pg_catalog.pg_relation_size(c.oid, 'main') end), 0) as bytes,
    bool_or(c.oid in (select relation from firing)) as fires
  from members m join pg_catalog.pg_class c on c.oid = m.member
  group by m.top
)
select c.oid, n.nspname as schema, c.relname as name, c.relkind as kind, c.relpersistence as persistence,
  c.relreplident as identity, p.parent, p.root, s.rows, s.bytes, s.fires
from chosen
join pg_catalog.pg_class c on c.oid = chosen.oid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join sums s on s.top = c.oid
left join parents p on p.oid = c.oid
order by n.nspname, c.relname`;

// A NOT NULL that was added NOT VALID (PostgreSQL 18) says nothing about the rows that were there before.
const COLUMNS = `with locked as materialized (${LOCKED}),
unproven as materialized (
  select k.conrelid, unnest(k.conkey) as attnum from pg_catalog.pg_constraint k where k.contype = 'n' and not k.convalidated
)
select a.attrelid as relation, a.attname as name, a.attnum, a.atttypid as type_oid,
  pg_catalog.format_type(a.atttypid, a.atttypmod) as type_text,
  a.attnotnull and u.attnum is null as not_null, a.attgenerated as generated, a.attidentity as identity,
  (a.atthasdef and a.attgenerated = '') or t.typdefault is not null as has_default,
  coalesce(c.collisdeterministic, true) as collation_deterministic,
  case when a.attgenerated <> '' and a.attrelid not in (select relation from locked)
       then pg_catalog.pg_get_expr(d.adbin, d.adrelid) end as generated_as
from pg_catalog.pg_attribute a
join pg_catalog.pg_type t on t.oid = a.atttypid
left join pg_catalog.pg_collation c on c.oid = a.attcollation
left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum and a.attgenerated <> ''
left join unproven u on u.conrelid = a.attrelid and u.attnum = a.attnum
where a.attrelid = any ($1::pg_catalog.oid[]) and a.attnum > 0 and not a.attisdropped
order by a.attrelid, a.attnum`;

const INDEXES = `with unproven as materialized (
  select k.conrelid, unnest(k.conkey) as attnum from pg_catalog.pg_constraint k where k.contype = 'n' and not k.convalidated
)
select i.indrelid as relation, c.relname as name, i.indisprimary as is_primary, i.indisreplident as is_identity,
  i.indisvalid and i.indimmediate and i.indpred is null as usable,
  k.columns, k.all_not_null
from pg_catalog.pg_index i
join pg_catalog.pg_class c on c.oid = i.indexrelid
cross join lateral (
  select array_agg(a.attname::pg_catalog.text order by key.position) as columns,
    bool_and(coalesce(a.attnotnull and u.attnum is null, false)) as all_not_null
  from unnest(i.indkey::pg_catalog.int2[]) with ordinality as key (attnum, position)
  left join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = key.attnum and key.attnum > 0
  left join unproven u on u.conrelid = i.indrelid and u.attnum = key.attnum
  where key.position <= i.indnkeyatts
) k
where i.indrelid = any ($1::pg_catalog.oid[]) and i.indisunique and i.indislive
order by i.indrelid, not i.indisprimary, c.relname`;

// format_type() with a type modifier of -1: without one it says "character", which means character(1).
const TYPES = `with recursive chain (oid, base) as (
  select t.oid, t.oid from pg_catalog.pg_type t where t.oid = any ($1::pg_catalog.oid[])
  union all
  select chain.oid, t.typbasetype from chain join pg_catalog.pg_type t on t.oid = chain.base where t.typtype = 'd'
)
select t.oid, pg_catalog.format_type(t.oid, -1) as sql_name, t.typtype, b.oid as base, b.typtype as base_typtype,
  case when t.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc then t.typelem end as element
from chain
join pg_catalog.pg_type t on t.oid = chain.oid
join pg_catalog.pg_type b on b.oid = chain.base and b.typtype <> 'd'`;

async function rowsOf<Row>(client: Client, text: string, values: unknown[]): Promise<Row[]> {
  return (await client.query<Row & Record<string, unknown>>(text, values)).rows;
}

function groupBy<Row>(rows: readonly Row[], key: (row: Row) => Oid): Map<Oid, Row[]> {
  const groups = new Map<Oid, Row[]>();
  for (const row of rows) {
    const group = groups.get(key(row));
    if (group) group.push(row);
    else groups.set(key(row), [row]);
  }
  return groups;
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
function memoizedType(types: ReadonlyMap<Oid, TypeRow>): (oid: Oid, deterministic: boolean) => ColumnType {
  const memo = new Map<string, ColumnType>();
  return (oid, deterministic) => {
    const key = `${oid} ${deterministic}`;
    const known = memo.get(key);
    if (known) return known;
    const row = types.get(oid);
    const type: ColumnType = {
      oid,
      sqlName: row?.sql_name ?? String(oid),
      kind: KINDS[row?.typtype ?? 'b'] ?? 'base',
      baseOid: row?.base ?? oid,
      elementOid: row?.element ?? null,
      equalityIsIdentity: row !== undefined && deterministic && (row.base_typtype === 'e' || EXACT_TYPES.has(row.base)),
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
