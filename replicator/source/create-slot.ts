import type { Client } from 'pg';
import { parseLsn, type Lsn } from '../postgres/lsn.ts';
import { quoteIdent, quoteLiteral } from '../postgres/quote.ts';
import { describeError, SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';
import { refuseFailover } from './slot-failover.ts';
import { foreignRemedy } from './slot-verdict.ts';

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
  if (options.failover) refuseFailover(options.sourceVersion);
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
