import type { Client } from 'pg';

/**
 * A short text that changes whenever a table of the source, or what the publications hold, may have: every change of
 * a catalog row gives it another xmin. Costs one look at small catalogs, where reading all of it would cost many.
 */
export async function catalogFingerprint(source: Client, sourceVersion: number): Promise<string> {
  // What of a schema is in a publication has a catalog of its own since 15.
  const more = sourceVersion >= 150_000 ? `, ${rowsOf('pg_publication_namespace')}` : '';
  const { rows } = await source.query<{ fingerprint: string }>(
    `SELECT pg_catalog.concat_ws(' ', ${FINGERPRINT}${more}) AS fingerprint`,
  );
  return rows[0]?.fingerprint ?? '';
}

const FINGERPRINT = `
  (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(' ', c.oid, c.xmin), 0))
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND n.nspname NOT LIKE 'pg\\_%'
      AND n.nspname <> 'information_schema'),
  ${rowsOf('pg_namespace')}, ${rowsOf('pg_publication')}, ${rowsOf('pg_publication_rel')},
  (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(' ', inhrelid, inhparent, xmin), 0)) FROM pg_catalog.pg_inherits)`;

function rowsOf(catalog: string): string {
  return `(SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(' ', oid, xmin), 0)) FROM pg_catalog.${catalog})`;
}
