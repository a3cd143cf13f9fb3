import type { Client } from 'pg';
import { parseLsn, type Lsn } from '../postgres/lsn.ts';

/** Where the source's WAL ends now; on a standby, what it has replayed. */
export async function walEnd(source: Client, standby: boolean): Promise<Lsn> {
  const position = standby ? 'pg_catalog.pg_last_wal_replay_lsn()' : 'pg_catalog.pg_current_wal_insert_lsn()';
  const { rows } = await source.query<{ lsn: string }>(`SELECT ${position}::text AS lsn`);
  return parseLsn(rows[0]?.lsn ?? '0/0');
}
