import type { Client } from 'pg';
import { displayName, type RelationName } from '../catalog/relation.ts';
import { quoteIdent } from '../postgres/quote.ts';
import { Problem } from '../problem.ts';

/** A table as the publications together publish it. */
interface PublishedTable {
  readonly relation: RelationName;
  /** What the column lists let through; null on a source before 15, which knows none: all but generated columns. */
  readonly columns: readonly string[] | null;
  /** Row filter in SQL; several publications' filters are OR-ed, and one without filter lets every row through. */
  readonly rowFilter: string | null;
}

/** What publications that are used as they are let through. */
export interface Published {
  readonly tables: readonly PublishedTable[];
  /** At least one publication publishes partitions as their root. */
  readonly viaPartitionRoot: boolean;
  readonly generatedColumnsSent: 'none' | 'stored';
  /** Operations that some publication leaves out, such as `delete`: they will never arrive. */
  readonly unpublishedOperations: readonly string[];
  /** PUBLICATION_MISSING a publication; SOURCE_UNSUITABLE where the source could not decode a table. */
  readonly problems: readonly Problem[];
}

/**
 * Reads publications that pgfollow does not manage. As the server does for a subscription, partitions are left out where
 * their root is published (fetch_table_list in subscriptioncmds.c).
 * https://www.postgresql.org/docs/current/view-pg-publication-tables.html
 */
export async function readPublished(client: Client, names: readonly string[]): Promise<Published> {
  const { rows: publications } = await client.query<PublicationRow>(PUBLICATIONS, [names]);
  const missing = names.filter((name) => !publications.some((publication) => publication.name === name));
  const problems = missing.map(missingProblem);
  const withLists = publications.some((publication) => publication.version >= 150000);
  const { rows } = await client.query<TableRow>(withLists ? TABLES : TABLES_BEFORE_LISTS, [names]);
  const tables = new Map<string, PublishedTable>();
  for (const row of rows) {
    const name = displayName(row);
    const known = tables.get(name);
    if (known && !sameColumns(known.columns, row.columns)) {
      problems.push(differingLists(name, names));
      continue;
    }
    const rowFilter = known ? either(known.rowFilter, row.row_filter) : row.row_filter;
    tables.set(name, { relation: { schema: row.schema, name: row.name }, columns: row.columns, rowFilter });
  }
  return {
    tables: [...tables.values()],
    viaPartitionRoot: publications.some((publication) => publication.via_root),
    generatedColumnsSent: publications.some((publication) => publication.generated === 's') ? 'stored' : 'none',
    unpublishedOperations: (['insert', 'update', 'delete', 'truncate'] as const).filter((op) =>
      publications.some((each) => !each[op]),
    ),
    problems,
  };
}

interface PublicationRow {
  name: string;
  version: number;
  via_root: boolean;
  generated: string;
  insert: boolean;
  update: boolean;
  delete: boolean;
  truncate: boolean;
}

interface TableRow extends RelationName {
  columns: string[] | null;
  row_filter: string | null;
}

const PUBLICATIONS = `select p.pubname as name, pg_catalog.current_setting('server_version_num')::int as version, p.pubviaroot as via_root,
  coalesce(pg_catalog.to_jsonb(p) ->> 'pubgencols', 'n') as generated,
  p.pubinsert as insert, p.pubupdate as update, p.pubdelete as delete, p.pubtruncate as truncate
from pg_catalog.pg_publication p where p.pubname = any ($1::pg_catalog.text[])`;

const tablesQuery = (columns: string, filter: string): string => `with listed as materialized (
  select c.oid, c.relispartition, t.schemaname, t.tablename, ${columns} as columns, ${filter} as row_filter
  from pg_catalog.pg_publication_tables t
  join pg_catalog.pg_namespace n on n.nspname = t.schemaname
  join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.tablename
  where t.pubname = any ($1::pg_catalog.text[])
)
select schemaname as schema, tablename as name, columns, row_filter
from listed
where not relispartition or not exists (
  select from pg_catalog.pg_partition_ancestors(listed.oid) a (relid)
  where a.relid <> listed.oid and a.relid in (select oid from listed))
order by schemaname, tablename`;

const TABLES = tablesQuery('t.attnames::pg_catalog.text[]', 't.rowfilter');
const TABLES_BEFORE_LISTS = tablesQuery('null::pg_catalog.text[]', 'null');

function sameColumns(a: readonly string[] | null, b: readonly string[] | null): boolean {
  if (a === null || b === null) return a === b;
  return a.length === b.length && a.every((name) => b.includes(name));
}

function either(a: string | null, b: string | null): string | null {
  if (a === null || b === null) return null;
  return a === b ? a : `(${a}) OR (${b})`;
}

function missingProblem(name: string): Problem {
  return new Problem('PUBLICATION_MISSING', `The publication ${name} does not exist on the source.`, {
    remedy: `CREATE PUBLICATION ${quoteIdent(name)} FOR ALL TABLES WITH (publish_via_partition_root = true); or FOR TABLE …; or set publication.managed: true.`,
    retry: 'transient',
  });
}

function differingLists(table: string, names: readonly string[]): Problem {
  return new Problem(
    'SOURCE_UNSUITABLE',
    `The publications ${names.join(', ')} have different column lists for ${table}, which the source cannot decode.`,
    {
      remedy: `ALTER PUBLICATION … SET TABLE … with the same column list of ${table} in each.`,
      table,
    },
  );
}
