import { formatLsn, type Lsn } from '../postgres/lsn.ts';
import { quoteLiteral } from '../postgres/quote.ts';
import { Problem } from '../problem.ts';
import type { SlotState } from './slot.ts';

/** What is left where changes cannot be read any more, or could not be told apart from those of another source. */
export const COPY_ALL_AGAIN = 'pgfollow teardown, then pgfollow run with snapshot.existingRows: truncate.';

const COPY_AGAIN = `Copy again: ${COPY_ALL_AGAIN}`;

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

/** What to do about a slot of the name that is not ours. */
export function foreignRemedy(name: string): string {
  return `If nobody needs it, drop it on the source: SELECT pg_drop_replication_slot(${quoteLiteral(name)}); else set slot.name to another name.`;
}

/** SLOT_IN_USE; `pid`: of the reader on the source, where it is known. */
export function inUse(name: string, pid: number | null, cause?: unknown): Problem {
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
