import type { Client } from 'pg';
import { SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';

/** Which server and database the source is, and what it allows. */
export interface SourceIdentity {
  /** Never changes in the life of a cluster; its physical standbys share it. */
  readonly systemIdentifier: string;
  readonly timeline: number;
  readonly database: string;
  readonly databaseOid: number;
  /** server_version_num, such as 180004. */
  readonly version: number;
  /** server_version, such as 18.4. */
  readonly versionText: string;
  readonly inRecovery: boolean;
  readonly walLevel: string;
  /** Bytes; null: slots may keep any amount of WAL. */
  readonly maxSlotWalKeepSize: number | null;
  /** ms; 0: never. */
  readonly walSenderTimeout: number;
  readonly slots: { readonly max: number; readonly free: number };
  readonly walSenders: { readonly max: number; readonly free: number };
  readonly role: { readonly name: string; readonly superuser: boolean; readonly replication: boolean };
}

/** What IDENTIFY_SYSTEM answers on a replication connection. */
export interface SystemIdentity {
  readonly systemIdentifier: string;
  readonly timeline: number;
}

/**
 * Asks the source who it is. pg_control_system() is open to everybody on a plain PostgreSQL; where a provider has closed
 * it, `identifySystem` is asked instead.
 * https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-CONTROL-SYSTEM
 */
export async function identifySource(client: Client, identifySystem?: () => Promise<SystemIdentity>): Promise<SourceIdentity> {
  const system = await readSystem(client, identifySystem);
  const { rows } = await client.query<SettingsRow>(SETTINGS);
  const [row] = rows;
  if (!row)
    throw new Problem('SOURCE_UNSUITABLE', 'The source does not tell its settings.', { remedy: 'Check the role that connects.' });
  return {
    ...system,
    database: row.database,
    databaseOid: row.database_oid,
    version: row.version,
    versionText: row.version_text,
    inRecovery: row.in_recovery,
    walLevel: row.wal_level,
    maxSlotWalKeepSize: row.keep_size_mb < 0 ? null : row.keep_size_mb * 1024 * 1024,
    walSenderTimeout: row.wal_sender_timeout,
    slots: { max: row.max_slots, free: Math.max(0, row.max_slots - row.used_slots) },
    walSenders: { max: row.max_walsenders, free: Math.max(0, row.max_walsenders - row.used_walsenders) },
    role: { name: row.role, superuser: row.superuser, replication: row.replication },
  };
}

/** IDENTIFY_SYSTEM over a replication connection. https://www.postgresql.org/docs/current/protocol-replication.html */
export async function identifySystem(replicationClient: Client): Promise<SystemIdentity> {
  const { rows } = await replicationClient.query<{ systemid: string; timeline: number | string }>('IDENTIFY_SYSTEM');
  const [row] = rows;
  if (!row)
    throw new Problem('SOURCE_UNSUITABLE', 'IDENTIFY_SYSTEM gave no answer.', {
      remedy: 'Connect to PostgreSQL itself, not to a pooler.',
    });
  return { systemIdentifier: row.systemid, timeline: Number(row.timeline) };
}

/** What else is asked of a source, beyond what any pipeline needs. */
export interface SourceNeeds {
  /** The slot is there already, so neither a free one nor a free WAL sender is needed (ours may be running). Default false. */
  readonly slotExists?: boolean;
  /** We create and change the publication, which a standby cannot. Default true. */
  readonly managedPublication?: boolean;
  /** `origin: none`. Default false. */
  readonly originNone?: boolean;
}

/** What stands in the way of following a source, with the SQL that mends it. */
export interface SourceFault {
  readonly code: 'SOURCE_VERSION' | 'SOURCE_STANDBY' | 'WAL_LEVEL' | 'REPLICATION_ROLE' | 'FREE_SLOTS' | 'FREE_WAL_SENDERS';
  readonly message: string;
  readonly remedy: string;
}

/** The same as sourceFaults(), as Problems. */
export function checkSource(source: SourceIdentity, needs: SourceNeeds = {}): Problem[] {
  return sourceFaults(source, needs).map(({ message, remedy }) => new Problem('SOURCE_UNSUITABLE', message, { remedy }));
}

/** Everything that stands in the way of following this source. */
export function sourceFaults(
  source: SourceIdentity,
  { slotExists = false, managedPublication = true, originNone = false }: SourceNeeds = {},
): SourceFault[] {
  const faults: SourceFault[] = [];
  if (source.version < 140000) {
    faults.push({
      code: 'SOURCE_VERSION',
      message: `The source runs PostgreSQL ${source.versionText}; 14 is the oldest that can be followed.`,
      remedy: 'Upgrade the source to PostgreSQL 14 or newer.',
    });
  }
  if (originNone && source.version >= 140000 && source.version < 160000) {
    faults.push({
      code: 'SOURCE_VERSION',
      message: `The source runs PostgreSQL ${source.versionText}; origin: none needs 16, where the stream can leave out what came by replication.`,
      remedy: 'Upgrade the source to PostgreSQL 16 or newer, or set origin: any.',
    });
  }
  if (source.inRecovery && source.version < 160000) {
    faults.push({
      code: 'SOURCE_STANDBY',
      message: 'The source is a standby, and only PostgreSQL 16 and newer decode on a standby.',
      remedy: 'Use the URL of the primary as source.url.',
    });
  } else if (source.inRecovery && managedPublication) {
    faults.push({
      code: 'SOURCE_STANDBY',
      message: 'The source is a standby, where no publication can be created.',
      remedy:
        'Create the publication on the primary and set publication.managed: false, or use the URL of the primary as source.url.',
    });
  }
  if (source.walLevel !== 'logical') {
    faults.push({
      code: 'WAL_LEVEL',
      message: `wal_level is ${source.walLevel} on the source; following needs logical.`,
      remedy: `ALTER SYSTEM SET wal_level = logical; then restart the ${source.inRecovery ? 'primary' : 'server'} (managed services: set the parameter logical_replication or rds.logical_replication).`,
    });
  }
  if (!source.role.superuser && !source.role.replication) {
    faults.push({
      code: 'REPLICATION_ROLE',
      message: `Role ${source.role.name} may not replicate.`,
      remedy: `ALTER ROLE "${source.role.name.replaceAll('"', '""')}" REPLICATION; as a superuser (Amazon RDS: GRANT rds_replication TO …).`,
    });
  }
  if (!slotExists && source.slots.free < 1) {
    faults.push({
      code: 'FREE_SLOTS',
      message: `All ${source.slots.max} replication slots of the source are taken.`,
      remedy: `Drop one that nobody needs (SELECT slot_name, active FROM pg_replication_slots), or ALTER SYSTEM SET max_replication_slots = ${source.slots.max + 10}; and restart.`,
    });
  }
  if (!slotExists && source.walSenders.free < 1) {
    faults.push({
      code: 'FREE_WAL_SENDERS',
      message: `All ${source.walSenders.max} WAL senders of the source are busy.`,
      remedy: `ALTER SYSTEM SET max_wal_senders = ${source.walSenders.max + 10}; and restart.`,
    });
  }
  return faults;
}

interface SettingsRow {
  database: string;
  database_oid: number;
  version: number;
  version_text: string;
  in_recovery: boolean;
  wal_level: string;
  keep_size_mb: number;
  wal_sender_timeout: number;
  max_slots: number;
  used_slots: number;
  max_walsenders: number;
  used_walsenders: number;
  role: string;
  superuser: boolean;
  replication: boolean;
}

// pg_settings gives numbers in the unit of the setting (MB, ms) where SHOW would give 1GB or 1min. Amazon RDS lets the members
// of rds_replication replicate, whose rolreplication is false.
const SETTINGS = `select d.datname as database, d.oid as database_oid,
  pg_catalog.current_setting('server_version_num')::int as version, pg_catalog.current_setting('server_version') as version_text,
  pg_catalog.pg_is_in_recovery() as in_recovery, pg_catalog.current_setting('wal_level') as wal_level,
  (select setting::int from pg_catalog.pg_settings where name = 'max_slot_wal_keep_size') as keep_size_mb,
  (select setting::int from pg_catalog.pg_settings where name = 'wal_sender_timeout') as wal_sender_timeout,
  pg_catalog.current_setting('max_replication_slots')::int as max_slots,
  (select count(*)::int from pg_catalog.pg_replication_slots) as used_slots,
  pg_catalog.current_setting('max_wal_senders')::int as max_walsenders,
  (select count(*)::int from pg_catalog.pg_stat_replication) as used_walsenders,
  r.rolname as role, r.rolsuper as superuser,
  r.rolreplication or exists (
    select from pg_catalog.pg_roles m where m.rolname = 'rds_replication' and pg_catalog.pg_has_role(m.oid, 'member')
  ) as replication
from pg_catalog.pg_database d, pg_catalog.pg_roles r
where d.datname = pg_catalog.current_database() and r.rolname = current_user`;

async function readSystem(client: Client, fallback: (() => Promise<SystemIdentity>) | undefined): Promise<SystemIdentity> {
  try {
    const { rows } = await client.query<{ systemIdentifier: string; timeline: number }>(
      `select s.system_identifier::text as "systemIdentifier", c.timeline_id as timeline
       from pg_catalog.pg_control_system() s, pg_catalog.pg_control_checkpoint() c`,
    );
    if (rows[0]) return rows[0];
  } catch (error) {
    if (sqlState(error) !== SQLSTATE.insufficient_privilege) throw error;
  }
  if (fallback) return fallback();
  throw new Problem('SOURCE_UNSUITABLE', 'The role may not read the identifier of the source.', {
    remedy: 'GRANT EXECUTE ON FUNCTION pg_control_system(), pg_control_checkpoint() TO the role of source.url.',
  });
}
