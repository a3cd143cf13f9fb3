import { FIRST_NORMAL_OID, type Oid } from '../postgres/oid.ts';

// How read-needs.ts walks the source's dependencies, and what it learns of what it finds.

/** An object of the catalog: which catalog, which row. */
export interface ObjectId {
  readonly classid: Oid;
  readonly objid: Oid;
}

export interface EdgeRow extends ObjectId {
  refclassid: Oid;
  refobjid: Oid;
}

export interface ObjectRow extends ObjectId {
  kind:
    | 'extension'
    | 'schema'
    | 'enum'
    | 'domain'
    | 'composite'
    | 'range'
    | 'collation'
    | 'configuration'
    | 'dictionary'
    | 'function'
    | 'sequence'
    | 'table'
    | 'alias'
    | 'other';
  /** What stands for it: the extension that it belongs to, the element type of an array, the table of a row type. */
  aliasclass: Oid | null;
  aliasid: Oid | null;
  /** As pg_get_object_address() takes it on the target. */
  type: string;
  names: string[];
  args: string[];
  /** Null for what is in none. */
  schema: string | null;
  description: string;
}

/**
 * What the given objects need, those of their parts included that come before the rows: defaults, columns of a composite
 * type, checks of a domain. `$3`: the parts that come after the rows too, indexes and constraints, but no foreign keys.
 * Part by part, by the index: right after thousands of tables were made the catalogs have no statistics, and the planner would
 * go through all parts for every dependency there is (6 minutes for 3,000 tables).
 */
export const EDGES = `with asked as (
  select * from unnest($1::pg_catalog.oid[], $2::pg_catalog.oid[]) as asked (classid, objid)
),
parts as materialized (
  select classid, objid, classid as partclass, objid as partid from asked where not $3
  union all
  select a.classid, a.objid, 'pg_catalog.pg_attrdef'::pg_catalog.regclass, d.oid
  from asked a join pg_catalog.pg_attrdef d on d.adrelid = a.objid
  where a.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and not $3
  union all
  select a.classid, a.objid, 'pg_catalog.pg_constraint'::pg_catalog.regclass, c.oid
  from asked a join pg_catalog.pg_constraint c on c.contypid = a.objid
  where a.classid = 'pg_catalog.pg_type'::pg_catalog.regclass and not $3
  union all
  select a.classid, a.objid, 'pg_catalog.pg_class'::pg_catalog.regclass, t.typrelid
  from asked a join pg_catalog.pg_type t on t.oid = a.objid join pg_catalog.pg_class c on c.oid = t.typrelid and c.relkind = 'c'
  where a.classid = 'pg_catalog.pg_type'::pg_catalog.regclass and not $3
  union all
  select a.classid, a.objid, 'pg_catalog.pg_constraint'::pg_catalog.regclass, c.oid
  from asked a join pg_catalog.pg_constraint c on c.conrelid = a.objid and c.contype in ('c', 'p', 'u', 'x')
  where a.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and $3
  union all
  select a.classid, a.objid, 'pg_catalog.pg_class'::pg_catalog.regclass, i.indexrelid
  from asked a join pg_catalog.pg_index i on i.indrelid = a.objid
  where a.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and $3
  union all
  select a.classid, a.objid, 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass, s.oid
  from asked a join pg_catalog.pg_statistic_ext s on s.stxrelid = a.objid
  where a.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and $3
)
select distinct p.classid, p.objid, d.refclassid, d.refobjid
from parts p cross join lateral (
  select d.* from pg_catalog.pg_depend d where d.classid = p.partclass and d.objid = p.partid offset 0
) d
where d.refobjid >= ${FIRST_NORMAL_OID} and d.deptype <> 'e' and (d.refclassid, d.refobjid) <> (p.classid, p.objid)
  and d.refclassid not in ('pg_catalog.pg_constraint'::pg_catalog.regclass, 'pg_catalog.pg_attrdef'::pg_catalog.regclass)
  and not exists (
    select from pg_catalog.pg_class c
    where d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and c.oid = d.refobjid and c.relkind in ('i', 'I', 'c'))`;

export const OBJECTS = `with asked as (
  select * from unnest($1::pg_catalog.oid[], $2::pg_catalog.oid[]) as asked (classid, objid)
),
known as (
  select a.classid, a.objid, member.refobjid as extension, t.typtype, t.typrelid, c.relkind, p.prokind,
    element.oid as element, range.rngtypid as range, owner.refobjid as owner
  from asked a
    left join pg_catalog.pg_depend member on member.classid = a.classid and member.objid = a.objid and member.objsubid = 0
      and member.deptype = 'e'
    left join pg_catalog.pg_type t on a.classid = 'pg_catalog.pg_type'::pg_catalog.regclass and t.oid = a.objid
    left join pg_catalog.pg_type element on t.oid is not null and element.typarray = t.oid
    left join pg_catalog.pg_range range on range.rngmultitypid = t.oid
    left join pg_catalog.pg_class c on c.oid = case when a.classid = 'pg_catalog.pg_class'::pg_catalog.regclass then a.objid else t.typrelid end
    left join pg_catalog.pg_depend owner on c.relkind = 'S' and owner.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
      and owner.objid = c.oid and owner.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and owner.deptype in ('a', 'i')
    left join pg_catalog.pg_proc p on a.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and p.oid = a.objid
)
select k.classid, k.objid,
  case
    when k.extension is not null or k.element is not null or k.range is not null then 'alias'
    when k.typtype = 'c' and k.relkind <> 'c' then 'alias'
    when k.owner = any ($3) then 'alias'
    when k.classid = 'pg_catalog.pg_extension'::pg_catalog.regclass then 'extension'
    when k.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass then 'schema'
    when k.classid = 'pg_catalog.pg_collation'::pg_catalog.regclass then 'collation'
    when k.classid = 'pg_catalog.pg_ts_config'::pg_catalog.regclass then 'configuration'
    when k.classid = 'pg_catalog.pg_ts_dict'::pg_catalog.regclass then 'dictionary'
    when k.typtype = 'e' then 'enum' when k.typtype = 'd' then 'domain' when k.typtype = 'c' then 'composite' when k.typtype = 'r' then 'range'
    when k.prokind in ('f', 'w') then 'function'
    when k.relkind = 'S' then 'sequence' when k.relkind in ('r', 'p') then 'table'
    else 'other'
  end as kind,
  (case
    when k.extension is not null then 'pg_catalog.pg_extension'::pg_catalog.regclass
    when k.element is not null or k.range is not null then 'pg_catalog.pg_type'::pg_catalog.regclass
    else 'pg_catalog.pg_class'::pg_catalog.regclass end)::pg_catalog.oid as aliasclass,
  coalesce(k.extension, k.element, k.range, case when k.relkind = 'S' then k.owner else k.typrelid end) as aliasid,
  address.type, address.object_names as names, address.object_args as args,
  (pg_catalog.pg_identify_object(k.classid, k.objid, 0)).schema,
  pg_catalog.pg_describe_object(k.classid, k.objid, 0) as description
from known k, lateral pg_catalog.pg_identify_object_as_address(k.classid, k.objid, 0) as address`;

// The statement that makes each of the asked objects, in PostgreSQL's own words as far as it has any. All give oid, schema, sql.

const commented = (what: string, catalog: string, oid: string): string =>
  `coalesce(pg_catalog.format('; COMMENT ON ${what} %I.%I IS %L', n.nspname, t.typname, pg_catalog.obj_description(${oid}, '${catalog}')), '')`;

// format() gives a NULL where %L is null, so the comment is asked for first.
const typeComment = (what: string): string =>
  `case when pg_catalog.obj_description(t.oid, 'pg_type') is not null then ${commented(what, 'pg_type', 't.oid')} else '' end`;

const COLLATION_OF = (collation: string, than: string): string =>
  `coalesce((select pg_catalog.format(' COLLATE %I.%I', cn.nspname, co.collname) from pg_catalog.pg_collation co
     join pg_catalog.pg_namespace cn on cn.oid = co.collnamespace where co.oid = ${collation} and ${collation} <> ${than}), '')`;

export const ENUM_SQL = `select t.oid, n.nspname as schema, pg_catalog.format('CREATE TYPE %I.%I AS ENUM (%s)', n.nspname, t.typname,
    (select pg_catalog.string_agg(pg_catalog.quote_literal(e.enumlabel), ', ' order by e.enumsortorder)
       from pg_catalog.pg_enum e where e.enumtypid = t.oid)) || ${typeComment('TYPE')} as sql
from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace where t.oid = any ($1)`;

export const DOMAIN_SQL = `select t.oid, n.nspname as schema,
  pg_catalog.format('CREATE DOMAIN %I.%I AS %s', n.nspname, t.typname, pg_catalog.format_type(t.typbasetype, t.typtypmod))
  || ${COLLATION_OF('t.typcollation', 'b.typcollation')}
  || coalesce(' DEFAULT ' || coalesce(pg_catalog.pg_get_expr(t.typdefaultbin, 0), pg_catalog.quote_literal(t.typdefault)), '')
  || case when t.typnotnull then ' NOT NULL' else '' end
  || coalesce((select pg_catalog.string_agg(pg_catalog.format(' CONSTRAINT %I %s', c.conname, pg_catalog.pg_get_constraintdef(c.oid)), '' order by c.conname)
       from pg_catalog.pg_constraint c where c.contypid = t.oid and c.contype = 'c' and c.convalidated), '')
  || coalesce((select pg_catalog.string_agg(pg_catalog.format('; ALTER DOMAIN %I.%I ADD CONSTRAINT %I %s', n.nspname, t.typname, c.conname,
         pg_catalog.pg_get_constraintdef(c.oid)), '' order by c.conname)
       from pg_catalog.pg_constraint c where c.contypid = t.oid and c.contype = 'c' and not c.convalidated), '')
  || ${typeComment('DOMAIN')} as sql
from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
  join pg_catalog.pg_type b on b.oid = t.typbasetype where t.oid = any ($1)`;

export const COMPOSITE_SQL = `select t.oid, n.nspname as schema, pg_catalog.format('CREATE TYPE %I.%I AS (%s)', n.nspname, t.typname,
    (select pg_catalog.string_agg(pg_catalog.format('%I %s', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod))
         || ${COLLATION_OF('a.attcollation', 'at.typcollation')}, ', ' order by a.attnum)
       from pg_catalog.pg_attribute a join pg_catalog.pg_type at on at.oid = a.atttypid
      where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped)) || ${typeComment('TYPE')} as sql
from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace where t.oid = any ($1)`;

export const RANGE_SQL = `select t.oid, n.nspname as schema, pg_catalog.format('CREATE TYPE %I.%I AS RANGE (SUBTYPE = %s, MULTIRANGE_TYPE_NAME = %I.%I',
    n.nspname, t.typname, pg_catalog.format_type(r.rngsubtype, null), mn.nspname, m.typname)
  || case when oc.opcdefault then '' else pg_catalog.format(', SUBTYPE_OPCLASS = %I.%I', ocn.nspname, oc.opcname) end
  || coalesce((select pg_catalog.format(', COLLATION = %I.%I', cn.nspname, co.collname) from pg_catalog.pg_collation co
       join pg_catalog.pg_namespace cn on cn.oid = co.collnamespace where co.oid = r.rngcollation and r.rngcollation <> b.typcollation), '')
  || case when r.rngcanonical = 0 then '' else ', CANONICAL = ' || r.rngcanonical::pg_catalog.regproc::text end
  || case when r.rngsubdiff = 0 then '' else ', SUBTYPE_DIFF = ' || r.rngsubdiff::pg_catalog.regproc::text end
  || ')' || ${typeComment('TYPE')} as sql
from pg_catalog.pg_range r join pg_catalog.pg_type t on t.oid = r.rngtypid join pg_catalog.pg_namespace n on n.oid = t.typnamespace
  join pg_catalog.pg_type b on b.oid = r.rngsubtype
  join pg_catalog.pg_type m on m.oid = r.rngmultitypid join pg_catalog.pg_namespace mn on mn.oid = m.typnamespace
  join pg_catalog.pg_opclass oc on oc.oid = r.rngsubopc join pg_catalog.pg_namespace ocn on ocn.oid = oc.opcnamespace
where t.oid = any ($1)`;

// The names of the locale's columns have changed with nearly every version.
export const COLLATION_SQL = `select c.oid, n.nspname as schema,
  pg_catalog.format('CREATE COLLATION %I.%I (PROVIDER = %s', n.nspname, c.collname,
    case c.collprovider when 'i' then 'icu' when 'b' then 'builtin' else 'libc' end)
  || case when c.collprovider = 'c' then pg_catalog.format(', LC_COLLATE = %L, LC_CTYPE = %L', c.collcollate, c.collctype)
     else pg_catalog.format(', LOCALE = %L', coalesce(j.row ->> 'colllocale', j.row ->> 'colliculocale', c.collcollate)) end
  || case when j.row ->> 'collicurules' is null then '' else pg_catalog.format(', RULES = %L', j.row ->> 'collicurules') end
  || case when c.collisdeterministic then '' else ', DETERMINISTIC = false' end || ')' as sql
from pg_catalog.pg_collation c join pg_catalog.pg_namespace n on n.oid = c.collnamespace,
  lateral (select pg_catalog.to_jsonb(c) as row) j where c.oid = any ($1)`;

// The options are kept as they are written.
export const DICTIONARY_SQL = `select d.oid, n.nspname as schema,
  pg_catalog.format('CREATE TEXT SEARCH DICTIONARY %I.%I (TEMPLATE = %I.%I%s)', n.nspname, d.dictname, tn.nspname, t.tmplname,
    coalesce(', ' || d.dictinitoption, '')) as sql
from pg_catalog.pg_ts_dict d join pg_catalog.pg_namespace n on n.oid = d.dictnamespace
  join pg_catalog.pg_ts_template t on t.oid = d.dicttemplate join pg_catalog.pg_namespace tn on tn.oid = t.tmplnamespace
where d.oid = any ($1)`;

export const CONFIGURATION_SQL = `select c.oid, n.nspname as schema,
  pg_catalog.format('CREATE TEXT SEARCH CONFIGURATION %I.%I (PARSER = %I.%I)', n.nspname, c.cfgname, pn.nspname, p.prsname)
  || coalesce((select pg_catalog.string_agg(pg_catalog.format('; ALTER TEXT SEARCH CONFIGURATION %I.%I ADD MAPPING FOR %I WITH %s',
         n.nspname, c.cfgname, token.alias, mapped.dictionaries), '' order by token.tokid)
       from (select m.maptokentype, pg_catalog.string_agg(pg_catalog.format('%I.%I', dn.nspname, d.dictname), ', ' order by m.mapseqno) as dictionaries
               from pg_catalog.pg_ts_config_map m join pg_catalog.pg_ts_dict d on d.oid = m.mapdict
               join pg_catalog.pg_namespace dn on dn.oid = d.dictnamespace
              where m.mapcfg = c.oid group by m.maptokentype) mapped
       join pg_catalog.ts_token_type(p.oid) token on token.tokid = mapped.maptokentype), '') as sql
from pg_catalog.pg_ts_config c join pg_catalog.pg_namespace n on n.oid = c.cfgnamespace
  join pg_catalog.pg_ts_parser p on p.oid = c.cfgparser join pg_catalog.pg_namespace pn on pn.oid = p.prsnamespace
where c.oid = any ($1)`;

export const FUNCTION_SQL = `select p.oid, n.nspname as schema, pg_catalog.pg_get_functiondef(p.oid) as sql
from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace where p.oid = any ($1)`;

export const EXTENSION_SQL = `select e.oid, n.nspname as schema, pg_catalog.format('CREATE EXTENSION %I WITH SCHEMA %I CASCADE', e.extname, n.nspname) as sql
from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace where e.oid = any ($1)`;

export interface StatementRow {
  oid: Oid;
  schema: string;
  sql: string;
}
