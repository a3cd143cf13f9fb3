import type { SlotReading } from '../../observe/readings.ts';
import { bytesText, duration } from './format.ts';

/** More than this kept without any limit is an emergency on most disks. */
const UNBOUNDED_DANGER_BYTES = 20 * 2 ** 30;

export interface SlotVerdict {
  readonly note: string;
  readonly tone: 'good' | 'warn' | 'bad';
}

/**
 * How long the slot would last if nothing were acknowledged from now on. `walPerSecond`: what the source writes, null
 * where that is not known.
 */
export function slotVerdict(slot: SlotReading | null, walPerSecond: number | null): SlotVerdict {
  if (slot === null) return { note: 'no slot yet', tone: 'good' };
  if (slot.walStatus === 'lost') return { note: 'lost: the source has removed WAL that was needed', tone: 'bad' };
  if (slot.limitBytes === null) {
    const danger = (slot.retainedBytes ?? 0) >= UNBOUNDED_DANGER_BYTES;
    return { note: 'unbounded: it may fill the disk of the source', tone: danger ? 'bad' : 'warn' };
  }
  const part = (slot.retainedBytes ?? 0) / slot.limitBytes;
  const seconds = runwaySeconds(slot, walPerSecond);
  const tone = part >= 0.95 ? 'bad' : part >= 0.8 || (seconds !== null && seconds < 3600) ? 'warn' : 'good';
  const of = `of ${bytesText(slot.limitBytes)}`;
  if (seconds === null) return { note: of, tone };
  if (seconds > 30 * 86_400) return { note: `${of}, more than 30 days of WAL to go`, tone };
  const { value, unit } = duration(seconds);
  return { note: `${of}, ≈ ${value} ${unit} of WAL to go`, tone };
}

function runwaySeconds({ safeBytes, limitBytes, retainedBytes }: SlotReading, walPerSecond: number | null): number | null {
  if (walPerSecond === null || walPerSecond <= 0) return null;
  const left = safeBytes ?? (limitBytes === null || retainedBytes === null ? null : limitBytes - retainedBytes);
  return left === null ? null : Math.max(0, left) / walPerSecond;
}
