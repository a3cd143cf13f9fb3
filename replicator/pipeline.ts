import type { Client } from 'pg';
import type { Logger } from 'pino';
import type { Config } from './config/schema.ts';
import { Checkup } from './doctor/checkup.ts';
import { planResync, planTable } from './doctor/plan-table.ts';
import { EventLog } from './observe/events.ts';
import { Metrics } from './observe/metrics.ts';
import { StatusModel } from './observe/model.ts';
import type { PipelineControls } from './observe/status.ts';
import type { StreamRelation } from './pgoutput/messages.ts';
import { Problem } from './problem.ts';
import { Attempts } from './session/attempts.ts';
import { blame, on } from './session/blame.ts';
import { Boundary } from './session/boundary.ts';
import { letStream } from './session/caught-up.ts';
import { controls } from './session/controls.ts';
import { takePlace, type FirstPlace } from './session/first-copy.ts';
import { openEarly } from './session/open-early.ts';
import { follow } from './session/follow.ts';
import type { FollowObserver } from './session/follow-observer.ts';
import type { FollowedTable } from './session/followed-table.ts';
import { binaryForStream, resolveFollowedTables } from './session/followed-tables.ts';
import { Gate } from './session/gate.ts';
import { watchSlot } from './session/monitor.ts';
import { checkSlot, refuseForeignSlot } from './session/check-slot.ts';
import { keepFailover } from './session/keep-failover.ts';
import { keepTimeline } from './session/check-timeline.ts';
import { openEnds, type Ends } from './session/ends.ts';
import { publishTables } from './session/publish-tables.ts';
import { Reporter } from './session/reporter.ts';
import { RetryClock } from './session/retry-clock.ts';
import { backendPid } from './session/target-waits.ts';
import { TargetStandbys } from './session/target-standbys.ts';
import { applierOn, sequencesOf, streamFrom, versionsOf } from './session/stages.ts';
import type { FollowingSession } from './session/table-controls.ts';
import { TableSet } from './session/table-set.ts';
import { Tide } from './session/tide.ts';
import { firstCopyIsOpen, TableTender } from './session/tend-tables.ts';
import { together } from './session/together.ts';
import { Validator } from './session/validator.ts';
import { catalogFingerprint } from './source/fingerprint.ts';
import { knownFromHere, type KnownFrom } from './spool/old-commits.ts';
import { RecentXids } from './spool/pg-snapshot.ts';

/**
 * One source database followed by one target database. run() works until it is told to stop: each session goes from
 * connecting to the first error, and the next one starts from the checkpoint on the target.
 *
 *   openEnds -> resolveFollowedTables -> publishTables -> takePlace (once) -> follow: receive, apply, acknowledge, and beside
 *   it each table on its own: copy, drain its spool
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
  /** What commands on tables work on, while the stream is followed. */
  #following: FollowingSession | null = null;
  /** Free to be asked for the slot: the copies or the stream are under way. */
  #watched: Client | null = null;
  #fingerprint = '';
  readonly #attempts = new Attempts();
  readonly #checkup: Checkup;
  readonly #validator: Validator;
  readonly #clock = new RetryClock(Date.now);
  /** What the stream has brought, over all sessions of this process. */
  readonly #recent = new RecentXids();
  /** Transactions below this ID may have come before; null before the first session. */
  #knownFrom: KnownFrom | null = null;

  constructor(config: Config, options: { log: Logger; version: string }) {
    this.#config = config;
    this.model = new StatusModel({
      name: config.name,
      version: options.version,
      now: Date.now,
      heartbeatIntervalMs: config.heartbeat.interval,
      retriesOf: (table) => ({
        nextMs: (table === null ? null : this.#clock.dueMs(table)) ?? this.#attempts.nextMs,
        failures: (table === null ? 0 : this.#clock.failures(table)) || (this.#following ? 0 : this.#attempts.failures),
      }),
    });
    this.events = new EventLog({ now: Date.now });
    this.metrics = new Metrics({ model: this.model, tableLimit: config.http.metricsTables });
    this.#reporter = new Reporter({ model: this.model, events: this.events, log: options.log, gate: this.#gate });
    this.#validator = new Validator({ observer: this.#reporter.validation });
    this.#checkup = new Checkup(config, (findings) => this.#reporter.examined(findings));
    this.controls = controls({
      config,
      gate: this.#gate,
      reporter: this.#reporter,
      validator: this.#validator,
      plans: {
        planTable: (table) => planTable(config, table),
        planResync: (table) => planResync(config, table),
      },
      ends: () => this.#ends,
      following: () => this.#following,
    });
  }

  /** Runs until the signal aborts; resolves after a clean stop. Retries by itself for ever, whatever goes wrong. */
  async run(signal: AbortSignal): Promise<void> {
    const { name, source, slot } = this.#config;
    const watching = watchSlot(
      {
        url: source.url,
        pipeline: name,
        slot: slot.name,
        source: () => this.#watched,
        report: (reading) => this.#reporter.stream.slot(reading),
      },
      signal,
    );
    await this.#sessions(signal);
    await watching;
    this.#reporter.stopped();
  }

  async #sessions(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const before = this.#reporter.stream.furthest;
      const problem = await this.#session(signal);
      if (signal.aborted || !problem) break;
      this.#attempts.failed(problem, this.#reporter.stream.furthest > before);
      this.#reporter.sessionFailed(problem);
      await this.#attempts.pause(problem, signal);
    }
  }

  // One session. Returns the Problem that ended it, or null after a stop.
  async #session(signal: AbortSignal): Promise<Problem | null> {
    const abort = new AbortController();
    const over = AbortSignal.any([signal, abort.signal]);
    try {
      await using ends = await openEnds(this.#config, abort, over);
      // The first reason counts: closing the connections below is the effect, not the cause.
      const failed = (error: unknown): void => abort.abort(blame('target', error));
      await this.#work(ends, over, failed).catch(failed);
      abort.abort(null);
    } catch (error) {
      abort.abort(blame('target', error));
    } finally {
      this.#ends = null;
      this.#watched = null;
      this.#following = null;
      this.#reporter.disconnected();
    }
    const reason: unknown = abort.signal.reason;
    return reason instanceof Problem && !signal.aborted ? reason : null;
  }

  // `failed` is for what ends the session while others may wait for a server that does not answer.
  async #work(ends: Ends, signal: AbortSignal, failed: (error: unknown) => void): Promise<void> {
    const { row } = ends;
    this.#ends = ends;
    if (row.paused) this.#gate.close();
    else this.#gate.open();
    const checkpoint = row.snapshotFinished ? row.checkpoint : null;
    await Promise.all([
      this.#reporter.connected(ends, this.#config.name),
      checkpoint === null ? refuseForeignSlot(ends, ends.config.slot.name) : checkSlot(ends, ends.config, checkpoint),
    ]);
    if (checkpoint !== null) await keepFailover(ends, ends.config);
    const tables = await this.#prepareTables(ends, checkpoint === null, signal);
    this.#watched = ends.source;
    const versions = versionsOf(ends);
    const place = checkpoint === null ? await this.#takePlace(ends, tables, signal) : { from: checkpoint, point: null };
    await using _held = place.point;
    signal.throwIfAborted();
    await this.#follow(
      ends,
      tables,
      place,
      { binary: ends.config.apply.binary === 'auto' && binaryForStream(tables, versions), failed },
      signal,
    );
  }

  async #prepareTables(ends: Ends, copyAhead: boolean, signal: AbortSignal): Promise<FollowedTable[]> {
    this.#fingerprint = await on('source', catalogFingerprint(ends.source, ends.sourceIdentity.version));
    const resolved = await resolveFollowedTables(ends, ends.config, {
      sourceVersion: ends.sourceIdentity.version,
      copyAhead,
      clock: this.#clock,
      signal,
    });
    const publishing = await publishTables(ends, ends.config, resolved);
    this.#reporter.tables.prepared(resolved, publishing);
    const comparedAtMs = await on('target', this.#reporter.validation.connected(ends.target, ends.config.name));
    if (comparedAtMs !== null) this.#validator.comparedBefore(comparedAtMs);
    return resolved.tables;
  }

  async #takePlace(ends: Ends, tables: FollowedTable[], signal: AbortSignal): Promise<FirstPlace> {
    this.#reporter.takingPlace();
    const place = await takePlace(
      {
        config: ends.config,
        source: ends.source,
        target: ends.target,
        row: ends.row,
        tables,
        versions: { sourceVersion: ends.sourceIdentity.version },
        sourceDatabase: ends.sourceIdentity.database,
        observer: { waiting: (problem) => this.#reporter.slotWaiting(problem) },
      },
      signal,
    );
    for (const table of tables) this.#reporter.tables.stands(table);
    return place;
  }

  async #follow(
    ends: Ends,
    followed: FollowedTable[],
    { from, point }: FirstPlace,
    { binary, failed }: { binary: boolean; failed: (error: unknown) => void },
    signal: AbortSignal,
  ): Promise<void> {
    const { config } = ends;
    const versions = versionsOf(ends);
    const knownFrom = (this.#knownFrom ??= await on('source', knownFromHere(ends.source)));
    const tables = new TableSet(followed);
    const applying = {
      checkpoint: from,
      binary,
      routeOf: (relation: StreamRelation) => {
        tender.meet(relation);
        return tables.route(relation);
      },
    };
    const applier = applierOn(ends.apply, ends, { ...applying, quarantine: (problem) => tender.quarantine(problem) });
    const sequences = sequencesOf(ends, { tables, observer: { brought: (result) => this.#reporter.tables.sequences(result) } });
    const tide = new Tide({ from, recent: this.#recent, source: ends.sourceIdentity.inRecovery ? null : ends.source });
    const told = this.#reporter.tableObserver();
    const over = new AbortController();
    const boundary = new Boundary(over.signal);
    const tender = new TableTender({
      ends,
      config,
      tables,
      applier,
      boundary,
      binary,
      first: point,
      fingerprint: this.#fingerprint,
      clock: this.#clock,
      recent: this.#recent,
      knownFrom,
      versions,
      observer: this.#reporter.tables.copyObserver(),
      told: {
        ...told,
        changed: (resolved, publishing) => {
          sequences.tablesChanged();
          told.changed(resolved, publishing);
        },
        joined: (table) => {
          sequences.tablesChanged();
          told.joined(table);
        },
      },
    });
    const stream = streamFrom(ends, { from, binary, streaming: !this.#attempts.unstreamed });
    const caughtUp = async (): Promise<void> => this.#reporter.caughtUp(await letStream(ends.target, config.name, tables));
    const copying = firstCopyIsOpen({ first: point, ends, config });
    const [observer, applyPid] = await Promise.all([
      this.#reporter.following(ends, from, { tables: followed, copying }, caughtUp),
      on('target', backendPid(ends.apply)),
      tender.loadSpoolSizes(),
    ]);
    const heard: FollowObserver = {
      ...observer,
      applying: (xids) => this.#recent.add(xids),
      applied: (lsn) => {
        observer.applied(lsn);
        tide.applied(lsn);
      },
      batch: (batch, applied, durationMs) => {
        tender.batch(applied);
        tide.batch(applied);
        sequences.batch(applied);
        observer.batch(batch, applied, durationMs);
      },
    };
    this.#following = { ends, config, tables, tender, boundary, applier, sequences, clock: this.#clock };
    await together(
      signal,
      (inner) => {
        inner.addEventListener('abort', () => over.abort(inner.reason), { once: true });
        return [
          follow(
            {
              stream,
              applier,
              target: ends.target,
              applyPid,
              heartbeat: {
                client: ends.source,
                intervalMs: config.heartbeat.interval,
                standby: ends.sourceIdentity.inRecovery,
              },
              from,
              standbys: new TargetStandbys(ends, (isAwaited) => observer.standbyAwaited(isAwaited)),
              maxBatchBytes: config.apply.maxBatchBytes,
              openEarly: () =>
                openEarly(ends, (client) => applierOn(client, ends, { ...applying, quarantine: async () => false }), signal),
              spill: { directory: config.apply.spillDirectory, maxBytes: config.apply.maxSpillBytes },
              walSenderTimeoutMs: ends.sourceIdentity.walSenderTimeout,
              look: { url: config.source.url, purpose: `${config.name} slot` },
              gate: this.#gate,
              failed,
              observer: heard,
              boundary,
              verifySlot: () => checkSlot(ends, config, from, { reading: true }),
            },
            inner,
          ),
          ...tender.loops(inner),
          sequences.keep(inner),
          keepTimeline(ends, config.name, inner),
          this.#checkup.loop(inner, { tables: followed.length }),
          this.#validator.loop({ ends, config, tables, tide, knownFrom }, inner),
        ];
      },
      failed,
    );
  }
}
