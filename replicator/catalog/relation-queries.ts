import type { Oid } from '../postgres/oid.ts';

// What read-relations.ts asks of the catalog, and the rows that come back.

export interface TableRow {
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

export interface ColumnRow {
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

export interface IndexRow {
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

export interface TypeRow {
  oid: Oid;
  sql_name: string;
  typtype: string;
  base: Oid;
  base_typtype: string;
  element: Oid | null;
  operator_schema: string | null;
  has_equality: boolean;
}

// pg_relation_size() would wait for whoever holds ACCESS EXCLUSIVE, and so would pg_get_expr(): where somebody does,
// the size of the last VACUUM or ANALYZE must do.
const LOCKED = `select l.relation from pg_catalog.pg_locks l
  where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock' and l.granted
    and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())`;

// Sizes, estimates and triggers of a partitioned table are those of its whole tree. pg_partition_tree() would do,
// but it locks every member.
export const TABLES = `with recursive
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
export const COLUMNS = `with locked as materialized (${LOCKED}),
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

export const INDEXES = `with unproven as materialized (
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

// The = that a type's indexes and hashes use, where it is the one that its name finds: in the type's own schema. Types in whose place
// others stand (varchar, enums) or that are made of others are looked at below; a composite's fields are not.
const EQUALITY = (
  type: string,
): string => `(${type}.typtype = 'e' or ${type}.oid = 'pg_catalog.varchar'::pg_catalog.regtype or exists (
  select from pg_catalog.pg_opclass c
  join pg_catalog.pg_am m on m.oid = c.opcmethod and m.amname = 'btree'
  join pg_catalog.pg_amop a on a.amopfamily = c.opcfamily and a.amoplefttype = c.opcintype and a.amoprighttype = c.opcintype and a.amopstrategy = 3
  join pg_catalog.pg_operator o on o.oid = a.amopopr and o.oprname = '=' and o.oprnamespace = ${type}.typnamespace and o.oprcanhash
  where c.opcintype = ${type}.oid and c.opcdefault))`;

// format_type() with a type modifier of -1: without one it says "character", which means character(1).
export const TYPES = `with recursive chain (oid, base) as (
  select t.oid, t.oid from pg_catalog.pg_type t where t.oid = any ($1::pg_catalog.oid[])
  union all
  select chain.oid, t.typbasetype from chain join pg_catalog.pg_type t on t.oid = chain.base where t.typtype = 'd'
)
select t.oid, pg_catalog.format_type(t.oid, -1) as sql_name, t.typtype, b.oid as base, b.typtype as base_typtype,
  case when t.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc then t.typelem end as element,
  case when b.typtype = 'b' and b.typsubscript <> 'pg_catalog.array_subscript_handler'::pg_catalog.regproc
    and n.nspname <> 'pg_catalog' then n.nspname end as operator_schema,
  case when b.typtype in ('r', 'm') then n.nspname = 'pg_catalog' when e.oid is not null then ${EQUALITY('e')} else ${EQUALITY('b')} end as has_equality
from chain
join pg_catalog.pg_type t on t.oid = chain.oid
join pg_catalog.pg_type b on b.oid = chain.base and b.typtype <> 'd'
join pg_catalog.pg_namespace n on n.oid = b.typnamespace
left join pg_catalog.pg_type e on e.oid = b.typelem and b.typsubscript = 'pg_catalog.array_subscript_handler'::pg_catalog.regproc`;
