import type { Client } from 'pg';
import type { RelationName } from '../catalog/relation.ts';
import type { Oid } from '../postgres/oid.ts';

/** A publication as the catalog has it. https://www.postgresql.org/docs/current/catalog-pg-publication.html */
export interface PublicationState {
  /** See PublicationRows. */
  readonly row: string;
  readonly allTables: boolean;
  /** Number of schemas of FOR TABLES IN SCHEMA. */
  readonly schemas: number;
  /** insert, update, delete and truncate. */
  readonly publishesAll: boolean;
  readonly viaPartitionRoot: boolean;
  readonly generatedColumns: 'none' | 'stored';
  readonly members: readonly MemberState[];
}

/** A table that a publication names. */
export interface MemberState extends RelationName {
  readonly oid: Oid;
  readonly hasFilter: boolean;
  /** The row filter as the server prints it; null where there is none, or it cannot be read without waiting for a lock. */
  readonly filter: string | null;
  readonly filterColumns: readonly string[];
  readonly hasColumnList: boolean;
}

/** Reads a publication; null when there is none of this name. */
export async function readPublication(client: Client, name: string, sourceVersion: number): Promise<PublicationState | null> {
  const filters = sourceVersion >= 150000;
  const { rows: publications } = await client.query<PublicationRow>(
    `select p.oid, p.oid || ':' || p.xmin as row, p.puballtables as all_tables, p.pubviaroot as via_root,
       p.pubinsert and p.pubupdate and p.pubdelete and p.pubtruncate as publishes_all,
       coalesce(pg_catalog.to_jsonb(p) ->> 'pubgencols', 'n') as generated,
       ${filters ? '(select count(*)::int from pg_catalog.pg_publication_namespace s where s.pnpubid = p.oid)' : '0'} as schemas
     from pg_catalog.pg_publication p where p.pubname = $1`,
    [name],
  );
  const [publication] = publications;
  if (!publication) return null;
  const { rows: members } = await client.query<MemberRow>(filters ? MEMBERS : MEMBERS_BEFORE_FILTERS, [publication.oid]);
  return {
    row: publication.row,
    allTables: publication.all_tables,
    schemas: publication.schemas,
    publishesAll: publication.publishes_all,
    viaPartitionRoot: publication.via_root,
    generatedColumns: publication.generated === 's' ? 'stored' : 'none',
    members: members.map((row) => ({
      oid: row.oid,
      schema: row.schema,
      name: row.name,
      hasFilter: row.has_filter,
      filter: row.filter,
      filterColumns: row.filter_columns,
      hasColumnList: row.has_column_list,
    })),
  };
}

/** The row filter of one table as the server prints it, and the columns that it reads. */
export async function readFilter(
  client: Client,
  publication: string,
  table: Oid,
): Promise<{ filter: string | null; columns: string[] }> {
  const { rows } = await client.query<{ filter: string | null; columns: string[] }>(
    `select pg_catalog.pg_get_expr(r.prqual, r.prrelid) as filter, ${FILTER_COLUMNS} as columns
     from pg_catalog.pg_publication_rel r join pg_catalog.pg_publication p on p.oid = r.prpubid
     where p.pubname = $1 and r.prrelid = $2`,
    [publication, table],
  );
  return rows[0] ?? { filter: null, columns: [] };
}

interface PublicationRow {
  oid: Oid;
  row: string;
  all_tables: boolean;
  via_root: boolean;
  publishes_all: boolean;
  generated: string;
  schemas: number;
}

interface MemberRow {
  oid: Oid;
  schema: string;
  name: string;
  has_filter: boolean;
  filter: string | null;
  filter_columns: string[];
  has_column_list: boolean;
}

// What a row filter reads is recorded as its dependencies. With a column list these count too, but such a table is
// published anew without it.
const FILTER_COLUMNS = `array(
  select a.attname::pg_catalog.text
  from pg_catalog.pg_depend d
  join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
  where d.classid = 'pg_catalog.pg_publication_rel'::pg_catalog.regclass and d.objid = r.oid
    and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = r.prrelid and d.refobjsubid > 0
  order by a.attnum)`;

// pg_get_expr() would wait for whoever holds ACCESS EXCLUSIVE.
const MEMBERS = `with locked as materialized (
  select l.relation from pg_catalog.pg_locks l where l.locktype = 'relation' and l.mode = 'AccessExclusiveLock' and l.granted
)
select r.prrelid as oid, n.nspname as schema, c.relname as name, r.prqual is not null as has_filter,
  case when r.prqual is not null and r.prrelid not in (select relation from locked)
       then pg_catalog.pg_get_expr(r.prqual, r.prrelid) end as filter,
  case when r.prqual is null then '{}' else ${FILTER_COLUMNS} end as filter_columns,
  r.prattrs is not null as has_column_list
from pg_catalog.pg_publication_rel r
join pg_catalog.pg_class c on c.oid = r.prrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where r.prpubid = $1
order by n.nspname, c.relname`;

const MEMBERS_BEFORE_FILTERS = `select r.prrelid as oid, n.nspname as schema, c.relname as name, false as has_filter,
  null as filter, '{}'::pg_catalog.text[] as filter_columns, false as has_column_list
from pg_catalog.pg_publication_rel r
join pg_catalog.pg_class c on c.oid = r.prrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where r.prpubid = $1
order by n.nspname, c.relname`;
