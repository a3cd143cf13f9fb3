import type { Client } from 'pg';
import { lockPipeline, createPipeline, checkSameSource, markPipeline, readPipeline, type PipelineRow } from '../metadata/pipeline-row.ts';
import { storeReplicaIdentity } from '../metadata/table-states.ts';
import type { Config } from '../config/schema.ts';
import { openTargetSession, useOrigin, type SessionLimit } from '../apply/target-session.ts';
import { connect, disconnect } from '../postgres/connect.ts';
import { migrateMetadata } from '../postgres/migrate.ts';
import { Problem } from '../problem.ts';
import { checkSource, identifySource, identifySystem, type SourceIdentity } from '../source/identity.ts';
import { ensurePublication, wantedTables } from '../source/publication.ts';
import type { IdentityChange } from '../source/replica-identity.ts';
import { readSlot, slotVerdict } from '../source/slot.ts';
import { abortAtEnd, on } from './blame.ts';
import { failTable, storeFollowedTables, type FollowedTable, type ResolvedPipelineTables } from './followed-tables.ts';

/** The longest that a lock of ours on a source table waits, and so the longest that others queue behind it. */
const SOURCE_LOCK_TIMEOUT_MS = 1000;

/** Both ends, connected and known. Disposing of it closes every connection. */
export interface Ends extends AsyncDisposable {
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
}

/** Connects to both ends, takes the pipeline's lock, and makes sure that they belong together (invariant 8). */
export async function openEnds(config: Config, session: AbortController): Promise<Ends> {
  const open: Client[] = [];
  const keep = (client: Client, role: 'source' | 'target'): Client => {
    open.push(client);
    abortAtEnd(client, role, session);
    return client;
  };
  try {
    const { client: apply, limits } = await on('target', openTargetSession({ url: config.target.url, pipeline: config.name }));
    keep(apply, 'target');
    const target = keep(await connect({ role: 'target', url: config.target.url, purpose: `${config.name} control` }), 'target');
    const source = keep(await connect({ role: 'source', url: config.source.url, purpose: `${config.name} control` }), 'source');
    const facts = await on('target', targetFacts(target));
    await on('target', migrateMetadata(target));
    await on('target', lockPipeline(apply, config.name));
    const origin = await on('target', useOrigin(apply, config.name));
    const sourceIdentity = await on('source', identifySource(source, () => identifyOverReplication(config)));
    const known = await on('target', readPipeline(target, config.name));
    const row = known ?? (await on('target', enroll(target, config, sourceIdentity)));
    checkSameSource(config.name, row, sourceIdentity, config.slot.name);
    const slotExists = (await on('source', readSlot(source, config.slot.name))) !== null;
    const [unsuitable] = checkSource(sourceIdentity, { slotExists, managedPublication: config.publication.managed });
    if (unsuitable) throw unsuitable;
    if (row.checkpoint !== null) await on('target', makeDurable(target, config.name));
    return {
      source,
      sourceIdentity,
      apply,
      target,
      targetVersion: facts.version,
      targetVersionText: facts.versionText,
      targetDatabase: facts.database,
      row,
      limits: [...limits, ...(origin ? [origin] : [])],
      [Symbol.asyncDispose]: () => closeAll(open),
    };
  } catch (error) {
    await closeAll(open);
    throw error;
  }
}

/** Throws what stands in the way of going on from the checkpoint with this slot. */
export async function checkSlot(ends: Ends, config: Config): Promise<void> {
  const slot = await on('source', readSlot(ends.source, config.slot.name));
  const verdict = slotVerdict(slot, { checkpoint: ends.row.checkpoint, database: ends.sourceIdentity.database }, config.slot.name);
  if (verdict !== 'ok') throw verdict;
}

/**
 * Brings the publication in step with the tables, and writes both down. A table that cannot be published without making
 * writes on the source fail goes to `error` and stays out.
 */
export async function publishTables(ends: Ends, config: Config, resolved: ResolvedPipelineTables): Promise<readonly IdentityChange[]> {
  const { tables } = resolved;
  await on('target', storeFollowedTables(ends.target, config.name, tables).then(() => {}));
  if (!config.publication.managed) return [];
  const wanted = tables.filter((table) => table.progress.state !== 'error');
  const outcome = await on(
    'source',
    ensurePublication(ends.source, {
      name: config.publication.names[0] ?? config.name,
      viaPartitionRoot: config.publication.viaPartitionRoot,
      tables: wantedTables(
        wanted.map((table) => table.mapping),
        resolved.relations,
      ),
      lockTimeoutMs: SOURCE_LOCK_TIMEOUT_MS,
      sourceVersion: ends.sourceIdentity.version,
      createdByUs: ends.row.publicationCreated,
    }),
  );
  if (outcome.created) await markPipeline(ends.target, config.name, 'publication_created', true);
  for (const change of outcome.identityChanges) {
    await storeReplicaIdentity(ends.target, config.name, change.relation, change.to.kind === 'index' ? `using index ${change.to.index}` : change.to.kind);
  }
  for (const problem of outcome.problems) refuse(tables, problem);
  await on('target', storeFollowedTables(ends.target, config.name, tables).then(() => {}));
  return outcome.identityChanges;
}

// A table whose rows are there already must not go on with a gap: then the pipeline waits instead.
function refuse(tables: readonly FollowedTable[], problem: Problem): void {
  const table = tables.find((each) => each.name === problem.table);
  if (!table) throw problem;
  if (table.progress.state !== 'pending' && table.progress.state !== 'error') throw problem;
  failTable(table, problem);
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
  await target.query(`SET LOCAL synchronous_commit = on; UPDATE pgfollow.pipeline SET paused = paused WHERE name = '${pipeline}'`);
}

async function targetFacts(target: Client): Promise<{ version: number; versionText: string; database: string }> {
  const { rows } = await target.query<{ version: number; text: string; database: string; readonly: boolean }>(
    `SELECT pg_catalog.current_setting('server_version_num')::int AS version, pg_catalog.current_setting('server_version') AS text,
            pg_catalog.current_database() AS database, pg_catalog.pg_is_in_recovery() AS readonly`,
  );
  const row = rows[0];
  if (!row || row.readonly) {
    throw new Problem('TARGET_UNSUITABLE', 'The target is a standby: nothing can be written there.', {
      retry: 'transient',
      remedy: 'Use the URL of the primary as target.url. After a failover it is tried again by itself.',
    });
  }
  return { version: row.version, versionText: row.text.split(' ', 1)[0] ?? row.text, database: row.database };
}

async function identifyOverReplication(config: Config): Promise<{ systemIdentifier: string; timeline: number }> {
  const client = await connect({ role: 'source', url: config.source.url, purpose: `${config.name} identify`, replication: true });
  try {
    return await identifySystem(client);
  } finally {
    await disconnect(client);
  }
}

async function closeAll(clients: readonly Client[]): Promise<void> {
  await Promise.all(clients.map((client) => disconnect(client)));
}

