import type { Client } from 'pg';
import { displayName } from '../catalog/relation.ts';
import {
  lockPipeline,
  createPipeline,
  checkSameSource,
  markPipeline,
  readPipeline,
  type PipelineRow,
} from '../metadata/pipeline-row.ts';
import { noteIdentities, type GivenIdentity } from '../metadata/replica-identities.ts';
import type { Config } from '../config/schema.ts';
import { openTargetSession, useOrigin, type SessionLimit } from '../apply/target-session.ts';
import { disconnect } from '../postgres/connect.ts';
import { hostUrls, pinnedUrl } from '../postgres/hosts.ts';
import { formatLsn, type Lsn } from '../postgres/lsn.ts';
import { noticeLostClient } from '../postgres/lost-client.ts';
import { quoteIdent, quoteLiteral } from '../postgres/quote.ts';
import { migrateMetadata } from '../postgres/migrate.ts';
import { Problem } from '../problem.ts';
import { checkSource, identifySource, type SourceIdentity } from '../source/identity.ts';
import { ensurePublication, wantedTables } from '../source/publication.ts';
import type { WantedTable } from '../source/publish-table.ts';
import { planReplicaIdentity, type IdentityChange } from '../source/replica-identity.ts';
import { readSlot } from '../source/slot.ts';
import { slotVerdict } from '../source/slot-verdict.ts';
import { blame, on } from './blame.ts';
import { identifyOverReplication, refuseSameDatabase, targetFacts } from './identify.ts';
import { walEnd } from '../source/wal-position.ts';
import { Lines } from './lines.ts';
import { openUnless } from './together.ts';
import { failTable, saveTable, storeFollowedTables, type FollowedTable, type ResolvedPipelineTables } from './followed-tables.ts';

const COPY_ALL_AGAIN = 'pgfollow teardown, then pgfollow run with snapshot.existingRows: truncate.';

/** The longest that a lock of ours on a source table waits, and so the longest that others queue behind it. */
const SOURCE_LOCK_TIMEOUT_MS = 250;

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
    // Local: a heartbeat is decoded once it is on the source's own disk; no standby of the source shall hold it up.
    const settings = { synchronous_commit: 'local' };
    const [{ apply, limits, target, targetUrl }, source] = await Promise.all([
      openTargetLines(given, lines, over),
      lines.open({ role: 'source', url: given.source.url, purpose: `${given.name} control`, settings }),
    ]);
    const config: Config = { ...given, target: { url: targetUrl }, source: { url: pinnedUrl(given.source.url, source) } };
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
    const stored = known ?? (await on('target', enroll(target, config, sourceIdentity)));
    checkSameSource(config.name, stored, sourceIdentity, config.slot.name);
    const row = fromTheStart(stored, sourceIdentity);
    const originNone = config.origin === 'none';
    const needs = { slotExists: slot !== null, managedPublication: config.publication.managed, originNone };
    const [unsuitable] = checkSource(sourceIdentity, needs);
    if (unsuitable) throw unsuitable;
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
  const openControl = (at: string): Promise<Client> => lines.open({ role: 'target', url: at, purpose: `${name} control` });
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

/**
 * Brings the publication in step with the tables, and writes both down. A table that cannot be published without making
 * writes on the source fail goes to `error` and stays out.
 */
export async function publishTables(
  ends: Ends,
  config: Config,
  resolved: ResolvedPipelineTables,
): Promise<readonly IdentityChange[]> {
  const { tables } = resolved;
  const { row, source, target } = ends;
  await on(
    'target',
    storeFollowedTables(target, config.name, tables).then(() => {}),
  );
  if (!config.publication.managed) {
    if (row.snapshotFinished) await notePosition(ends, tables, () => false);
    return [];
  }
  const name = config.publication.names[0] ?? config.name;
  if (row.snapshotFinished) await on('source', refuseLostPublication(source, name));
  const wanted = wantedTables(
    tables.filter((table) => table.hasRows || table.progress.state !== 'error').map((table) => table.mapping),
    resolved.relations,
  );
  await on('target', noteIdentities(target, config.name, wanted.flatMap(identitiesToGive)));
  const outcome = await on(
    'source',
    ensurePublication(source, {
      name,
      viaPartitionRoot: config.publication.viaPartitionRoot,
      tables: wanted,
      lockTimeoutMs: SOURCE_LOCK_TIMEOUT_MS,
      sourceVersion: ends.sourceIdentity.version,
      createdByUs: row.publicationCreated,
    }),
  );
  if (outcome.created) await on('target', markPipeline(target, config.name, 'publication_created', true));
  for (const problem of outcome.problems) refuse(tables, problem, row.snapshotFinished);
  for (const relation of outcome.added) failUnpublished(tables, displayName(relation));
  const added = new Set(outcome.added.map(displayName));
  if (row.snapshotFinished) await notePosition(ends, tables, (name) => added.has(name));
  for (const table of tables) await on('target', saveTable(target, config.name, table));
  return outcome.identityChanges;
}

// A publication means for the stream what it was at each position: from here on it sends all of these tables.
async function notePosition(ends: Ends, tables: readonly FollowedTable[], isNew: (name: string) => boolean): Promise<void> {
  const without = tables.filter((table) => !table.hasRows && !table.spooling);
  if (without.length === 0) return;
  const position = await on('source', walEnd(ends.source, ends.sourceIdentity.inRecovery));
  for (const table of without) {
    table.publishedAt = position;
    if (isNew(table.name)) table.publishedNow = true;
  }
}

function identitiesToGive({ relation, partitions, excludeColumns }: WantedTable): GivenIdentity[] {
  return planReplicaIdentity(relation, partitions, excludeColumns).map((change) => ({
    relation: change.relation,
    identity: change.to.kind === 'index' ? `USING INDEX ${quoteIdent(change.to.index)}` : change.to.kind.toUpperCase(),
    before: change.from === 'nothing' ? 'NOTHING' : 'DEFAULT',
  }));
}

// A table whose rows are there already must not go on with a gap: then the pipeline waits instead. It waits too for a
// lock that is in the way of the first copy, so that this is of all tables.
function refuse(tables: readonly FollowedTable[], problem: Problem, live: boolean): void {
  const table = tables.find((each) => each.name === problem.table);
  if (!table || table.hasRows || (problem.retry === 'transient' && !live)) throw problem;
  failTable(table, problem);
}

// Followed, but it was not in the publication: somebody took it out, and what was written meanwhile was not sent.
function failUnpublished(tables: readonly FollowedTable[], name: string): void {
  const table = tables.find((each) => each.name === name);
  if (!table?.hasRows) return;
  const message = `${name} was taken out of the publication while it was followed: what was written there meanwhile is missing on the target.`;
  Object.assign(table, { hasRows: false, spooling: false });
  failTable(
    table,
    new Problem('TABLE_NOT_PUBLISHABLE', message, { table: name, remedy: 'Nothing to do: it is copied again by itself.' }),
  );
}

async function refuseLostPublication(source: Client, name: string): Promise<void> {
  const { rows } = await source.query('SELECT FROM pg_catalog.pg_publication WHERE pubname = $1', [name]);
  if (rows.length > 0) return;
  throw new Problem(
    'PUBLICATION_MISSING',
    `The publication ${name} was dropped while it was followed: what was written meanwhile cannot be read.`,
    {
      remedy: COPY_ALL_AGAIN,
    },
  );
}

function sourceWentBack(pipeline: string, checkpoint: Lsn, walEnd: Lsn): Problem {
  return new Problem(
    'FOREIGN_CHECKPOINT',
    `The checkpoint of pipeline "${pipeline}" is ${formatLsn(checkpoint)}, but the WAL of the source ends at ${formatLsn(walEnd)}: ` +
      `the source was restored to an earlier time, or failed over to a standby that lacked its last transactions. The target has them.`,
    { remedy: COPY_ALL_AGAIN },
  );
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
    `SET LOCAL synchronous_commit = on; UPDATE pgfollow.pipeline SET paused = paused WHERE name = ${quoteLiteral(pipeline)}`,
  );
}
