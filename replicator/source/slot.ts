import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { parseLsn, type Lsn } from '../postgres/lsn.ts';
import { SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { inUse } from './slot-verdict.ts';

/** A row of pg_replication_slots, and what of WAL it holds. https://www.postgresql.org/docs/current/view-pg-replication-slots.html */
export interface SlotState {
  readonly name: string;
  /** Null for a physical slot. */
  readonly plugin: string | null;
  readonly database: string | null;
  readonly active: boolean;
  readonly activePid: number | null;
  readonly restartLsn: Lsn | null;
  readonly confirmedFlushLsn: Lsn | null;
  readonly walStatus: 'reserved' | 'extended' | 'unreserved' | 'lost' | null;
  /** Bytes that may still be written before the slot is in danger of being lost; null: no limit, or lost already. */
  readonly safeWalSize: number | null;
  /** Null where the server is older than 17, or the slot is sound. */
  readonly invalidationReason: string | null;
  /** WAL kept for this slot. */
  readonly retainedBytes: number | null;
  /** max_slot_wal_keep_size; null: no limit. */
  readonly limitBytes: number | null;
  /** End of WAL: what the source has written, on a standby what it has replayed. */
  readonly walEnd: Lsn;
  /** When the oldest transaction of anybody on the source began, ms since 1970: WAL is kept from there. Null: there is none to see. */
  readonly oldestTransactionMs: number | null;
  /** Parts of transactions that the source has put on its disk while it decoded them for this slot, since its statistics began. */
  readonly spilledBytes: number | null;
  /** How far the server's clock is ahead of ours, ms; exact to half of the time that the question takes. */
  readonly clockAheadMs: number;
}

/** Reads the slot; null when there is none of this name. */
export async function readSlot(client: Client, name: string): Promise<SlotState | null> {
  const askedAt = Date.now();
  const { rows } = await client.query<SlotRow>(SLOT, [name]);
  const [row] = rows;
  if (!row) return null;
  return {
    name,
    plugin: row.plugin,
    database: row.database,
    active: row.active,
    activePid: row.active_pid,
    restartLsn: row.restart_lsn === null ? null : parseLsn(row.restart_lsn),
    confirmedFlushLsn: row.confirmed_flush_lsn === null ? null : parseLsn(row.confirmed_flush_lsn),
    walStatus: row.wal_status,
    safeWalSize: row.safe_wal_size === null ? null : Number(row.safe_wal_size),
    invalidationReason: row.invalidation_reason ?? (row.conflicting ? 'conflict with recovery' : null),
    retainedBytes: row.retained_bytes === null ? null : Math.max(0, Number(row.retained_bytes)),
    limitBytes: row.keep_size_mb < 0 ? null : row.keep_size_mb * 1024 * 1024,
    walEnd: parseLsn(row.wal_end),
    oldestTransactionMs: row.oldest_transaction_ms,
    spilledBytes: row.spilled_bytes,
    clockAheadMs: row.clock_ms - (askedAt + Date.now()) / 2,
  };
}

interface SlotRow {
  plugin: string | null;
  database: string | null;
  active: boolean;
  active_pid: number | null;
  restart_lsn: string | null;
  confirmed_flush_lsn: string | null;
  wal_status: SlotState['walStatus'];
  safe_wal_size: string | null;
  invalidation_reason: string | null;
  conflicting: boolean;
  retained_bytes: string | null;
  keep_size_mb: number;
  wal_end: string;
  oldest_transaction_ms: number | null;
  spilled_bytes: number | null;
  clock_ms: number;
}

// Columns that only newer versions have come through to_jsonb: conflicting 16, invalidation_reason 17.
const SLOT = `select s.plugin, s.database, s.active, s.active_pid, s.restart_lsn::text, s.confirmed_flush_lsn::text, s.wal_status,
  s.safe_wal_size::text,
  pg_catalog.to_jsonb(s) ->> 'invalidation_reason' as invalidation_reason,
  coalesce((pg_catalog.to_jsonb(s) ->> 'conflicting')::bool, false) as conflicting,
  (w.wal_end - s.restart_lsn)::text as retained_bytes,
  (select setting::int from pg_catalog.pg_settings where name = 'max_slot_wal_keep_size') as keep_size_mb,
  w.wal_end::text,
  (select (extract(epoch from pg_catalog.min(a.xact_start)) * 1000)::float8 from pg_catalog.pg_stat_activity a
    where a.backend_type = 'client backend' and a.pid <> pg_catalog.pg_backend_pid()) as oldest_transaction_ms,
  (select r.spill_bytes::float8 from pg_catalog.pg_stat_replication_slots r where r.slot_name = s.slot_name) as spilled_bytes,
  (extract(epoch from pg_catalog.clock_timestamp()) * 1000)::float8 as clock_ms
from pg_catalog.pg_replication_slots s,
  (select case when pg_catalog.pg_is_in_recovery()
     then coalesce(pg_catalog.pg_last_wal_replay_lsn(), pg_catalog.pg_last_wal_receive_lsn())
     else pg_catalog.pg_current_wal_lsn() end as wal_end) w
where s.slot_name = $1`;

/**
 * Drops the slot; false when there was none. A walsender of ours may need a moment to notice that it was left, so an
 * active slot is tried again for `waitMs` (5 s) before it is a Problem SLOT_IN_USE.
 */
export async function dropSlot(
  client: Client,
  name: string,
  { waitMs = 5000 }: { readonly waitMs?: number } = {},
): Promise<boolean> {
  const end = Date.now() + waitMs;
  for (;;) {
    try {
      await client.query('select pg_catalog.pg_drop_replication_slot($1)', [name]);
      return true;
    } catch (error) {
      const state = sqlState(error);
      if (state === SQLSTATE.undefined_object) return false;
      if (state !== SQLSTATE.object_in_use) throw error;
      if (Date.now() >= end) throw inUse(name, null, error);
    }
    await sleep(100);
  }
}
