import type { Client } from 'pg';
import { openTargetSession, useOrigin, type SessionLimit } from '../apply/target-session.ts';
import type { Config } from '../config/schema.ts';
import { checkSameSource, createPipeline, lockPipeline, readPipeline, type PipelineRow } from '../metadata/pipeline-row.ts';
import { disconnect } from '../postgres/connect.ts';
import { hostUrls, pinnedUrl } from '../postgres/hosts.ts';
import { noticeLostClient } from '../postgres/lost-client.ts';
import { migrateMetadata } from '../postgres/migrate.ts';
import { quoteLiteral } from '../postgres/quote.ts';
import { Problem } from '../problem.ts';
import { checkSource, identifySource, type SourceIdentity } from '../source/identity.ts';
import { readSlot } from '../source/slot.ts';
import { blame, on } from './blame.ts';
import { checkTimeline } from './check-timeline.ts';
import { refuseExchangedEnds } from './exchanged-ends.ts';
import { identifyOverReplication, refuseSameDatabase, targetFacts } from './identify.ts';
import { Lines } from './lines.ts';
import { openUnless } from './together.ts';

/**
 * No standby shall hold us up: a heartbeat is decoded once it is on the source's own disk, and what is noted on the target is no further
 * than its rows; see TargetStandbys.
 */
const OWN_DISK = { synchronous_commit: 'local' };

/** Both ends, connected and known. Disposing of it closes every connection. */
export interface Ends extends AsyncDisposable {
  /** With the hosts that were found, where the URIs name several: a session stays with them. */
  readonly config: Config;
  readonly source: Client;
  readonly sourceIdentity: SourceIdentity;
  /** Applies rows and holds the pipeline's lock. */
  readonly apply: Client;
  /** For everything else on the target, so that it never waits for a batch. */
  readonly target: Client;
  readonly targetVersion: number;
  readonly targetVersionText: string;
  readonly targetDatabase: string;
  readonly row: PipelineRow;
  readonly limits: readonly SessionLimit[];
  /** A further connection to the target belongs to these: it ends with them, and they with it. */
  readonly adopt: (client: Client) => void;
}

/**
 * Connects to both ends, takes the pipeline's lock, and makes sure that they belong together (invariant 8). `session`
 * is aborted when one of the connections ends; once `over` has aborted, whatever still waits on them is cut short.
 */
export async function openEnds(given: Config, session: AbortController, over: AbortSignal): Promise<Ends> {
  const lines = new Lines(session, over);
  try {
    const [{ apply, limits, target, targetUrl }, source] = await Promise.all([
      openTargetLines(given, lines, over),
      lines.open({ role: 'source', url: given.source.url, purpose: `${given.name} control`, settings: OWN_DISK }),
    ]);
    const config: Config = { ...given, target: { url: targetUrl }, source: { url: pinnedUrl(given.source.url, source) } };
    lines.watch({ urls: { source: config.source.url, target: config.target.url }, purpose: `${config.name} look` });
    const [facts, sourceIdentity] = await Promise.all([
      on('target', targetFacts(target)),
      on(
        'source',
        identifySource(source, () => identifyOverReplication(config)),
      ),
      refuseSameDatabase(source, target),
    ]);
    const [origin, slot] = await Promise.all([
      on('target', takePipeline(apply, config)),
      on('source', readSlot(source, config.slot.name)),
      on('target', migrateMetadata(target)),
    ]);
    // Not before the lock is ours: until then somebody else may move the checkpoint.
    const known = await on('target', readPipeline(target, config.name));
    if (!known) await refuseExchangedEnds({ source, target }, config);
    const stored = known ?? (await on('target', enroll(target, config, sourceIdentity)));
    checkSameSource(config.name, stored, sourceIdentity, config.slot.name);
    const row = fromTheStart(stored, sourceIdentity);
    const originNone = config.origin === 'none';
    const needs = { slotExists: slot !== null, managedPublication: config.publication.managed, originNone };
    const [unsuitable] = checkSource(sourceIdentity, needs);
    if (unsuitable) throw unsuitable;
    await checkTimeline({ source, target, inRecovery: sourceIdentity.inRecovery }, config, row);
    if (row.checkpoint !== null) await on('target', makeDurable(target, config.name));
    lines.opened({ apply, target });
    return {
      config,
      source,
      sourceIdentity,
      apply,
      target,
      targetVersion: facts.version,
      targetVersionText: facts.versionText,
      targetDatabase: facts.database,
      row,
      limits: [...limits, ...(origin ? [origin] : [])],
      adopt: (client) => lines.add(client, 'target'),
      [Symbol.asyncDispose]: () => lines.close(),
    };
  } catch (error) {
    // Before the connections end, which would count as the reason otherwise.
    session.abort(blame('target', error));
    await lines.close();
    throw error;
  }
}

// Both connections to the same server, where the URL names several.
async function openTargetLines({ name, target: { url } }: Config, lines: Lines, over: AbortSignal) {
  const openControl = (at: string): Promise<Client> =>
    lines.open({ role: 'target', url: at, purpose: `${name} control`, settings: OWN_DISK });
  const openApply = async () => {
    const opening = openTargetSession({ url, pipeline: name });
    const { client: apply, limits } = await on(
      'target',
      openUnless(over, opening, ({ client }) => void disconnect(client)),
    );
    lines.add(apply, 'target');
    return { apply, limits };
  };
  if (hostUrls(url).length === 1) {
    const [opened, target] = await Promise.all([openApply(), openControl(url)]);
    return { ...opened, target, targetUrl: url };
  }
  const opened = await openApply();
  const targetUrl = pinnedUrl(url, opened.apply);
  return { ...opened, target: await openControl(targetUrl), targetUrl };
}

// The lock first: only one session at a time may use an origin.
async function takePipeline(apply: Client, { name, origin }: Config): Promise<SessionLimit | null> {
  await noticeLostClient(apply);
  await lockPipeline(apply, name);
  const limit = await useOrigin(apply, name);
  if (limit && origin === 'none') throw cannotMark(limit);
  return limit;
}

// Two pipelines with origin: none follow each other. Rows without an origin would be sent back, over newer ones.
function cannotMark({ message, remedy }: SessionLimit): Problem {
  return new Problem('TARGET_UNSUITABLE', `With origin: none the target role has to use a replication origin. ${message}`, {
    retry: 'transient',
    remedy: `${remedy} Where nobody follows the target: origin: any.`,
  });
}

// On a standby tables can be copied as of a slot's snapshot only, and that is gone: what an interrupted first copy has
// brought is copied again, from a new slot on.
function fromTheStart(row: PipelineRow, { inRecovery }: SourceIdentity): PipelineRow {
  return inRecovery && !row.firstCopyDone ? { ...row, snapshotFinished: false, checkpoint: null } : row;
}

async function enroll(target: Client, config: Config, source: SourceIdentity): Promise<PipelineRow> {
  await createPipeline(target, config.name, source, config.slot.name);
  const row = await readPipeline(target, config.name);
  if (!row) throw new Problem('INTERNAL', 'The pipeline that was just stored is not there.', { remedy: 'Please report this.' });
  return row;
}

// The checkpoint that was read may have been committed a moment ago without waiting for the disk. It is going to be
// acknowledged, so it must survive a crash of the target: one synchronous commit flushes all before it.
async function makeDurable(target: Client, pipeline: string): Promise<void> {
  await target.query(
    `SET LOCAL synchronous_commit = local; UPDATE pgfollow.pipeline SET paused = paused WHERE name = ${quoteLiteral(pipeline)}`,
  );
}
