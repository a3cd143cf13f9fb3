import type { Client } from 'pg';
import { complaint, fine, type Finding } from '../finding.ts';
import { quoteIdent } from '../postgres/quote.ts';
import { some, tables, type TablePair } from './pairs.ts';
import { oneTable } from './rights.ts';

/** Where the role may create tables on the target. */
export interface CreationRights {
  readonly user: string;
  readonly database: string;
  readonly mayCreateSchemas: boolean;
  /** Schema -> whether tables may be created in it; those that do not exist are left out. */
  readonly schemas: Readonly<Record<string, boolean>>;
}

export async function readCreationRights(target: Client, schemas: readonly string[]): Promise<CreationRights> {
  const { rows } = await target.query<CreationRights>(
    `select current_user as user, pg_catalog.current_database() as database,
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') as "mayCreateSchemas",
       coalesce((select pg_catalog.jsonb_object_agg(n.nspname, pg_catalog.has_schema_privilege(n.oid, 'CREATE'))
                   from pg_catalog.pg_namespace n where n.nspname = any ($1::pg_catalog.text[])), '{}') as schemas`,
    [schemas],
  );
  return rows[0] ?? { user: '', database: '', mayCreateSchemas: false, schemas: {} };
}

/** Pure: whether the target tables that are missing can be created (schema.create: missing). Versions are majors. */
export function classifyCreation(
  missing: readonly TablePair[],
  rights: CreationRights,
  versions: { source: number; target: number },
): Finding[] {
  if (missing.length === 0) return [];
  const names = some(missing.map(({ name }) => name));
  if (versions.target < versions.source) {
    return [
      complaint('error', 'target', 'SCHEMA_NOT_CREATED', {
        ...oneTable(missing),
        message: `${tables(missing.length)} of the target are missing (${names}), and tables are only created on the same version of PostgreSQL or a newer one: the source is ${versions.source}, the target ${versions.target}.`,
        remedy: 'Create them on the target, for example from pg_dump --schema-only of the source.',
      }),
    ];
  }
  const schemas = [...new Set(missing.map(({ mapping }) => mapping.target.schema))];
  const closed = schemas.filter((schema) => rights.schemas[schema] === false);
  const absent = schemas.filter((schema) => rights.schemas[schema] === undefined);
  const role = quoteIdent(rights.user);
  const findings: Finding[] = [];
  if (closed.length > 0) {
    findings.push(
      complaint('error', 'target', 'CREATE_TABLES', {
        message: `Role ${rights.user} may not create tables in ${some(closed)} of the target, where some are missing (${names}).`,
        remedy: `GRANT USAGE, CREATE ON SCHEMA ${closed.map(quoteIdent).join(', ')} TO ${role}; or create the tables yourself.`,
      }),
    );
  }
  if (absent.length > 0 && !rights.mayCreateSchemas) {
    findings.push(
      complaint('error', 'target', 'CREATE_TABLES', {
        message: `Role ${rights.user} may not create the schemas ${some(absent)} on the target, where tables are missing (${names}).`,
        remedy: `GRANT CREATE ON DATABASE ${quoteIdent(rights.database)} TO ${role}; or create them yourself.`,
      }),
    );
  }
  if (findings.length > 0) return findings;
  return [fine('target', 'CREATE_TABLES', `${tables(missing.length)} of the target will be created: ${names}.`)];
}
