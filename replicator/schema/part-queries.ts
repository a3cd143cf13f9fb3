import type { Oid } from '../postgres/oid.ts';

// What read-parts.ts asks of the source's catalog about what tables get after their rows.

/** Members of followed tables, as definition-queries.ts finds them. */
export interface MemberRow {
  oid: Oid;
  schema: string;
  name: string;
  replica_identity: string;
  is_partition: boolean;
}

export interface IndexRow {
  relation: Oid;
  oid: Oid;
  schema: string;
  name: string;
  partitioned: boolean;
  primary: boolean;
  identity: boolean;
  clustered: boolean;
  unique: boolean;
  /** pg_get_indexdef() from USING on. */
  method: string;
  /** The index of the partitioned table that it is part of. */
  parent: Oid | null;
  constraint_kind: string | null;
  constraint_def: string | null;
  deferrable: boolean;
  deferred: boolean;
  period: boolean;
  columns: string[];
  /** Of its expressions: number of the column, statistics target. */
  statistics: [number, number][];
  comment: string | null;
  constraint_comment: string | null;
}

export interface CheckRow {
  relation: Oid;
  name: string;
  definition: string;
  columns: string[];
  /** It comes with that of the table above. */
  inherited: boolean;
  comment: string | null;
}

export interface StatisticsRow {
  relation: Oid;
  schema: string;
  name: string;
  /** From the kinds to the columns. */
  what: string;
  target: number;
  columns: string[];
  comment: string | null;
}

export interface ForeignKeyRow {
  relation: Oid;
  name: string;
  columns: string[];
  /** The referenced table, and the followed table that it is a partition of, or itself. */
  to_schema: string;
  to_name: string;
  root_schema: string;
  root_name: string;
  to_columns: string[];
  on_update: string;
  on_delete: string;
  match_full: boolean;
  /** Of ON DELETE SET NULL (…). */
  delete_columns: string[];
  deferrable: boolean;
  deferred: boolean;
  period: boolean;
  enforced: boolean;
  validated: boolean;
  partitioned: boolean;
  /** It comes with that of the table above. */
  inherited: boolean;
  comment: string | null;
}

export const MEMBERS = `select c.oid, n.nspname as schema, c.relname as name, c.relreplident as replica_identity, c.relispartition as is_partition
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = any ($1)`;

const namesOf = (numbers: string, relation: string): string =>
  `array(select a.attname::text from unnest(${numbers}) with ordinality as listed (attnum, at)
     join pg_catalog.pg_attribute a on a.attrelid = ${relation} and a.attnum = listed.attnum order by listed.at)`;

// What an index or a constraint says of columns is in pg_depend, expressions included.
export const INDEXES = `select i.indrelid as relation, c.oid, n.nspname as schema, c.relname as name, c.relkind = 'I' as partitioned,
  i.indisprimary as "primary", i.indisreplident as identity, i.indisclustered as clustered, i.indisunique as "unique",
  pg_catalog.substr(pg_catalog.pg_get_indexdef(c.oid), 1 + pg_catalog.length(pg_catalog.format('CREATE %sINDEX %I ON %s%I.%I ',
    case when i.indisunique then 'UNIQUE ' else '' end, c.relname, case when c.relkind = 'I' then 'ONLY ' else '' end, tn.nspname, t.relname))) as method,
  (select h.inhparent from pg_catalog.pg_inherits h where h.inhrelid = c.oid) as parent,
  k.contype as constraint_kind, pg_catalog.pg_get_constraintdef(k.oid) as constraint_def,
  coalesce(k.condeferrable, false) as deferrable, coalesce(k.condeferred, false) as deferred,
  coalesce((pg_catalog.to_jsonb(k) ->> 'conperiod')::pg_catalog.bool, false) as period,
  array(select distinct a.attname::text
    from pg_catalog.pg_depend d join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
    where d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = i.indrelid and d.refobjsubid > 0
      and (d.classid, d.objid) in (('pg_catalog.pg_class'::pg_catalog.regclass, c.oid), ('pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid))) as columns,
  (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(a.attnum, a.attstattarget) order by a.attnum), '[]')
     from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attstattarget >= 0) as statistics,
  pg_catalog.obj_description(c.oid, 'pg_class') as comment, pg_catalog.obj_description(k.oid, 'pg_constraint') as constraint_comment
from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_class t on t.oid = i.indrelid join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
  left join pg_catalog.pg_constraint k on k.conindid = c.oid and k.conrelid = i.indrelid and k.contype in ('p', 'u', 'x')
where i.indrelid = any ($1) and (i.indisvalid or c.relkind = 'I')
order by n.nspname, c.relname`;

/** NOT NULL is among the checks where it was added NOT VALID (PostgreSQL 18). */
export const CHECKS = `select k.conrelid as relation, k.conname as name, pg_catalog.pg_get_constraintdef(k.oid) as definition,
  ${namesOf('k.conkey', 'k.conrelid')} as columns, k.coninhcount > 0 as inherited, pg_catalog.obj_description(k.oid, 'pg_constraint') as comment
from pg_catalog.pg_constraint k
where k.conrelid = any ($1) and (k.contype = 'c' or (k.contype = 'n' and not k.convalidated))
order by k.conname`;

export const STATISTICS = `select s.stxrelid as relation, n.nspname as schema, s.stxname as name,
  pg_catalog.substr(def.text, 1 + pg_catalog.length(def.head), pg_catalog.length(def.text) - pg_catalog.length(def.head) - pg_catalog.length(def.tail)) as what,
  coalesce((pg_catalog.to_jsonb(s) ->> 'stxstattarget')::pg_catalog.int4, -1) as target,
  array(select distinct a.attname::text
    from pg_catalog.pg_depend d join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
    where d.classid = 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass and d.objid = s.oid
      and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjsubid > 0) as columns,
  pg_catalog.obj_description(s.oid, 'pg_statistic_ext') as comment
from pg_catalog.pg_statistic_ext s join pg_catalog.pg_namespace n on n.oid = s.stxnamespace
  join pg_catalog.pg_class t on t.oid = s.stxrelid join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace,
  lateral (select pg_catalog.pg_get_statisticsobjdef(s.oid) as text, pg_catalog.format('CREATE STATISTICS %I.%I', n.nspname, s.stxname) as head,
    pg_catalog.format(' FROM %I.%I', tn.nspname, t.relname) as tail) def
where s.stxrelid = any ($1)
order by n.nspname, s.stxname`;

/** To a partitioned table each has others below it, to the partitions, which come with it. */
export const FOREIGN_KEYS = `with recursive above (oid, root) as (
  select c.oid, c.oid from pg_catalog.pg_class c where c.oid in (select confrelid from pg_catalog.pg_constraint where conrelid = any ($1) and contype = 'f')
  union all
  select above.oid, i.inhparent from above join pg_catalog.pg_class c on c.oid = above.root and c.relispartition
    join pg_catalog.pg_inherits i on i.inhrelid = above.root
)
select k.conrelid as relation, k.conname as name, ${namesOf('k.conkey', 'k.conrelid')} as columns,
  n.nspname as to_schema, t.relname as to_name, rn.nspname as root_schema, r.relname as root_name, ${namesOf('k.confkey', 'k.confrelid')} as to_columns,
  k.confupdtype as on_update, k.confdeltype as on_delete, k.confmatchtype = 'f' as match_full,
  ${namesOf(`(select coalesce(pg_catalog.array_agg(e::pg_catalog.int2), '{}') from pg_catalog.jsonb_array_elements_text(case when j.row -> 'confdelsetcols' is null or j.row -> 'confdelsetcols' = 'null' then '[]' else j.row -> 'confdelsetcols' end) e)`, 'k.conrelid')} as delete_columns,
  k.condeferrable as deferrable, k.condeferred as deferred, coalesce((j.row ->> 'conperiod')::pg_catalog.bool, false) as period,
  coalesce((j.row ->> 'conenforced')::pg_catalog.bool, true) as enforced, k.convalidated as validated,
  own.relkind = 'p' as partitioned, parent.oid is not null as inherited, pg_catalog.obj_description(k.oid, 'pg_constraint') as comment
from pg_catalog.pg_constraint k join pg_catalog.pg_class own on own.oid = k.conrelid
  left join pg_catalog.pg_constraint parent on parent.oid = k.conparentid
  join pg_catalog.pg_class t on t.oid = k.confrelid join pg_catalog.pg_namespace n on n.oid = t.relnamespace
  join above on above.oid = k.confrelid join pg_catalog.pg_class r on r.oid = above.root and not r.relispartition
  join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace,
  lateral (select pg_catalog.to_jsonb(k) as row) j
where k.conrelid = any ($1) and k.contype = 'f' and parent.conrelid is distinct from k.conrelid
order by k.conname`;
