import type { Client } from 'pg';
import { quoteIdent } from '../postgres/quote.ts';
import { Problem } from '../problem.ts';

/** Throws where the server knows no slots with FAILOVER. */
export function refuseFailover(sourceVersion: number): void {
  if (sourceVersion >= 170000) return;
  throw new Problem('SOURCE_UNSUITABLE', 'slot.failover needs PostgreSQL 17 or newer on the source.', {
    remedy: 'Set slot.failover: false.',
  });
}

/**
 * On a replication connection, while nobody reads from the slot.
 * https://www.postgresql.org/docs/current/protocol-replication.html#PROTOCOL-REPLICATION-ALTER-REPLICATION-SLOT
 */
export async function enableFailover(replicationClient: Client, slot: string): Promise<void> {
  await replicationClient.query(`ALTER_REPLICATION_SLOT ${quoteIdent(slot)} (FAILOVER true)`);
}
