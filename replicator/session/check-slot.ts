import type { Config } from '../config/schema.ts';
import { formatLsn, type Lsn } from '../postgres/lsn.ts';
import { Problem } from '../problem.ts';
import { readSlot } from '../source/slot.ts';
import { COPY_ALL_AGAIN, slotVerdict } from '../source/slot-verdict.ts';
import { on } from './blame.ts';
import type { Ends } from './ends.ts';

/**
 * Throws what stands in the way of going on from the checkpoint with this slot. `reading`: the stream has started, so
 * that the slot is active because of us.
 */
export async function checkSlot(ends: Ends, config: Config, checkpoint: Lsn, { reading = false } = {}): Promise<void> {
  const slot = await on('source', readSlot(ends.source, config.slot.name));
  const expected = { checkpoint, database: ends.sourceIdentity.database };
  const verdict = slotVerdict(slot && reading ? { ...slot, active: false } : slot, expected, config.slot.name);
  if (verdict !== 'ok') throw verdict;
  // What is on the target was on the disk of the source first; a standby may replay again after a crash, though.
  if (slot && slot.walEnd < checkpoint && !ends.sourceIdentity.inRecovery)
    throw sourceWentBack(config.name, checkpoint, slot.walEnd);
}

/** Before anything is made: throws where a slot of the name is not ours, as with the wrong target, so that nothing of whoever uses it is touched. */
export async function refuseForeignSlot({ source, row, sourceIdentity: { database } }: Ends, name: string): Promise<void> {
  if (row.slotCreated) return;
  const slot = await on('source', readSlot(source, name));
  const verdict = slotVerdict(slot, { checkpoint: null, database }, name);
  if (verdict !== 'ok') throw verdict;
}

function sourceWentBack(pipeline: string, checkpoint: Lsn, walEnd: Lsn): Problem {
  return new Problem(
    'FOREIGN_CHECKPOINT',
    `The checkpoint of pipeline "${pipeline}" is ${formatLsn(checkpoint)}, but the WAL of the source ends at ${formatLsn(walEnd)}: ` +
      `the source was restored to an earlier time, or failed over to a standby that lacked its last transactions. The target has them.`,
    { remedy: COPY_ALL_AGAIN },
  );
}
