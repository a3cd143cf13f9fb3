import type { Client } from 'pg';
import { useReplicaRole, type SessionLimit } from '../apply/target-session.ts';
import { complaint, fine, type Finding } from '../finding.ts';
import { targetTooOld } from '../session/identify.ts';

/** The target as a server, and what its role may do for us. */
export interface TargetFacts {
  /** server_version_num. */
  readonly version: number;
  readonly versionText: string;
  readonly inRecovery: boolean;
  /** Where default_transaction_read_only is set; null where it is not. */
  readonly readOnlyBy: string | null;
  /** Null where it was granted. */
  readonly replicaRole: SessionLimit | null;
  readonly user: string;
  readonly mayUseOrigins: boolean;
}

export async function readTarget(client: Client): Promise<TargetFacts> {
  const { rows } = await client.query<Omit<TargetFacts, 'replicaRole'>>(TARGET);
  const [row] = rows;
  const replicaRole = await useReplicaRole(client);
  if (replicaRole === null) await client.query('RESET session_replication_role');
  return {
    version: row?.version ?? 0,
    versionText: row?.versionText.split(' ', 1)[0] ?? '',
    inRecovery: row?.inRecovery ?? false,
    readOnlyBy: row?.readOnlyBy ?? (await readOnlyByFile(client)),
    replicaRole,
    user: row?.user ?? '',
    mayUseOrigins: row?.mayUseOrigins ?? true,
  };
}

// Our own sessions set default_transaction_read_only themselves, so only the catalog tells what others get.
const TARGET = `select pg_catalog.current_setting('server_version_num')::int as version,
  pg_catalog.current_setting('server_version') as "versionText", pg_catalog.pg_is_in_recovery() as "inRecovery", current_user as user,
  (select case when s.setrole <> 0 then 'role ' || current_user else 'database ' || pg_catalog.current_database() end
     from pg_catalog.pg_db_role_setting s
    where s.setdatabase in (0, (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()))
      and s.setrole in (0, (select oid from pg_catalog.pg_roles where rolname = current_user))
      and exists (select from unnest(s.setconfig) c where c ~* '^default_transaction_read_only=(on|true|yes|1)$')
    limit 1) as "readOnlyBy",
  (select bool_and(pg_catalog.has_function_privilege(p.oid, 'execute')) from pg_catalog.pg_proc p
    where p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace and p.proname in
      ('pg_replication_origin_create', 'pg_replication_origin_oid', 'pg_replication_origin_session_setup')) as "mayUseOrigins"`;

async function readOnlyByFile(client: Client): Promise<string | null> {
  // Only a superuser may look into the files.
  const { rows } = await client
    .query<{ on: boolean }>(
      `select (array_agg(setting order by seqno desc))[1] ~* '^(on|true|yes|1)$' as on
         from pg_catalog.pg_file_settings where name = 'default_transaction_read_only'`,
    )
    .catch(() => ({ rows: [] }));
  return rows[0]?.on ? 'server' : null;
}

/** Pure. */
export function classifyTarget(target: TargetFacts, { originNone = false } = {}): Finding[] {
  return [version(target), readOnly(target), replicaRole(target), origins(target, originNone)];
}

function version({ version, versionText }: TargetFacts): Finding {
  const old = targetTooOld(version, versionText);
  return old
    ? complaint('error', 'target', 'TARGET_VERSION', old)
    : fine('target', 'TARGET_VERSION', `The target runs PostgreSQL ${versionText}.`);
}

function readOnly({ inRecovery, readOnlyBy, user }: TargetFacts): Finding {
  if (inRecovery) {
    return complaint('error', 'target', 'TARGET_READ_ONLY', {
      message: 'The target is a standby: nothing can be written there.',
      remedy: 'Use the URL of the primary as target.url.',
    });
  }
  if (readOnlyBy !== null) {
    const [what = ''] = readOnlyBy.split(' ', 1);
    const undo =
      what === 'server'
        ? 'ALTER SYSTEM RESET default_transaction_read_only; SELECT pg_reload_conf();'
        : `ALTER ${what.toUpperCase()} "${readOnlyBy.slice(what.length + 1)}" RESET default_transaction_read_only;`;
    return complaint('warning', 'target', 'TARGET_READ_ONLY', {
      message: `The ${readOnlyBy} of the target is set read-only (default_transaction_read_only). ${user} of pgfollow writes all the same, because its sessions say otherwise.`,
      remedy: `Nothing, if others shall not write there. If the provider set it because the disk is full, make room. To undo it: ${undo}`,
    });
  }
  return fine('target', 'TARGET_READ_ONLY', 'The target can be written.');
}

function replicaRole({ replicaRole: limit, user }: TargetFacts): Finding {
  if (limit === null) return fine('target', 'SESSION_REPLICATION_ROLE', 'The role may set session_replication_role.');
  return complaint('warning', 'target', 'SESSION_REPLICATION_ROLE', {
    message: limit.message,
    remedy: limit.remedy.replaceAll('<role>', `"${user}"`),
  });
}

// A pipeline with origin: none does not start without.
function origins({ mayUseOrigins, user }: TargetFacts, needed: boolean): Finding {
  if (mayUseOrigins) return fine('target', 'REPLICATION_ORIGIN', 'The role may use replication origins.');
  return complaint(needed ? 'error' : 'warning', 'target', 'REPLICATION_ORIGIN', {
    message:
      'The role may not use replication origins. Only a pipeline in the other direction with origin: none needs them: it would send the rows back.',
    remedy: `As a superuser: GRANT EXECUTE ON FUNCTION pg_replication_origin_create(text), pg_replication_origin_oid(text), pg_replication_origin_session_setup(text), pg_replication_origin_drop(text) TO "${user}";`,
  });
}
