import type { Client } from 'pg';
import type { Config } from '../config/schema.ts';
import { metadataFault, readMetadataRights } from '../metadata/rights.ts';
import { connect, disconnect } from '../postgres/connect.ts';
import { Problem } from '../problem.ts';
import { identifySystem, type SystemIdentity } from '../source/identity.ts';
import { on } from './blame.ts';

/**
 * Throws SAME_DATABASE where two URLs mean one database (localhost and an address): it would follow its own writes for ever.
 * System identifiers do not tell, a copy of the data directory has the same. A session of the one that is seen on the
 * other does.
 */
export async function refuseSameDatabase(source: Client, target: Client): Promise<void> {
  const session = `SELECT pid, backend_start::text AS since FROM pg_catalog.pg_stat_activity
    WHERE datname = pg_catalog.current_database() AND pid = `;
  const { rows } = await on('source', source.query<{ pid: number; since: string }>(`${session} pg_catalog.pg_backend_pid()`));
  const [ours] = rows;
  if (!ours) return;
  const seen = await on('target', target.query(`${session} $1 AND backend_start::text = $2`, [ours.pid, ours.since]));
  if (seen.rows.length === 0) return;
  throw new Problem('SAME_DATABASE', 'source.url and target.url lead to the same database.', { remedy: 'Correct one of them.' });
}

export interface TargetFacts {
  readonly version: number;
  readonly versionText: string;
  readonly database: string;
}

/** Which server and database the target is. Throws TARGET_UNSUITABLE where nothing of ours can be written there. */
export async function targetFacts(target: Client): Promise<TargetFacts> {
  const { rows } = await target.query<{ version: number; text: string; database: string; readonly: boolean }>(
    `SELECT pg_catalog.current_setting('server_version_num')::int AS version, pg_catalog.current_setting('server_version') AS text,
            pg_catalog.current_database() AS database, pg_catalog.pg_is_in_recovery() AS readonly`,
  );
  const row = rows[0];
  if (!row || row.readonly) {
    throw new Problem('TARGET_UNSUITABLE', 'The target is a standby: nothing can be written there.', {
      retry: 'transient',
      remedy: 'Use the URL of the primary as target.url. After a failover it is tried again by itself.',
    });
  }
  const versionText = row.text.split(' ', 1)[0] ?? row.text;
  const old = targetTooOld(row.version, versionText);
  if (old) throw new Problem('TARGET_UNSUITABLE', old.message, { remedy: old.remedy });
  const fault = metadataFault(await readMetadataRights(target));
  if (fault) throw new Problem('TARGET_UNSUITABLE', fault.message, { retry: 'transient', remedy: fault.remedy });
  return { version: row.version, versionText, database: row.database };
}

/** Pure: why a target of this version cannot be written to; null where it can. */
export function targetTooOld(version: number, versionText: string): { message: string; remedy: string } | null {
  if (version >= 140000) return null;
  return {
    message: `The target runs PostgreSQL ${versionText}; 14 is the oldest that can be written to.`,
    remedy: 'Upgrade the target to PostgreSQL 14 or newer.',
  };
}

/** For a source where the role may not ask otherwise who it is. */
export async function identifyOverReplication(config: Config): Promise<SystemIdentity> {
  const client = await connect({ role: 'source', url: config.source.url, purpose: `${config.name} identify`, replication: true });
  try {
    return await identifySystem(client);
  } finally {
    await disconnect(client);
  }
}
