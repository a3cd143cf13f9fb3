import type { Config } from '../config/schema.ts';
import { connect, disconnect } from '../postgres/connect.ts';
import { enableFailover, refuseFailover } from '../source/slot-failover.ts';
import { on } from './blame.ts';
import type { Ends } from './ends.ts';

/**
 * For a slot that is there: where slot.failover was set after it was made, it gets FAILOVER now, before anybody reads from it. One that has it keeps
 * it, whatever the configuration says: somebody may have set it by hand. On a standby it cannot be set.
 */
export async function keepFailover({ source, sourceIdentity }: Ends, { name, slot, source: { url } }: Config): Promise<void> {
  if (!slot.failover || sourceIdentity.inRecovery) return;
  refuseFailover(sourceIdentity.version);
  const { rows } = await on(
    'source',
    source.query('SELECT FROM pg_replication_slots WHERE slot_name = $1 AND failover', [slot.name]),
  );
  if (rows.length > 0) return;
  const replication = await connect({ role: 'source', url, purpose: `${name} slot`, replication: true });
  try {
    await on('source', enableFailover(replication, slot.name));
  } finally {
    await disconnect(replication);
  }
}
