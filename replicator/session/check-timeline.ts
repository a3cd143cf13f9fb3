import type { Client } from 'pg';
import type { Config } from '../config/schema.ts';
import { noteTimeline, type PipelineRow } from '../metadata/pipeline-row.ts';
import { connect, disconnect } from '../postgres/connect.ts';
import { formatLsn } from '../postgres/lsn.ts';
import { Problem } from '../problem.ts';
import { COPY_ALL_AGAIN } from '../source/slot-verdict.ts';
import { readSwitchPoint, readTimeline } from '../source/timeline.ts';
import { on } from './blame.ts';

/**
 * Throws FOREIGN_CHECKPOINT where the source is a promoted standby that left the checkpoint's timeline before the checkpoint.
 * The position alone does not tell: once the new primary has written enough, its WAL ends behind the checkpoint too.
 */
export async function checkTimeline(
  { source, target, inRecovery }: { source: Client; target: Client; inRecovery: boolean },
  config: Config,
  { checkpoint, timeline: known }: PipelineRow,
): Promise<void> {
  const timeline = await on('source', readTimeline(source, inRecovery));
  if (timeline === null || timeline === known) return;
  if (known !== null && checkpoint !== null) {
    const end = await on('source', askSwitchPoint(config, known));
    if (end !== null && end < checkpoint) {
      throw new Problem(
        'FOREIGN_CHECKPOINT',
        `The checkpoint of pipeline "${config.name}" is ${formatLsn(checkpoint)} on timeline ${known}, which the source left at ${formatLsn(end)}: ` +
          `it was restored to an earlier time, or failed over to a standby that lacked the last transactions. The target has them.`,
        { remedy: COPY_ALL_AGAIN },
      );
    }
  }
  await on('target', noteTimeline(target, config.name, timeline));
}

async function askSwitchPoint({ name, source }: Config, timeline: number) {
  const client = await connect({ role: 'source', url: source.url, purpose: `${name} timeline`, replication: true });
  try {
    return await readSwitchPoint(client, timeline);
  } finally {
    await disconnect(client);
  }
}
