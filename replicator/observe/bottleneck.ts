import type { Status } from './status.ts';
import type { Activity, WorkReading } from './work.ts';

/** What holds the stream up most, and a sentence on why the target is as far behind as it is. */
export interface Bottleneck {
  /** Null where nothing holds it up, or nothing is known yet. */
  readonly stage: Activity | null;
  readonly summary: string;
}

/** Below this the target is where it should be, whatever it is busy with. */
const BEHIND_SECONDS = 2;
/** Accounted for less than this, shares would be chance. */
const ENOUGH_SECONDS = 3;
const WORTH_SAYING = 0.02;

const WORDS: Readonly<Record<Activity, string>> = {
  source: 'waiting for the source',
  decode: 'decoding',
  apply: 'writing rows on the target',
  lock: 'waiting for a lock on the target',
  commit: 'committing there',
  tables: 'tables that join or were kept back',
  paused: 'paused',
};

const HEADS: Readonly<Record<Activity, string>> = {
  source: 'The source is the slowest part: it sends less than the target could take.',
  decode: 'Decoding is the slowest part: pgfollow itself has all its hands full.',
  apply: 'The target is the slowest part: writing rows takes longest.',
  lock: 'A lock on the target is in the way: somebody there holds what pgfollow wants to write.',
  commit: 'Committing on the target is the slowest part.',
  tables: 'Tables that join, or whose changes were kept, take the time between batches.',
  paused: 'It is paused.',
};

/** Names what holds the stream up. `lagSeconds`: how far the target is behind, null where nobody knows. */
export function findBottleneck(work: WorkReading, lagSeconds: number | null): Bottleneck {
  if (work.seconds < ENOUGH_SECONDS) return { stage: null, summary: 'Nothing is followed yet, or not long enough to say.' };
  const stage = largest(work);
  const minute = inWords(work);
  const behind = lagSeconds !== null && lagSeconds >= BEHIND_SECONDS;
  if (stage === 'paused') return { stage, summary: `${HEADS.paused} ${minute}` };
  // Waiting for somebody's lock is worth naming before it shows as lag.
  if (!behind && stage !== 'lock') return { stage: null, summary: `Nothing is in the way. ${minute}` };
  return { stage, summary: `${HEADS[stage]} ${minute}` };
}

/** The same with its numbers, as the API gives it. */
export function workStatus(work: WorkReading, lagSeconds: number | null): Status['work'] {
  const { stage, summary } = findBottleneck(work, lagSeconds);
  const rounded = Object.entries(work.shares).map(([activity, share]) => [activity, thousandths(share)]);
  return {
    seconds: Math.round(work.seconds * 10) / 10,
    shares: Object.fromEntries(rounded) as Status['work']['shares'],
    queueFull: thousandths(work.queueFull),
    bottleneck: stage,
    summary,
  };
}

function thousandths(share: number): number {
  return Math.round(share * 1000) / 1000;
}

/** `In the last minute: 71 % writing rows on the target, 29 % waiting for the source.` */
function inWords(work: WorkReading): string {
  const parts = Object.entries(work.shares)
    .filter(([, share]) => share >= WORTH_SAYING)
    .sort(([, a], [, b]) => b - a)
    .map(([activity, share]) => `${percent(share)} ${WORDS[activity as Activity]}`);
  const span = work.seconds > 55 ? 'minute' : `${Math.round(work.seconds)} s`;
  const full = work.queueFull >= WORTH_SAYING ? ` The queue was full ${percent(work.queueFull)} of the time.` : '';
  return `In the last ${span}: ${parts.join(', ')}.${full}`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function largest({ shares }: WorkReading): Activity {
  let found: Activity = 'source';
  for (const [activity, share] of Object.entries(shares)) if (share > shares[found]) found = activity as Activity;
  return found;
}
