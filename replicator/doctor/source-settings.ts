import type { Client } from 'pg';
import { complaint, fine, type Finding, type FindingCode } from '../finding.ts';
import { sourceFaults, type SourceIdentity, type SourceNeeds } from '../source/identity.ts';

const MB = 1024 * 1024;
/** A slot with less is lost in the first busy hour, bytes. */
const SMALL_WAL_LIMIT = 1024 * MB;
/** Below this, transactions of ordinary size are spilled to the source's disk while they are decoded, bytes. */
const SMALL_DECODING_MEMORY = 16 * MB;
/** A slower network or a full target must not look like a dead connection, ms. */
const SHORT_SENDER_TIMEOUT = 10_000;
/** An outage for maintenance takes longer than that, s. */
const SHORT_IDLE_TIMEOUT = 24 * 3600;

/** Settings of the source beyond what SourceIdentity has. */
export interface SourceSettings {
  /** Bytes. */
  readonly decodingMemory: number;
  /** s; null: never, or a server that does not know it (before 18). */
  readonly slotIdleTimeout: number | null;
  readonly hotStandbyFeedback: boolean;
  readonly mayEmitMessages: boolean;
  readonly largeObjects: boolean;
  /** Some commits may wait for a standby (synchronous_standby_names), and this role does not see which. */
  readonly hiddenWaits: boolean;
}

export async function readSourceSettings(client: Client): Promise<SourceSettings> {
  const { rows } = await client.query<{
    decoding_kb: number;
    idle: string | null;
    idle_unit: string | null;
    feedback: boolean;
    emit: boolean;
    large_objects: boolean;
    hidden_waits: boolean;
  }>(SETTINGS);
  const [row] = rows;
  const idle = Number(row?.idle ?? 0) * (row?.idle_unit === 'min' ? 60 : row?.idle_unit === 'ms' ? 0.001 : 1);
  return {
    decodingMemory: (row?.decoding_kb ?? 0) * 1024,
    slotIdleTimeout: idle > 0 ? idle : null,
    hotStandbyFeedback: row?.feedback ?? true,
    mayEmitMessages: row?.emit ?? true,
    largeObjects: row?.large_objects ?? false,
    hiddenWaits: row?.hidden_waits ?? false,
  };
}

// Its signature grew an argument in 17, so it is looked up by name.
const SETTINGS = `select
  (select setting::int from pg_catalog.pg_settings where name = 'logical_decoding_work_mem') as decoding_kb,
  i.setting as idle, i.unit as idle_unit,
  pg_catalog.current_setting('hot_standby_feedback')::bool as feedback,
  (select bool_and(pg_catalog.has_function_privilege(p.oid, 'execute')) from pg_catalog.pg_proc p
    where p.proname = 'pg_logical_emit_message' and p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace) as emit,
  exists (select from pg_catalog.pg_largeobject_metadata) as large_objects,
  pg_catalog.current_setting('synchronous_standby_names') <> ''
    and not pg_catalog.pg_has_role('pg_read_all_stats', 'usage') as hidden_waits
from (values (1)) one left join pg_catalog.pg_settings i on i.name = 'idle_replication_slot_timeout'`;

/** Pure: everything about the source as a server and its role. What stands in the way is what a start would refuse too. */
export function classifySource(source: SourceIdentity, settings: SourceSettings, needs: SourceNeeds): Finding[] {
  const faults = sourceFaults(source, needs);
  const required = (code: FindingCode, message: string): Finding => {
    const fault = faults.find((each) => each.code === code);
    return fault ? complaint('error', 'source', code, fault) : fine('source', code, message);
  };
  const version = required('SOURCE_VERSION', `The source runs PostgreSQL ${source.versionText}.`);
  // How a server is set up that has to be upgraded first is of no use to know.
  if (source.version < 140000) return [version];
  return [
    version,
    required('SOURCE_STANDBY', source.inRecovery ? 'The source is a standby that can be followed.' : 'The source is a primary.'),
    required('WAL_LEVEL', 'wal_level is logical.'),
    required('REPLICATION_ROLE', `Role ${source.role.name} may replicate.`),
    required('FREE_SLOTS', `${source.slots.free} of ${source.slots.max} replication slots are free.`),
    required('FREE_WAL_SENDERS', `${source.walSenders.free} of ${source.walSenders.max} WAL senders are free.`),
    senderTimeout(source),
    walLimit(source),
    ...idleTimeout(settings),
    decodingMemory(settings),
    ...standbyFeedback(source, settings),
    emitMessage(source, settings),
    ...(settings.hiddenWaits && !source.inRecovery ? [hiddenWaits(source)] : []),
    ...(settings.largeObjects ? [LARGE_OBJECTS] : []),
  ];
}

function senderTimeout({ walSenderTimeout }: SourceIdentity): Finding {
  const code = 'WAL_SENDER_TIMEOUT';
  if (walSenderTimeout === 0) {
    return complaint('warning', 'source', code, {
      message: 'wal_sender_timeout is 0: a connection that died holds the slot until TCP notices, and no other can read it.',
      remedy: `ALTER SYSTEM SET wal_sender_timeout = '1min'; SELECT pg_reload_conf();`,
    });
  }
  if (walSenderTimeout < SHORT_SENDER_TIMEOUT) {
    return complaint('warning', 'source', code, {
      message: `wal_sender_timeout is ${walSenderTimeout} ms: a slow moment of the network ends the stream.`,
      remedy: `ALTER SYSTEM SET wal_sender_timeout = '1min'; SELECT pg_reload_conf();`,
    });
  }
  return fine('source', code, `wal_sender_timeout is ${walSenderTimeout / 1000} s.`);
}

function walLimit({ maxSlotWalKeepSize: limit }: SourceIdentity): Finding {
  const code = 'SLOT_WAL_LIMIT';
  if (limit === null) {
    return complaint('warning', 'source', code, {
      message: 'max_slot_wal_keep_size is -1: while pgfollow is away, WAL for its slot may fill the disk of the source.',
      remedy: `ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf(); with what the disk can bear, and longer than an outage lasts.`,
    });
  }
  if (limit < SMALL_WAL_LIMIT) {
    return complaint('warning', 'source', code, {
      message: `max_slot_wal_keep_size is ${limit / MB} MB: the slot is lost as soon as that much is written while pgfollow is behind, and everything is copied again.`,
      remedy: `ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf(); with what the disk can bear.`,
    });
  }
  return fine('source', code, `Slots may keep ${Math.round(limit / MB)} MB of WAL (max_slot_wal_keep_size).`);
}

function idleTimeout({ slotIdleTimeout: seconds }: SourceSettings): Finding[] {
  if (seconds === null) return [];
  const code = 'SLOT_IDLE_TIMEOUT';
  if (seconds >= SHORT_IDLE_TIMEOUT)
    return [fine('source', code, `Slots that nobody reads are given up after ${Math.round(seconds / 3600)} h.`)];
  return [
    complaint('warning', 'source', code, {
      message: `idle_replication_slot_timeout is ${seconds} s: the slot is lost when pgfollow is away for longer, and everything is copied again.`,
      remedy: `ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf(); or longer than any outage.`,
    }),
  ];
}

function decodingMemory({ decodingMemory: bytes }: SourceSettings): Finding {
  const code = 'DECODING_MEMORY';
  if (bytes >= SMALL_DECODING_MEMORY) return fine('source', code, `logical_decoding_work_mem is ${Math.round(bytes / MB)} MB.`);
  return complaint('warning', 'source', code, {
    message: `logical_decoding_work_mem is ${bytes / 1024} kB: transactions of ordinary size are spilled to the disk of the source.`,
    remedy: `ALTER SYSTEM SET logical_decoding_work_mem = '64MB'; SELECT pg_reload_conf();`,
  });
}

function standbyFeedback({ inRecovery }: SourceIdentity, { hotStandbyFeedback }: SourceSettings): Finding[] {
  if (!inRecovery) return [];
  const code = 'HOT_STANDBY_FEEDBACK';
  if (hotStandbyFeedback) return [fine('source', code, 'hot_standby_feedback is on.')];
  return [
    complaint('warning', 'source', code, {
      message: 'hot_standby_feedback is off on this standby: a vacuum of the primary can invalidate the slot.',
      remedy:
        'On the standby: ALTER SYSTEM SET hot_standby_feedback = on; SELECT pg_reload_conf(); and let it use a physical slot (primary_slot_name).',
    }),
  ];
}

function emitMessage({ inRecovery, role }: SourceIdentity, { mayEmitMessages }: SourceSettings): Finding {
  const code = 'EMIT_MESSAGE';
  if (inRecovery) return fine('source', code, 'A standby takes no heartbeat; the position moves with its primary.');
  if (mayEmitMessages) return fine('source', code, 'The role may write the heartbeat (pg_logical_emit_message).');
  return complaint('error', 'source', code, {
    message:
      'The role may not run pg_logical_emit_message, with which the lag is measured and the slot moved on an idle database.',
    remedy: `GRANT EXECUTE ON FUNCTION pg_catalog.pg_logical_emit_message(boolean, text, text) TO "${role.name}"; (17 and newer: boolean, text, text, boolean)`,
  });
}

function hiddenWaits({ role }: SourceIdentity): Finding {
  return complaint('warning', 'source', 'SYNCHRONOUS_STANDBY', {
    message:
      'Commits may wait for a synchronous standby, and the role does not see which: tables that are added, copied again or compared wait for all transactions that were open when pgfollow was started.',
    remedy: `GRANT pg_read_all_stats TO "${role.name}";`,
  });
}

const LARGE_OBJECTS = complaint('warning', 'source', 'LARGE_OBJECTS', {
  message: 'The source holds large objects: PostgreSQL does not put them into the stream, so they are not followed.',
  remedy: 'Keep such values in bytea columns, or copy them yourself.',
});
