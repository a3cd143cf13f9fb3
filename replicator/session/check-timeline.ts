import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import type { Config } from '../config/schema.ts';
import { noteTimeline, type PipelineRow } from '../metadata/pipeline-row.ts';
import { connect, disconnect } from '../postgres/connect.ts';
import { formatLsn } from '../postgres/lsn.ts';
import { Problem } from '../problem.ts';
import { COPY_ALL_AGAIN } from '../source/slot-verdict.ts';
import { readSwitchPoint, readTimeline } from '../source/timeline.ts';
import { on } from './blame.ts';
import type { Ends } from './ends.ts';

/** How often it is noted how far a standby has come on which timeline. */
const NOTE_MS = 10_000;

/**
 * Throws FOREIGN_CHECKPOINT where the source is a promoted standby that left the checkpoint's timeline before the checkpoint, or a standby
 * of one. The position alone does not tell: once the new primary has written enough, its WAL ends behind the checkpoint too.
 */
export async function checkTimeline(
  { source, target, inRecovery }: { source: Client; target: Client; inRecovery: boolean },
  config: Config,
  { checkpoint, timeline: known }: PipelineRow,
): Promise<void> {
  const timeline = await on('source', readTimeline(source, inRecovery));
  // Of a primary all is ours; what was noted of its standby reaches less far.
  if (timeline === null || (!inRecovery && timeline.id === known?.id && known.until === null)) return;
  if (known !== null && checkpoint !== null && timeline.id !== known.id) {
    const shown = known.until !== null && known.until < checkpoint ? known.until : checkpoint;
    const end = await on('source', askSwitchPoint(config, known.id));
    // A standby that is behind comes to a later timeline in time.
    const isBehind = inRecovery && timeline.id < known.id;
    if (end !== null && end < shown && !isBehind) {
      throw new Problem(
        'FOREIGN_CHECKPOINT',
        `The target shows what was written up to ${formatLsn(shown)} on timeline ${known.id}, which the source left at ${formatLsn(end)}: ` +
          `it was restored to an earlier time, or failed over to a standby that lacked the last transactions. The target has them.`,
        { remedy: COPY_ALL_AGAIN },
      );
    }
  }
  await on('target', noteTimeline(target, config.name, timeline));
}

/** A standby that is followed may come to another timeline: what is noted of it keeps up. Ends at once where a primary is. */
export async function keepTimeline(
  { source, target, sourceIdentity: { inRecovery } }: Pick<Ends, 'source' | 'target' | 'sourceIdentity'>,
  pipeline: string,
  signal: AbortSignal,
): Promise<void> {
  if (!inRecovery) return;
  while (!signal.aborted) {
    await sleep(NOTE_MS, null, { signal }).catch(() => {});
    if (signal.aborted) return;
    const timeline = await on('source', readTimeline(source, inRecovery));
    if (timeline) await on('target', noteTimeline(target, pipeline, timeline));
  }
}

async function askSwitchPoint({ name, source }: Config, timeline: number) {
  const client = await connect({ role: 'source', url: source.url, purpose: `${name} timeline`, replication: true });
  try {
    return await readSwitchPoint(client, timeline);
  } finally {
    await disconnect(client);
  }
}
