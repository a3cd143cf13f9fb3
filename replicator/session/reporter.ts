import type { Logger } from 'pino';
import type { Applied, RowCounts } from '../apply/run.ts';
import type { Finding } from '../finding.ts';
import type { EventLog } from '../observe/events.ts';
import type { StatusModel } from '../observe/model.ts';
import type { Role } from '../observe/readings.ts';
import { stageOf } from '../observe/stage.ts';
import { formatLsn, maxLsn, ZERO_LSN, type Lsn } from '../postgres/lsn.ts';
import type { Problem } from '../problem.ts';
import type { SlotState } from '../source/slot.ts';
import { clockAheadMs } from '../source/clock.ts';
import { walEnd } from '../source/wal-position.ts';
import { blame, on } from './blame.ts';
import type { FollowObserver } from './follow-observer.ts';
import type { FollowedTable } from './followed-tables.ts';
import type { Gate } from './gate.ts';
import { LOCK_TOLD_MS, lockedProblem, type LockHolder } from './target-waits.ts';
import type { Ends } from './ends.ts';
import { TableReporter } from './table-reporter.ts';
import { Teller } from './teller.ts';
import type { TableObserver } from './tend-tables.ts';
import { ValidationReporter } from './validation-reporter.ts';

/** Turns what happens in a session into status, events and log lines; the stages know none of these. */
export class Reporter {
  readonly tables: TableReporter;
  readonly validation: ValidationReporter;
  readonly #model: StatusModel;
  readonly #teller: Teller;
  readonly #log: Logger;
  readonly #gate: Gate;
  /** Databases that were connected, and are not since. */
  readonly #lost = new Set<Role>();
  #everConnected = false;
  /** The furthest that any session has got. */
  furthest: Lsn = ZERO_LSN;
  #following = false;
  /** The first copy is under way. */
  #copying = false;
  /** Tables whose changes were kept when the session began, or that were still to be copied. */
  #behind = new Set<string>();
  /** Where the source was then, and what is to be done when the target has got there with all of those tables. */
  #goal: { readonly lsn: Lsn; reached: boolean; readonly caughtUp: () => Promise<void> } | null = null;
  #caughtUp = false;
  /** The first copy has begun, its slot is being created. */
  #slotComes = false;
  #lockTold = false;
  /** Problems of the last session, until a batch shows that they are over. */
  #raised: Problem[] = [];

  constructor(options: { model: StatusModel; events: EventLog; log: Logger; gate: Gate }) {
    this.#model = options.model;
    this.#teller = new Teller(options);
    this.#log = options.log;
    this.#gate = options.gate;
    this.validation = new ValidationReporter({ ...options, teller: this.#teller });
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
    this.#following = false;
    // Its reader was our stream.
    const slot = this.#model.slotReading;
    if (slot) this.#model.slot({ ...slot, active: false });
    this.#caughtUp = false;
    this.#locked(null);
    this.#teller.disconnected();
    this.validation.disconnected();
  }

  sessionFailed(problem: Problem): void {
    this.#model.error(stageOf(problem.code), problem.retry);
    if (problem.table !== null) this.tables.forgetError(problem.table);
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
      if (this.#slotComes) this.#model.targetShows(Date.now());
      this.#slotComes = false;
      return this.#model.clearProblem('SLOT_WAITING');
    }
    this.#model.problem(problem);
    this.#teller.tell({ level: 'warn', code: problem.code, message: problem.message, remedy: problem.remedy });
  }

  #firstCopied(tables: readonly FollowedTable[]): void {
    this.#copying = false;
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
      changed: (resolved, identities) => tables.prepared(resolved, identities),
      stands: (table) => tables.stands(table),
      joined: (table) => tables.joined(table, { caughtUp: this.#caughtUp }),
      unbuilt: (table, refusals) => tables.refused(table, 'PART_NOT_CREATED', refusals),
      unlinked: (table, refusals) => tables.refused(table, 'FOREIGN_KEY_NOT_CREATED', refusals),
      mended: (table, parts) => tables.mended(table, parts),
      drained: (table, applied, durationMs) => tables.drained(table, applied, durationMs),
      spooled: (table) => this.#model.spooled(table.name, table.spooledBytes),
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
    model.sessionBegins();
    if (ends.row.sourceCommittedAtMs !== null) model.targetShows(ends.row.sourceCommittedAtMs - clockAhead);
    model.sourceWalEnd(goal);
    this.#copying = copying;
    const behind = tables.filter((table) => table.progress.state !== 'error' && (table.spooling || (copying && !table.hasRows)));
    this.#behind = new Set(behind.map((table) => table.name));
    this.#goal = { lsn: goal, reached: false, caughtUp };
    // Rows count once their transaction is committed, so those of its pieces wait for that.
    let pieces: Applied[] = [];
    return {
      started: () => {
        this.#following = true;
        this.#showState();
        // The databases answer again. Whether a change that was refused is taken now, only its batch will show.
        if (!this.#raised.some((problem) => stageOf(problem.code) === 'apply')) this.#clearRaised();
        this.#log.info({ from: formatLsn(from), tables: tables.length }, 'streaming from the checkpoint');
      },
      received: (lsn, bytes) => model.received(lsn, bytes),
      applied: (lsn) => {
        this.furthest = maxLsn(this.furthest, lsn);
        model.applied(lsn);
        this.#lookWhetherCaughtUp(lsn);
      },
      acknowledged: (lsn) => model.acknowledged(lsn),
      sourceWalEnd: (lsn) => model.sourceWalEnd(lsn),
      queue: (bytes, limit) => model.queue(bytes, limit),
      spilled: (bytes) => model.spill(bytes),
      backpressure: (ms) => model.backpressure(ms),
      spent: (activity, ms) => model.spent(activity, ms),
      locked: (holder) => this.#locked(holder),
      heartbeatEmitted: (id, at) => model.heartbeatEmitted(id, at),
      heartbeatApplied: (id) => model.heartbeatApplied(id),
      batch: (batch, applied, durationMs) => {
        this.tables.conflicts(applied);
        if (this.#lockTold) this.#locked(null);
        if (this.#raised.length > 0 && batch.end) this.#clearRaised();
        pieces.push(applied);
        if (!batch.end) return;
        model.targetShows(batch.end.committedAtMs - clockAhead);
        const { rows, perTable } = sum(pieces);
        pieces = [];
        if (applied.targetLsn === null) return;
        const nowMs = Date.now();
        model.batchApplied({
          rows,
          transactions: batch.transactions,
          durationMs,
          perTable,
          way: applied.way,
          at: nowMs,
          latencyMs: nowMs - (batch.end.committedAtMs - clockAhead),
        });
        this.#log.debug(
          { lsn: formatLsn(batch.end.endLsn), rows, way: applied.way, ms: Math.round(durationMs) },
          'batch applied',
        );
      },
    };
  }

  // A lock that is held for a moment is nobody's concern.
  #locked(holder: LockHolder | null): void {
    if (!holder || holder.waitedMs < LOCK_TOLD_MS) {
      this.#lockTold = false;
      return this.#model.clearProblem('TARGET_LOCKED');
    }
    const problem = lockedProblem(holder);
    this.#model.problem(problem);
    if (!this.#lockTold) this.#teller.tell({ level: 'warn', ...problem });
    this.#lockTold = true;
  }

  /** Everything that was there when the session began has arrived. */
  caughtUp(tables: readonly FollowedTable[]): void {
    for (const table of tables) if (table.progress.state === 'streaming') this.#model.tableState(table.name, 'streaming');
    this.#showState();
    this.#teller.tell({ level: 'info', code: 'CAUGHT_UP', message: 'The target has caught up with the source and follows it.' });
  }

  slot(slot: SlotState | null): void {
    if (!slot) return this.#model.slot(null);
    this.#model.slot({
      name: slot.name,
      active: slot.active,
      walStatus: slot.walStatus,
      retainedBytes: slot.retainedBytes,
      limitBytes: slot.limitBytes,
      safeBytes: slot.safeWalSize,
      oldestTransactionMs: slot.oldestTransactionMs,
      spilledBytes: slot.spilledBytes,
      clockAheadMs: slot.clockAheadMs,
      readAtMs: Date.now(),
    });
    this.#model.sourceWalEnd(slot.walEnd);
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
    if (progress.state === 'streaming' || progress.state === 'error') this.#behind.delete(name);
    this.#lookWhetherCaughtUp();
  }

  #lookWhetherCaughtUp(applied: Lsn = ZERO_LSN): void {
    const goal = this.#goal;
    if (!goal || !this.#following || this.#caughtUp) return;
    goal.reached ||= applied >= goal.lsn;
    if (!goal.reached || this.#copying || this.#behind.size > 0) return;
    this.#caughtUp = true;
    this.#showState();
    void goal.caughtUp().catch((error: unknown) => {
      const { code, message, remedy } = blame('target', error);
      this.#log.warn({ code, remedy }, `That the tables have caught up was not stored: ${message}`);
    });
  }

  #showState(): void {
    if (!this.#following) return;
    const going = this.#copying ? 'copying' : this.#caughtUp ? 'streaming' : 'catching_up';
    this.#model.setState(this.#gate.isOpen ? going : 'paused');
  }

  #clearRaised(): void {
    for (const { code, table } of this.#raised)
      if (table === null || !this.tables.isErrorOf(table, code)) this.#model.clearProblem(code, table);
    this.#raised = [];
  }
}

function sum(pieces: readonly Applied[]): Pick<Applied, 'rows' | 'perTable'> {
  const [only, ...others] = pieces;
  if (only && others.length === 0) return only;
  const perTable = new Map<string, RowCounts>();
  for (const [table, counts] of pieces.flatMap((piece) => [...piece.perTable])) {
    const known = perTable.get(table) ?? { insert: 0, update: 0, delete: 0, truncate: 0 };
    for (const op of ['insert', 'update', 'delete', 'truncate'] as const) known[op] += counts[op];
    perTable.set(table, known);
  }
  return { rows: pieces.reduce((rows, piece) => rows + piece.rows, 0), perTable };
}
