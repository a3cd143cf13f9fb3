import type { Client } from 'pg';
import { groupBy } from '../catalog/group-by.ts';
import type { Relation } from '../catalog/relation.ts';
import type { Oid } from '../postgres/oid.ts';

/**
 * By which entries of the publications a table's changes come: of the table itself, of a partitioned one above it, of its schema, of all tables.
 * Each is named by its OID, so that one which was taken away and put back is another one; that of a schema also by when the table came to it;
 * and for what is or has a partition, by whether changes of partitions are sent as of the root. Sorted.
 */
export type Membership = readonly string[];

/** What belongs to every table. */
const ALL_TABLES = 0;

// https://www.postgresql.org/docs/current/catalog-pg-publication-rel.html, pg_publication_namespace since 15.
const OF_TABLES = `SELECT member.prrelid AS relation, 'table ' || member.oid AS entry, p.pubviaroot AS via_root
  FROM pg_catalog.pg_publication_rel member JOIN pg_catalog.pg_publication p ON p.oid = member.prpubid WHERE p.pubname = ANY ($1)
  UNION ALL SELECT 0, 'all ' || p.oid, p.pubviaroot FROM pg_catalog.pg_publication p WHERE p.puballtables AND p.pubname = ANY ($1)`;
// SET SCHEMA writes the dependency anew.
const OF_SCHEMAS = `SELECT c.oid AS relation, 'schema ' || member.oid || ' since ' || d.xmin AS entry, p.pubviaroot AS via_root
  FROM pg_catalog.pg_publication_namespace member JOIN pg_catalog.pg_publication p ON p.oid = member.pnpubid
  JOIN pg_catalog.pg_class c ON c.relnamespace = member.pnnspid AND c.relkind IN ('r', 'p')
  JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.objsubid = 0
   AND d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.refobjid = c.relnamespace WHERE p.pubname = ANY ($1)`;

/** Reads what is in these publications; gives each table's membership, empty for a table that is not published. */
export async function readMemberships(
  source: Client,
  options: { publications: readonly string[]; relations: readonly Relation[]; sourceVersion: number },
): Promise<(relation: Relation) => Membership> {
  const sql = options.sourceVersion >= 150_000 ? `${OF_TABLES} UNION ALL ${OF_SCHEMAS}` : OF_TABLES;
  const { rows } = await source.query<Entry>(sql, [options.publications]);
  const entries = groupBy(rows, ({ relation }) => relation);
  const byOid = new Map(options.relations.map((relation) => [relation.oid, relation]));
  return (relation) => {
    const found = [...(entries.get(ALL_TABLES) ?? [])];
    for (let at: Relation | undefined = relation; at; at = byOid.get(at.parentOid ?? 0))
      found.push(...(entries.get(at.oid) ?? []));
    const divided = relation.kind === 'partitioned' || (relation.parentOid ?? null) !== null;
    return found
      .map(({ entry, via_root: viaRoot }) => (divided ? `${entry}${viaRoot ? AS_ROOT : AS_PARTITION}` : entry))
      .toSorted();
  };
}

interface Entry {
  relation: Oid;
  entry: string;
  via_root: boolean;
}

const AS_ROOT = ' as root';
const AS_PARTITION = ' as partition';

/**
 * Whether a table was published all the time from one look to the other: by an entry that both have seen. What a version before this one has
 * stored knows less of it.
 */
export function isUnbroken(before: Membership, now: Membership): boolean {
  const isShort = (entry: string): boolean => !/ (as|since) /.test(entry);
  return now.some((entry) => before.some((known) => known === entry || (isShort(known) && entry.startsWith(`${known} `))));
}
