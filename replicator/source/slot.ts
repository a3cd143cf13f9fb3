import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { formatLsn, parseLsn, type Lsn } from '../postgres/lsn.ts';
import { quoteIdent, quoteLiteral } from '../postgres/quote.ts';
import { describeError, SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';

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

export interface CreateSlotOptions {
  /** Keep the slot on standbys too (17 and newer). */
  readonly failover: boolean;
  /** server_version_num. */
  readonly sourceVersion: number;
}

export interface CreatedSlot {
  /** Every transaction that commits after this is streamed, every one before is in the snapshot. */
  readonly consistentPoint: Lsn;
  /** For SET TRANSACTION SNAPSHOT; valid until the next command on the replication connection. */
  readonly snapshotName: string;
}

/**
 * Creates the logical slot on a replication connection of the source's database and exports the snapshot of its
 * starting point. Waits for every transaction that is older (see waitingFor); give the session a lock_timeout to bound
 * the wait, statement_timeout does not apply.
 * https://www.postgresql.org/docs/current/protocol-replication.html#PROTOCOL-REPLICATION-CREATE-REPLICATION-SLOT
 */
export async function createSlot(replicationClient: Client, name: string, options: CreateSlotOptions): Promise<CreatedSlot> {
  if (options.failover && options.sourceVersion < 170000) {
    throw new Problem('SOURCE_UNSUITABLE', 'slot.failover needs PostgreSQL 17 or newer on the source.', {
      remedy: 'Set slot.failover: false.',
    });
  }
  const modifiers =
    options.sourceVersion < 150000 ? 'EXPORT_SNAPSHOT' : `(SNAPSHOT 'export'${options.failover ? ', FAILOVER true' : ''})`;
  try {
    const { rows } = await replicationClient.query<{ consistent_point: string; snapshot_name: string }>(
      `CREATE_REPLICATION_SLOT ${quoteIdent(name)} LOGICAL pgoutput ${modifiers}`,
    );
    const [row] = rows;
    if (!row?.snapshot_name)
      throw new Problem('INTERNAL', 'The source created a slot without a snapshot.', { remedy: 'Please report this.' });
    return { consistentPoint: parseLsn(row.consistent_point), snapshotName: row.snapshot_name };
  } catch (error) {
    throw slotCreationProblem(error, name);
  }
}

function slotCreationProblem(error: unknown, name: string): unknown {
  const said = `The slot ${name} cannot be created: ${describeError(error)}`;
  switch (sqlState(error)) {
    case SQLSTATE.duplicate_object:
      return new Problem('SLOT_FOREIGN', said, { remedy: foreignRemedy(name), cause: error });
    case SQLSTATE.lock_not_available:
      return new Problem('SLOT_WAITING', said, {
        remedy:
          'End the transactions that are older than the slot: SELECT pid, xact_start, query FROM pg_stat_activity WHERE backend_xid IS NOT NULL ORDER BY xact_start.',
        retry: 'transient',
        cause: error,
      });
    case '53400': // configuration_limit_exceeded
      return new Problem('SOURCE_UNSUITABLE', said, {
        remedy: 'Drop a slot that nobody needs, or raise max_replication_slots and restart the source.',
        cause: error,
      });
    case SQLSTATE.insufficient_privilege:
      return new Problem('SOURCE_UNSUITABLE', said, {
        remedy: 'ALTER ROLE … REPLICATION for the role of source.url.',
        cause: error,
      });
    case SQLSTATE.object_not_in_prerequisite_state:
      return new Problem('SOURCE_UNSUITABLE', said, {
        remedy: 'ALTER SYSTEM SET wal_level = logical; then restart the source.',
        cause: error,
      });
    default:
      return error;
  }
}

/** A transaction that a slot under creation may be waiting for. */
export interface OlderTransaction {
  /** Null for a prepared transaction. */
  readonly pid: number | null;
  /** Name of a prepared transaction, else null. */
  readonly preparedAs: string | null;
  readonly database: string | null;
  /** Null where the role may not see it. */
  readonly ageSeconds: number | null;
  /** The latest statement; null where the role may not see it. */
  readonly query: string | null;
}

/**
 * The transactions that hold up the creation of a slot, oldest first: those with an xid in any database of the
 * cluster, and prepared ones. `creatorPid` is the backend that creates the slot; transactions that began after
 * its command did are left out.
 */
export async function waitingFor(client: Client, creatorPid: number): Promise<OlderTransaction[]> {
  const { rows } = await client.query<{
    pid: number | null;
    gid: string | null;
    database: string | null;
    age: string | null;
    query: string | null;
  }>(WAITING, [creatorPid]);
  return rows.map((row) => ({
    pid: row.pid,
    preparedAs: row.gid,
    database: row.database,
    ageSeconds: row.age === null ? null : Number(row.age),
    query: row.query,
  }));
}

const WAITING = `with creator as (select query_start from pg_catalog.pg_stat_activity where pid = $1)
select a.pid, null as gid, a.datname as database, extract(epoch from now() - a.xact_start) as age, nullif(a.query, '<insufficient privilege>') as query
from pg_catalog.pg_stat_activity a
where a.backend_xid is not null and a.pid <> $1 and a.pid <> pg_catalog.pg_backend_pid()
  and not coalesce(a.xact_start > (select query_start from creator), false)
union all
select null, p.gid, p.database, extract(epoch from now() - p.prepared), null
from pg_catalog.pg_prepared_xacts p
order by age desc nulls last`;

function describeTransaction({ pid, preparedAs, ageSeconds }: OlderTransaction): string {
  const name = preparedAs === null ? `pid ${pid}` : `prepared transaction ${preparedAs}`;
  return ageSeconds === null ? name : `${name}, open for ${Math.round(ageSeconds)} s`;
}

/** SLOT_WAITING, as shown while a slot is being created. */
export function slotWaitingProblem(name: string, transactions: readonly OlderTransaction[]): Problem {
  const [oldest] = transactions;
  const who = oldest ? describeTransaction(oldest) : 'none is visible to this role';
  const what = oldest?.query ? `, last statement: ${oldest.query.slice(0, 200)}` : '';
  return new Problem(
    'SLOT_WAITING',
    `Creating the slot ${name} waits for ${transactions.length} older transaction(s); the oldest: ${who}${what}.`,
    {
      remedy:
        oldest && oldest.preparedAs !== null
          ? `COMMIT PREPARED ${quoteLiteral(oldest.preparedAs)}; or ROLLBACK PREPARED it, in database ${oldest.database}.`
          : `Let it finish, or end it: SELECT pg_terminate_backend(${oldest?.pid ?? 'pid'});`,
      retry: 'transient',
    },
  );
}

/**
 * Ends the creation of a slot that waits. Closing the connection alone would leave its backend waiting, with WAL pinned.
 */
export async function cancelSlotCreation(client: Client, creatorPid: number): Promise<void> {
  await client.query('select pg_catalog.pg_cancel_backend($1)', [creatorPid]);
}

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

/** What the pipeline knows of the slot it left. */
export interface SlotExpectation {
  /** Where the target stands; null when it holds no checkpoint, so that a slot of this name cannot be ours. */
  readonly checkpoint: Lsn | null;
  /** The source database. */
  readonly database: string;
}

/** Whether streaming may go on from the checkpoint with this slot, or what is in the way. */
export function slotVerdict(
  slot: SlotState | null,
  { checkpoint, database }: SlotExpectation,
  name = slot?.name ?? '',
): 'ok' | Problem {
  if (slot === null) {
    if (checkpoint === null) return 'ok';
    return new Problem(
      'SLOT_MISSING',
      `The slot ${name} is gone from the source, but the target stands at ${formatLsn(checkpoint)}: what came since cannot be read.`,
      {
        remedy: COPY_AGAIN,
      },
    );
  }
  if (slot.plugin !== 'pgoutput' || slot.database !== database) {
    const owner = slot.plugin === null ? 'is a physical slot' : `uses plugin ${slot.plugin} in database ${slot.database}`;
    return new Problem(
      'SLOT_FOREIGN',
      `A slot named ${slot.name} exists already, which ${owner}; wanted is pgoutput in ${database}.`,
      {
        remedy: foreignRemedy(slot.name),
      },
    );
  }
  if (checkpoint === null) {
    return new Problem('SLOT_FOREIGN', `A slot named ${slot.name} exists already, but the target holds no checkpoint of it.`, {
      remedy: foreignRemedy(slot.name),
    });
  }
  if (slot.walStatus === 'lost' || slot.invalidationReason !== null) {
    return new Problem(
      'SLOT_LOST',
      `The source has given up the slot ${slot.name} (${slot.invalidationReason ?? 'wal_removed'}): WAL that it needed is gone.`,
      {
        remedy: `${COPY_AGAIN} Then raise max_slot_wal_keep_size, or set it to -1, on the source.`,
      },
    );
  }
  if (slot.confirmedFlushLsn !== null && slot.confirmedFlushLsn > checkpoint) {
    return new Problem(
      'SLOT_AHEAD',
      `The slot ${slot.name} has moved on to ${formatLsn(slot.confirmedFlushLsn)}, past the checkpoint ${formatLsn(checkpoint)} of the target: the changes between can no longer be read.`,
      { remedy: COPY_AGAIN },
    );
  }
  return slot.active ? inUse(slot.name, slot.activePid) : 'ok';
}

const COPY_AGAIN = 'Copy again: pgfollow teardown, then pgfollow run with snapshot.existingRows: truncate.';

function foreignRemedy(name: string): string {
  return `If nobody needs it, drop it on the source: SELECT pg_drop_replication_slot(${quoteLiteral(name)}); else set slot.name to another name.`;
}

function inUse(name: string, pid: number | null, cause?: unknown): Problem {
  return new Problem(
    'SLOT_IN_USE',
    `Another process${pid === null ? '' : ` (pid ${pid} on the source)`} is reading from the slot ${name}.`,
    {
      remedy: `Stop the other pgfollow, or end its connection: SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = ${quoteLiteral(name)};`,
      retry: 'transient',
      cause,
    },
  );
}
