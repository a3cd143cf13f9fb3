import type { Oid } from '../postgres/oid.ts';

// What read-definitions.ts asks of the source's catalog, and the rows that come back. Columns that only newer versions have
// are read by way of to_jsonb(), which gives null where there are none.

export interface TableRow {
  oid: Oid;
  schema: string;
  name: string;
  partition_key: string | null;
  bound: string | null;
  parents: Oid[];
  options: string[] | null;
  toast_options: string[] | null;
  access_method: string | null;
  comment: string | null;
}

export interface ColumnRow {
  relation: Oid;
  attnum: number;
  name: string;
  type: string;
  collation: string | null;
  not_null: boolean;
  not_null_name: string | null;
  not_null_valid: boolean;
  not_null_inherits: boolean;
  not_null_local: boolean;
  identity: string;
  generated: string;
  expression: string | null;
  storage: string | null;
  compression: string;
  statistics: number;
  options: string[] | null;
  local: boolean;
  comment: string | null;
}

export interface SequenceRow {
  oid: Oid;
  relation: Oid | null;
  attnum: number;
  schema: string;
  name: string;
  regclass: string;
  identity: boolean;
  definition: string;
  comment: string | null;
}

/** The tables with the partitions below them; parents first. Foreign tables as partitions are left out. */
export const TREES = `with recursive tree (root, oid, level) as (
  select oid, oid, 0 from unnest($1::pg_catalog.oid[]) as asked (oid)
  union all
  select tree.root, i.inhrelid, tree.level + 1
  from tree join pg_catalog.pg_inherits i on i.inhparent = tree.oid and not i.inhdetachpending
    join pg_catalog.pg_class c on c.oid = i.inhrelid
  where c.relispartition and c.relkind in ('r', 'p')
)
select root, oid from tree order by level, oid`;

export const TABLES = `select c.oid, n.nspname as schema, c.relname as name,
  case when c.relkind = 'p' then pg_catalog.pg_get_partkeydef(c.oid) end as partition_key,
  case when c.relispartition then pg_catalog.pg_get_expr(c.relpartbound, c.oid) end as bound,
  array(select i.inhparent from pg_catalog.pg_inherits i where i.inhrelid = c.oid order by i.inhseqno) as parents,
  c.reloptions as options, toast.reloptions as toast_options,
  case when am.amname <> 'heap' then am.amname end as access_method,
  pg_catalog.obj_description(c.oid, 'pg_class') as comment
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join pg_catalog.pg_class toast on toast.oid = c.reltoastrelid
  left join pg_catalog.pg_am am on am.oid = c.relam
where c.oid = any ($1)`;

// A default speaks of no column, and only 18 makes names for those of a table without comparing all of them with each other: with
// 1,600 columns their defaults took 16 s.
export const COLUMNS = `select a.attrelid as relation, a.attnum, a.attname as name, pg_catalog.format_type(a.atttypid, a.atttypmod) as type,
  case when a.attcollation <> t.typcollation then pg_catalog.format('%I.%I', cn.nspname, co.collname) end as collation,
  a.attnotnull as not_null, nn.conname as not_null_name,
  coalesce(nn.convalidated, true) as not_null_valid, not coalesce(nn.connoinherit, false) as not_null_inherits,
  coalesce(nn.conislocal, true) as not_null_local,
  a.attidentity as identity, a.attgenerated as generated, pg_catalog.pg_get_expr(d.adbin, case when a.attgenerated = '' then 0::pg_catalog.oid else d.adrelid end) as expression,
  case when a.attstorage <> t.typstorage then a.attstorage end as storage, a.attcompression as compression,
  coalesce(a.attstattarget, -1) as statistics, a.attoptions as options, a.attislocal as local,
  pg_catalog.col_description(a.attrelid, a.attnum) as comment
from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
  left join pg_catalog.pg_collation co on co.oid = a.attcollation
  left join pg_catalog.pg_namespace cn on cn.oid = co.collnamespace
  left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  left join pg_catalog.pg_constraint nn on nn.conrelid = a.attrelid and nn.contype = 'n' and nn.conkey = array[a.attnum]
where a.attrelid = any ($1) and a.attnum > 0 and not a.attisdropped
order by a.attrelid, a.attnum`;

const SEQUENCE = `c.oid, n.nspname as schema, c.relname as name, c.oid::pg_catalog.regclass::text as regclass,
  pg_catalog.format('AS %s START WITH %s INCREMENT BY %s MINVALUE %s MAXVALUE %s CACHE %s%s', pg_catalog.format_type(s.seqtypid, null),
    s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, case when s.seqcycle then ' CYCLE' else '' end) as definition,
  pg_catalog.obj_description(c.oid, 'pg_class') as comment`;

/** Sequences that belong to a column: serial ones, and those of identity columns. */
export const OWNED_SEQUENCES = `select ${SEQUENCE}, d.refobjid as relation, d.refobjsubid as attnum, d.deptype = 'i' as identity
from pg_catalog.pg_depend d join pg_catalog.pg_class c on c.oid = d.objid and c.relkind = 'S'
  join pg_catalog.pg_sequence s on s.seqrelid = c.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
  and d.refobjid = any ($1) and d.refobjsubid > 0 and d.deptype in ('a', 'i')
order by d.refobjid, d.refobjsubid, c.oid`;

/** Sequences by their OID, whoever owns them. */
export const SEQUENCES = `select ${SEQUENCE}, null as relation, 0 as attnum, false as identity
from pg_catalog.pg_class c join pg_catalog.pg_sequence s on s.seqrelid = c.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.oid = any ($1)`;
