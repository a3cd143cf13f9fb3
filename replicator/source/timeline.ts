import type { Client } from 'pg';
import { parseLsn, ZERO_LSN, type Lsn, type Timeline } from '../postgres/lsn.ts';
import { SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { identifySystem } from './identity.ts';

const NOT_TOLD: readonly string[] = [
  SQLSTATE.insufficient_privilege,
  SQLSTATE.undefined_function,
  SQLSTATE.feature_not_supported,
];

/**
 * The timeline that a server writes, or of a standby up to where it has replayed at least; null where a managed service does not tell.
 * pg_control_checkpoint() tells the old one for a moment after a promotion, the name of the WAL file does not.
 */
export async function readTimeline(client: Client, inRecovery: boolean): Promise<Timeline | null> {
  try {
    return inRecovery ? await readReplayed(client) : await readWritten(client);
  } catch (error) {
    if (NOT_TOLD.includes(sqlState(error) ?? '')) return null;
    throw error;
  }
}

async function readWritten(client: Client): Promise<Timeline | null> {
  const { rows } = await client.query<{ file: string }>(
    'SELECT pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()) AS file',
  );
  return rows[0] ? { id: Number.parseInt(rows[0].file.slice(0, 8), 16), until: null } : null;
}

async function readReplayed(client: Client): Promise<Timeline | null> {
  const { rows } = await client.query<{ id: number; until: string }>(
    'SELECT min_recovery_end_timeline AS id, min_recovery_end_lsn::text AS until FROM pg_catalog.pg_control_recovery()',
  );
  const until = parseLsn(rows[0]?.until ?? '0/0');
  // Nothing is told by one that has been promoted in between.
  return rows[0] && until > ZERO_LSN ? { id: rows[0].id, until } : null;
}

/**
 * Up to where the server has what was written on a timeline: null means all of it, because the server is on it still, and
 * 0 nothing, because it never was. https://www.postgresql.org/docs/current/protocol-replication.html
 */
export async function readSwitchPoint(replicationClient: Client, timeline: number): Promise<Lsn | null> {
  const { timeline: current } = await identifySystem(replicationClient);
  if (current === timeline) return null;
  // The first one has no history.
  if (current === 1) return 0n as Lsn;
  const { rows } = await replicationClient.query<{ content: Buffer | string }>(`TIMELINE_HISTORY ${current}`);
  return switchPoint((rows[0]?.content ?? '').toString(), timeline);
}

/** Pure: where a timeline was left, by a history file; 0 where it is not in it. */
export function switchPoint(history: string, timeline: number): Lsn {
  for (const line of history.split('\n')) {
    const [id, position] = line.trim().split(/\s+/, 2);
    if (Number(id) === timeline && position) return parseLsn(position);
  }
  return 0n as Lsn;
}
