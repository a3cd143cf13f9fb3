import type { Client } from 'pg';
import { quoteIdent } from '../postgres/quote.ts';

/** What the target's role may do with schema pgfollow. */
export interface MetadataRights {
  readonly exists: boolean;
  readonly usage: boolean;
  readonly mayCreate: boolean;
  readonly database: string;
  readonly user: string;
}

export async function readMetadataRights(target: Client): Promise<MetadataRights> {
  const { rows } = await target.query<MetadataRights>(
    `SELECT n.oid IS NOT NULL AS exists, coalesce(pg_catalog.has_schema_privilege(n.oid, 'USAGE'), false) AS usage,
            pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') AS "mayCreate",
            pg_catalog.current_database() AS database, current_user AS user
       FROM (VALUES (1)) one LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = 'pgfollow'`,
  );
  return rows[0] ?? { exists: false, usage: false, mayCreate: true, database: '', user: '' };
}

/** Pure: why the role cannot keep position and table states on the target, with the SQL that mends it; null where it can. */
export function metadataFault(rights: MetadataRights): { message: string; remedy: string } | null {
  const { exists, usage, mayCreate, database, user } = rights;
  if (exists ? usage : mayCreate) return null;
  const role = quoteIdent(user);
  if (exists) {
    return {
      message: `Role ${user} may not use schema pgfollow of the target, which another role made.`,
      remedy: `Use the role that made it, or as that role: GRANT ALL ON SCHEMA pgfollow TO ${role}; GRANT ALL ON ALL TABLES IN SCHEMA pgfollow TO ${role};`,
    };
  }
  return {
    message: `Role ${user} may not make schema pgfollow on the target, where position and table states are kept.`,
    remedy: `GRANT CREATE ON DATABASE ${quoteIdent(database)} TO ${role};`,
  };
}
