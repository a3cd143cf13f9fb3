import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { Applier } from './apply/applier.ts';
import type { TableMapping } from './catalog/relation.ts';
import type { Config } from './config/schema.ts';
import { takesChanges, nextProgress } from './metadata/table-state.ts';
import { storeCaughtUp } from './metadata/table-states.ts';
import { markPipeline } from './metadata/pipeline-row.ts';
import { EventLog } from './observe/events.ts';
import { Metrics } from './observe/metrics.ts';
import { StatusModel } from './observe/model.ts';
import type { PipelineControls } from './observe/status.ts';
import { isEncrypted } from './postgres/connect.ts';
import type { Lsn } from './postgres/lsn.ts';
import type { StreamRelation } from './pgoutput/messages.ts';
import { Problem } from './problem.ts';
import { backoffMs } from './session/backoff.ts';
import { blame, on } from './session/blame.ts';
import { firstCopy } from './session/first-copy.ts';
import { follow } from './session/follow.ts';
import { binaryForStream, resolveFollowedTables, type FollowedTable } from './session/followed-tables.ts';
import { Gate } from './session/gate.ts';
import { watchSlot } from './session/monitor.ts';
import { checkSlot, openEnds, publishTables, type Ends } from './session/prepare.ts';
import { Reporter } from './session/reporter.ts';
import { together } from './session/together.ts';
import { WalStream } from './source/wal-stream.ts';

/** A problem that only somebody else can mend is looked at again this often. */
const RECHECK_FAILED_MS = 15_000;

/**
 * One source database followed by one target database. run() works until it is told to stop: each session goes from
 * connecting to the first error, and the next one starts from the checkpoint on the target.
 *
 *   openEnds -> resolveFollowedTables -> publishTables -> firstCopy (once) -> follow: receive, apply, acknowledge
 */
export class Pipeline {
  readonly model: StatusModel;
  readonly events: EventLog;
  readonly metrics: Metrics;
  readonly controls: PipelineControls;
  readonly #config: Config;
  readonly #reporter: Reporter;
  readonly #gate = new Gate();
  /** The target connection of the session under way, for what must be stored there. */
  #ends: Ends | null = null;

  constructor(config: Config, options: { log: Logger; version: string }) {
    this.#config = config;
    this.model = new StatusModel({
      name: config.name,
      version: options.version,
      now: Date.now,
      heartbeatIntervalMs: config.heartbeat.interval,
    });
    this.events = new EventLog({ now: Date.now });
    this.metrics = new Metrics({ model: this.model });
    this.#reporter = new Reporter({ model: this.model, events: this.events, log: options.log, gate: this.#gate });
    this.controls = { pause: (by) => this.#setPaused(true, by), resume: (by) => this.#setPaused(false, by) };
  }

  /** Runs until the signal aborts; resolves after a clean stop. Retries by itself for ever, whatever goes wrong. */
  async run(signal: AbortSignal): Promise<void> {
    for (let attempt = 0; !signal.aborted;) {
      const before = this.#reporter.furthest;
      const problem = await this.#session(signal);
      if (signal.aborted || !problem) break;
      // A session that got further was no failed attempt.
      attempt = this.#reporter.furthest > before ? 1 : attempt + 1;
      this.#reporter.sessionFailed(problem);
      const pause = problem.retry === 'permanent' ? RECHECK_FAILED_MS : backoffMs(attempt);
      await sleep(pause, null, { signal }).catch(() => {});
    }
    this.#reporter.stopped();
  }

  // One session. Returns the Problem that ended it, or null after a stop.
  async #session(signal: AbortSignal): Promise<Problem | null> {
    const abort = new AbortController();
    const over = AbortSignal.any([signal, abort.signal]);
    try {
      await using ends = await openEnds(this.#config, abort, over);
      // The first reason counts: closing the connections below is the effect, not the cause.
      await this.#work(ends, over).catch((error: unknown) => abort.abort(blame('target', error)));
      abort.abort(null);
    } catch (error) {
      abort.abort(blame('target', error));
    } finally {
      this.#ends = null;
      this.#reporter.disconnected();
    }
    const reason: unknown = abort.signal.reason;
    return reason instanceof Problem && !signal.aborted ? reason : null;
  }

  async #work(ends: Ends, signal: AbortSignal): Promise<void> {
    const { row } = ends;
    this.#ends = ends;
    await this.#reporter.connected(ends, this.#config.name);
    if (row.paused) this.#gate.close();
    else this.#gate.open();
    // Null until the first copy is finished.
    const checkpoint = row.snapshotFinished ? row.checkpoint : null;
    if (checkpoint !== null) await checkSlot(ends, this.#config, checkpoint);
    const tables = await this.#prepareTables(ends, checkpoint === null);
    const versions = { sourceVersion: ends.sourceIdentity.version, targetVersion: ends.targetVersion };
    const from = checkpoint ?? (await this.#copy(ends, tables, versions, signal));
    signal.throwIfAborted();
    await this.#follow(ends, tables, from, this.#config.apply.binary === 'auto' && binaryForStream(tables, versions), signal);
  }

  async #prepareTables(ends: Ends, copyAhead: boolean): Promise<FollowedTable[]> {
    const resolved = await resolveFollowedTables(ends, this.#config, { sourceVersion: ends.sourceIdentity.version, copyAhead });
    const identityChanges = await publishTables(ends, this.#config, resolved);
    this.#reporter.prepared(resolved, identityChanges);
    return resolved.tables;
  }

  async #copy(
    ends: Ends,
    tables: FollowedTable[],
    versions: { sourceVersion: number; targetVersion: number },
    signal: AbortSignal,
  ): Promise<Lsn> {
    this.#reporter.copying();
    const from = await firstCopy(
      {
        config: this.#config,
        source: ends.source,
        target: ends.target,
        row: ends.row,
        tables,
        versions,
        sourceDatabase: ends.sourceIdentity.database,
        observer: this.#reporter.copyObserver(),
      },
      signal,
    );
    this.#reporter.copied(tables);
    return from;
  }

  async #follow(ends: Ends, tables: FollowedTable[], from: Lsn, binary: boolean, signal: AbortSignal): Promise<void> {
    const config = this.#config;
    const applier = new Applier({
      client: ends.apply,
      pipeline: config.name,
      checkpoint: from,
      binary,
      onConflict: config.apply.onConflict,
      onMissing: config.apply.onMissing,
      mappingOf: mappingLookup(tables),
    });
    const stream = new WalStream({
      url: config.source.url,
      encrypted: isEncrypted(ends.source),
      slot: config.slot.name,
      publications: config.publication.names,
      from,
      binary,
      origin: config.origin,
      purpose: `${config.name} stream`,
    });
    const caughtUp = async (): Promise<void> => {
      for (const table of tables)
        if (takesChanges(table.progress.state)) table.progress = nextProgress(table.progress, { type: 'caught up' });
      await on('target', storeCaughtUp(ends.target, config.name));
      this.#reporter.caughtUp(tables);
    };
    const observer = await this.#reporter.following(ends, from, tables, caughtUp);
    await together(signal, (inner) => [
      follow(
        {
          stream,
          applier,
          target: ends.target,
          heartbeat: ends.sourceIdentity.inRecovery ? null : { client: ends.source, intervalMs: config.heartbeat.interval },
          from,
          maxBatchBytes: config.apply.maxBatchBytes,
          walSenderTimeoutMs: ends.sourceIdentity.walSenderTimeout,
          gate: this.#gate,
          observer,
          verifySlot: () => checkSlot(ends, config, from, { reading: true }),
        },
        inner,
      ),
      watchSlot({ source: ends.source, slot: config.slot.name, report: (slot) => this.#reporter.slot(slot) }, inner),
    ]);
  }

  // Stored first: a pause survives a restart, and one that could not be stored has not happened.
  async #setPaused(paused: boolean, by: string): Promise<void> {
    if (!this.#ends) {
      throw new Problem(
        'TARGET_UNREACHABLE',
        `The pipeline cannot be ${paused ? 'paused' : 'resumed'} now: the target is not connected.`,
        {
          retry: 'transient',
          remedy: 'Try again when both databases answer; nothing is applied until then.',
        },
      );
    }
    await on('target', markPipeline(this.#ends.target, this.#config.name, 'paused', paused));
    if (paused) this.#gate.close();
    else this.#gate.open();
    this.#reporter.paused(paused, by);
  }
}

// By OID, which a rename leaves as it is; a table that was made anew under the name is found by that.
function mappingLookup(tables: readonly FollowedTable[]): (relation: StreamRelation) => TableMapping | null {
  const byOid = new Map(tables.map((table) => [table.source.oid, table]));
  const byName = new Map(tables.map((table) => [table.name, table]));
  return (relation) => {
    const table = byOid.get(relation.oid) ?? byName.get(`${relation.schema}.${relation.name}`);
    return table && takesChanges(table.progress.state) ? table.mapping : null;
  };
}
