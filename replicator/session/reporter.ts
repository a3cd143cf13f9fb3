import type { Logger } from 'pino';
import type { Finding } from '../finding.ts';
import type { EventLog } from '../observe/events.ts';
import type { StatusModel } from '../observe/model.ts';
import type { Role } from '../observe/readings.ts';
import { stageOf } from '../observe/stage.ts';
import { formatLsn, type Lsn } from '../postgres/lsn.ts';
import type { Problem } from '../problem.ts';
import { clockAheadMs } from '../source/clock.ts';
import { walEnd } from '../source/wal-position.ts';
import { Arrival } from './arrival.ts';
import { blame, on } from './blame.ts';
import type { FollowObserver } from './follow-observer.ts';
import type { FollowedTable } from './followed-table.ts';
import type { Gate } from './gate.ts';
import type { Ends } from './ends.ts';
import { StreamReporter } from './stream-reporter.ts';
import { TableReporter } from './table-reporter.ts';
import { Teller } from './teller.ts';
import type { TableObserver } from './tend-tables.ts';
import { ValidationReporter } from './validation-reporter.ts';

/** Turns what happens in a session into status, events and log lines; the stages know none of these. */
export class Reporter {
  readonly stream: StreamReporter;
  readonly tables: TableReporter;
  readonly validation: ValidationReporter;
  readonly #model: StatusModel;
  readonly #teller: Teller;
  readonly #log: Logger;
  readonly #gate: Gate;
  /** Databases that were connected, and are not since. */
  readonly #lost = new Set<Role>();
  #everConnected = false;
  readonly #arrival = new Arrival();
  /** What is to be done when this session has caught up. */
  #whenCaughtUp: () => Promise<void> = async () => {};
  /** The first copy has begun, its slot is being created. */
  #slotComes = false;
  /** Problems of the last session, until a batch shows that they are over. */
  #raised: Problem[] = [];

  constructor(options: { model: StatusModel; events: EventLog; log: Logger; gate: Gate }) {
    this.#model = options.model;
    this.#teller = new Teller(options);
    this.#log = options.log;
    this.#gate = options.gate;
    this.validation = new ValidationReporter({ ...options, teller: this.#teller });
    this.stream = new StreamReporter({ ...options, teller: this.#teller });
    this.tables = new TableReporter({
      ...options,
      teller: this.#teller,
      stands: (table) => this.#tableStands(table),
      replaced: (table) => this.validation.replaced(table),
    });
  }

  async connected(ends: Ends, pipeline: string): Promise<void> {
    const { sourceIdentity: source } = ends;
    for (const role of this.#lost) this.#model.reconnect(role);
    this.#lost.clear();
    this.#everConnected = true;
    this.#model.database('source', { connected: true, serverVersion: source.versionText, database: source.database });
    this.#model.database('target', { connected: true, serverVersion: ends.targetVersionText, database: ends.targetDatabase });
    await this.#teller.connected(ends.target, pipeline);
    for (const limit of ends.limits) this.#teller.tell({ level: 'warn', ...limit });
    this.#log.info({ source: source.versionText, target: ends.targetVersionText, database: source.database }, 'connected');
  }

  disconnected(): void {
    this.#arrival.ended();
    // Its reader was our stream.
    const slot = this.#model.stream.slotReading;
    if (slot) this.#model.stream.slot({ ...slot, active: false });
    this.stream.locked(null);
    this.stream.standbyAwaited(false);
    this.#teller.disconnected();
    this.validation.disconnected();
  }

  sessionFailed(problem: Problem): void {
    this.#model.error(stageOf(problem.code), problem.retry);
    if (problem.table !== null) this.tables.errors.forget(problem.table);
    for (const role of ['source', 'target'] as const) {
      if (problem.code !== (role === 'source' ? 'SOURCE_UNREACHABLE' : 'TARGET_UNREACHABLE')) continue;
      this.#model.database(role, { connected: false });
      if (this.#everConnected) this.#lost.add(role);
    }
    for (const old of this.#raised)
      if (old.code !== problem.code || old.table !== problem.table) this.#model.clearProblem(old.code, old.table);
    this.#raised = [problem];
    this.#model.problem(problem);
    this.#model.setState(problem.retry === 'permanent' ? 'failed' : 'retrying', problem.message);
    const { code, message, remedy, table } = problem;
    this.#teller.tell({ level: 'error', code, message, remedy, ...(table === null ? {} : { table }) });
    if (code === 'INTERNAL') this.#log.error({ err: problem.cause ?? problem }, 'where the fault is');
  }

  stopped(): void {
    this.#model.database('source', { connected: false });
    this.#model.database('target', { connected: false });
    this.#log.info('stopped');
  }

  /** What a look at both databases found: shown, and written to the log once. */
  examined(findings: readonly Finding[]): void {
    for (const { message, code, where, table, remedy } of this.#model.findings.replace(findings))
      this.#log.warn({ code, where, table, remedy }, message);
  }

  /** The slot is about to be created. */
  takingPlace(): void {
    this.#slotComes = true;
    this.#model.setState('copying');
    this.#teller.tell({
      level: 'info',
      code: 'COPY_STARTED',
      message:
        'The first copy begins: the slot is created, then every table is copied as of its position while the stream goes on.',
    });
  }

  /** What the creation of the slot waits for; null for nothing. */
  slotWaiting(problem: Problem | null): void {
    if (!problem) {
      // What is copied is as of now.
      if (this.#slotComes) this.#model.stream.targetShows(Date.now());
      this.#slotComes = false;
      return this.#model.clearProblem('SLOT_WAITING');
    }
    this.#model.problem(problem);
    this.#teller.tell({ level: 'warn', code: problem.code, message: problem.message, remedy: problem.remedy });
  }

  #firstCopied(tables: readonly FollowedTable[]): void {
    this.#arrival.firstCopied();
    this.#showState();
    const done = tables.filter((table) => table.hasRows).length;
    this.#teller.tell({
      level: 'info',
      code: 'COPY_FINISHED',
      message: `The first copy is finished: ${done} of ${tables.length} tables.`,
    });
    this.#lookWhetherCaughtUp();
  }

  /** What the tables on their own report to. */
  tableObserver(): TableObserver {
    const { tables } = this;
    return {
      changed: (resolved, publishing) => tables.prepared(resolved, publishing),
      stands: (table) => tables.stands(table),
      joined: (table) => tables.joined(table, { caughtUp: this.#arrival.caughtUp }),
      unbuilt: (table, refusals) => tables.refused(table, 'PART_NOT_CREATED', refusals),
      unlinked: (table, refusals) => tables.refused(table, 'FOREIGN_KEY_NOT_CREATED', refusals),
      lacksKeys: (table, refusals) => tables.refusedKeys.show(table, refusals),
      mended: (table, parts) => tables.mended(table, parts),
      drained: (table, applied, durationMs) => tables.drained(table, applied, durationMs),
      spooled: (table) => this.#model.followed.spooled(table.name, table.spooledBytes),
      firstCopied: (all) => this.#firstCopied(all),
    };
  }

  /**
   * What the stream reports to. `caughtUp` runs once the target has reached where the source was at this call, with every
   * table that is there now. `copying`: the first copy is under way.
   */
  async following(
    ends: Ends,
    from: Lsn,
    { tables, copying }: { tables: readonly FollowedTable[]; copying: boolean },
    caughtUp: () => Promise<void>,
  ): Promise<Omit<FollowObserver, 'applying'>> {
    const model = this.#model;
    const goal = await on('source', walEnd(ends.source, ends.sourceIdentity.inRecovery));
    // Commit times are the source's clock.
    const clockAhead = await on('source', clockAheadMs(ends.source));
    model.stream.sessionBegins();
    if (ends.row.sourceCommittedAtMs !== null) model.stream.targetShows(ends.row.sourceCommittedAtMs - clockAhead);
    model.stream.sourceWalEnd(goal);
    const behind = tables.filter((table) => table.progress.state !== 'error' && (table.spooling || (copying && !table.hasRows)));
    this.#arrival.expect({ goal, behind: behind.map((table) => table.name), copying });
    this.#whenCaughtUp = caughtUp;
    return this.stream.observer(clockAhead, {
      started: () => {
        this.#arrival.started();
        this.#showState();
        // The databases answer again. Whether a change that was refused is taken now, only its batch will show.
        if (!this.#raised.some((problem) => stageOf(problem.code) === 'apply')) this.#clearRaised();
        this.#log.info({ from: formatLsn(from), tables: tables.length }, 'streaming from the checkpoint');
      },
      applied: (lsn) => {
        this.#arrival.applied(lsn);
        this.#lookWhetherCaughtUp();
      },
      committed: () => this.#clearRaised(),
      conflicts: (applied) => this.tables.conflicts(applied),
    });
  }

  /** Everything that was there when the session began has arrived. */
  caughtUp(tables: readonly FollowedTable[]): void {
    for (const table of tables) if (table.progress.state === 'streaming') this.#model.followed.state(table.name, 'streaming');
    this.#showState();
    this.#teller.tell({ level: 'info', code: 'CAUGHT_UP', message: 'The target has caught up with the source and follows it.' });
  }

  paused(paused: boolean, by: string): void {
    this.#showState();
    this.#teller.tell({
      level: 'info',
      code: paused ? 'PAUSED' : 'RESUMED',
      message: `${paused ? 'Paused' : 'Resumed'} by ${by}.`,
    });
  }

  #tableStands({ name, progress }: FollowedTable): void {
    if (progress.state === 'streaming' || progress.state === 'error') this.#arrival.came(name);
    this.#lookWhetherCaughtUp();
  }

  #lookWhetherCaughtUp(): void {
    if (!this.#arrival.look()) return;
    this.#showState();
    void this.#whenCaughtUp().catch((error: unknown) => {
      const { code, message, remedy } = blame('target', error);
      this.#log.warn({ code, remedy }, `That the tables have caught up was not stored: ${message}`);
    });
  }

  #showState(): void {
    const { stage } = this.#arrival;
    if (stage) this.#model.setState(this.#gate.isOpen ? stage : 'paused');
  }

  #clearRaised(): void {
    for (const { code, table } of this.#raised)
      if (table === null || !this.tables.errors.is(table, code)) this.#model.clearProblem(code, table);
    this.#raised = [];
  }
}
