import type { Client } from 'pg';
import type { Relation } from '../catalog/relation.ts';
import type { Oid } from '../postgres/oid.ts';

/**
 * By which entries of the publications a table's changes come: of the table itself, of a partitioned one above it, of its schema, of all tables.
 * Each is named by its OID, so that one which was taken away and put back is another one. Sorted.
 */
export type Membership = readonly string[];

/** What belongs to every table. */
const ALL_TABLES = 0;

// https://www.postgresql.org/docs/current/catalog-pg-publication-rel.html, pg_publication_namespace since 15.
const OF_TABLES = `SELECT member.prrelid AS relation, 'table ' || member.oid AS entry
  FROM pg_catalog.pg_publication_rel member JOIN pg_catalog.pg_publication p ON p.oid = member.prpubid WHERE p.pubname = ANY ($1)
  UNION ALL SELECT 0, 'all ' || p.oid FROM pg_catalog.pg_publication p WHERE p.puballtables AND p.pubname = ANY ($1)`;
const OF_SCHEMAS = `SELECT c.oid AS relation, 'schema ' || member.oid AS entry
  FROM pg_catalog.pg_publication_namespace member JOIN pg_catalog.pg_publication p ON p.oid = member.pnpubid
  JOIN pg_catalog.pg_class c ON c.relnamespace = member.pnnspid AND c.relkind IN ('r', 'p') WHERE p.pubname = ANY ($1)`;

/** Reads what is in these publications; gives each table's membership, empty for a table that is not published. */
export async function readMemberships(
  source: Client,
  options: { publications: readonly string[]; relations: readonly Relation[]; sourceVersion: number },
): Promise<(relation: Relation) => Membership> {
  const sql = options.sourceVersion >= 150_000 ? `${OF_TABLES} UNION ALL ${OF_SCHEMAS}` : OF_TABLES;
  const { rows } = await source.query<{ relation: Oid; entry: string }>(sql, [options.publications]);
  const entries = new Map<Oid, string[]>();
  for (const { relation, entry } of rows) entries.set(relation, [...(entries.get(relation) ?? []), entry]);
  const byOid = new Map(options.relations.map((relation) => [relation.oid, relation]));
  return (relation) => {
    const found = [...(entries.get(ALL_TABLES) ?? [])];
    for (let at: Relation | undefined = relation; at; at = byOid.get(at.parentOid ?? 0))
      found.push(...(entries.get(at.oid) ?? []));
    return found.toSorted();
  };
}

/** Whether a table was published all the time from one look to the other: by an entry that both have seen. */
export function isUnbroken(before: Membership, now: Membership): boolean {
  return now.some((entry) => before.includes(entry));
}
