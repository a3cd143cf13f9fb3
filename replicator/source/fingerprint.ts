import type { Client } from 'pg';

/**
 * A short text that changes whenever a table of the source, or what the publications hold, may have: every change of
 * a catalog row gives it another xmin. Costs one look at small catalogs, where reading all of it would cost many.
 */
export async function catalogFingerprint(source: Client): Promise<string> {
  const { rows } = await source.query<{ fingerprint: string }>(FINGERPRINT);
  return rows[0]?.fingerprint ?? '';
}

const FINGERPRINT = `SELECT pg_catalog.concat_ws(' ',
  (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(' ', c.oid, c.xmin), 0))
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND n.nspname NOT LIKE 'pg\\_%'
      AND n.nspname <> 'information_schema'),
  (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(' ', oid, xmin), 0)) FROM pg_catalog.pg_namespace),
  (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(' ', oid, xmin), 0)) FROM pg_catalog.pg_publication),
  (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(' ', oid, xmin), 0)) FROM pg_catalog.pg_publication_rel),
  (SELECT pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.concat_ws(' ', inhrelid, inhparent, xmin), 0)) FROM pg_catalog.pg_inherits)
) AS fingerprint`;
