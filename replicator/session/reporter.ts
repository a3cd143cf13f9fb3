import type { Logger } from 'pino';
import type { Client } from 'pg';
import type { Applied, RowCounts } from '../apply/run.ts';
import { groupBy } from '../catalog/group-by.ts';
import { displayName } from '../catalog/relation.ts';
import type { CopyObserver, CopyTask } from '../snapshot/copy-table.ts';
import { readEvents, storeEvents } from '../metadata/event-sink.ts';
import type { Finding } from '../finding.ts';
import type { EventInput, EventLog } from '../observe/events.ts';
import type { Stage, StatusModel } from '../observe/model.ts';
import type { TableStatus, SequencesBrought } from '../observe/status.ts';
import { formatLsn, maxLsn, ZERO_LSN, type Lsn } from '../postgres/lsn.ts';
import type { Problem } from '../problem.ts';
import type { Refusal } from '../schema/build-steps.ts';
import type { IdentityChange } from '../source/replica-identity.ts';
import type { SlotState } from '../source/slot.ts';
import { clockAheadMs } from '../source/clock.ts';
import { walEnd } from '../source/wal-position.ts';
import { on } from './blame.ts';
import { ConflictTally } from './conflicts.ts';
import type { FollowObserver } from './follow.ts';
import type { FollowedTable, ResolvedPipelineTables } from './followed-tables.ts';
import type { Gate } from './gate.ts';
import { LOCK_TOLD_MS, lockedProblem, type LockHolder } from './target-waits.ts';
import type { Ends } from './prepare.ts';
import type { TableObserver } from './tend-tables.ts';

/** The log names every row, so many a line. */
const CONFLICTS_A_LINE = 100;
const EVENTS_LOADED = 200;

/** Turns what happens in a session into status, events and log lines; the stages know none of these. */
export class Reporter {
  readonly #model: StatusModel;
  readonly #events: EventLog;
  readonly #log: Logger;
  readonly #gate: Gate;
  readonly #tally = new ConflictTally(Date.now);
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
  #sessions = 0;
  readonly #findingsTold = new Set<string>();
  /** Message by table. */
  #sequenceFaults: ReadonlyMap<string, string> = new Map();
  readonly #tableErrors = new Map<string, Pick<Problem, 'code' | 'message'>>();
  #lockTold = false;
  /** Problems of the last session, until a batch shows that they are over. */
  #raised: Problem[] = [];

  constructor(options: { model: StatusModel; events: EventLog; log: Logger; gate: Gate }) {
    this.#model = options.model;
    this.#events = options.events;
    this.#log = options.log;
    this.#gate = options.gate;
  }

  async connected(ends: Ends, pipeline: string): Promise<void> {
    this.#sessions++;
    const { sourceIdentity: source } = ends;
    this.#model.database('source', { connected: true, serverVersion: source.versionText, database: source.database });
    this.#model.database('target', { connected: true, serverVersion: ends.targetVersionText, database: ends.targetDatabase });
    if (this.#sessions === 1) this.#events.load(await readEvents(ends.target, pipeline, EVENTS_LOADED));
    this.#persistTo(ends.target, pipeline);
    for (const limit of ends.limits) this.#tell({ level: 'warn', ...limit });
    this.#log.info({ source: source.versionText, target: ends.targetVersionText, database: source.database }, 'connected');
  }

  disconnected(): void {
    this.#following = false;
    // Its reader was our stream.
    const slot = this.#model.slotReading;
    if (slot) this.#model.slot({ ...slot, active: false });
    this.#caughtUp = false;
    this.#locked(null);
    this.#events.persistTo(async () => {
      throw new Error('not connected');
    });
  }

  sessionFailed(problem: Problem): void {
    const stage = stageOf(problem);
    this.#model.error(stage);
    if (problem.table !== null) this.#tableErrors.delete(problem.table);
    if (problem.code === 'SOURCE_UNREACHABLE') this.#model.database('source', { connected: false });
    if (problem.code === 'TARGET_UNREACHABLE') this.#model.database('target', { connected: false });
    if (stage === 'source' || stage === 'target') this.#model.reconnect(stage);
    for (const old of this.#raised)
      if (old.code !== problem.code || old.table !== problem.table) this.#model.clearProblem(old.code, old.table);
    this.#raised = [problem];
    this.#model.problem(problem);
    this.#model.setState(problem.retry === 'permanent' ? 'failed' : 'retrying', problem.message);
    const { code, message, remedy, table } = problem;
    this.#tell({ level: 'error', code, message, remedy, ...(table === null ? {} : { table }) });
    if (code === 'INTERNAL') this.#log.error({ err: problem.cause ?? problem }, 'where the fault is');
  }

  stopped(): void {
    this.#model.database('source', { connected: false });
    this.#model.database('target', { connected: false });
    this.#log.info('stopped');
  }

  /** The set of tables, at the beginning of a session and whenever it changes. What was told already is not told again. */
  prepared({ tables, findings, created }: ResolvedPipelineTables, changes: readonly IdentityChange[]): void {
    for (const gone of this.#model.tables().filter((known) => !tables.some((table) => table.name === known.source)))
      this.#tableRecovered(gone.source);
    this.#model.setTables(
      tables.map((table) => ({
        source: table.name,
        target: displayName(table.mapping.target),
        identity: identityOf(table, changes),
        state: table.progress.state,
        rowsEstimated: table.source.estimatedRows < 0 ? null : table.source.estimatedRows,
        error: table.progress.state === 'error' ? table.progress : null,
        ...(table.stored && {
          rowsCopied: table.stored.rowsCopied,
          bytesCopied: table.stored.bytesCopied,
          copyStartedAt: time(table.stored.copyStartedAt),
          copyFinishedAt: time(table.stored.copyFinishedAt),
        }),
      })),
    );
    for (const change of changes) {
      this.#tell({
        level: 'info',
        table: displayName(change.relation),
        code: 'REPLICA_IDENTITY_SET',
        message: `Set on the source, so that UPDATE and DELETE of this table can be followed: ${change.sql}`,
      });
    }
    if (created.length > 0)
      this.#tell({ level: 'info', code: 'SCHEMA_CREATED', message: `Created on the target: ${countedKinds(created)}.` });
    for (const finding of findings) {
      if (finding.level === 'ok' || this.#findingsTold.has(finding.message)) continue;
      this.#findingsTold.add(finding.message);
      this.#tell({
        level: finding.level === 'error' ? 'error' : 'warn',
        code: 'TABLE_FINDING',
        message: finding.message,
        ...(finding.table === null ? {} : { table: finding.table }),
        ...(finding.remedy === null ? {} : { remedy: finding.remedy }),
      });
    }
    for (const table of tables) this.tableStands(table);
  }

  /** What a look at both databases found: shown, and written to the log once. */
  examined(findings: readonly Finding[]): void {
    for (const { message, code, where, table, remedy } of this.#model.findings.replace(findings))
      this.#log.warn({ code, where, table, remedy }, message);
  }

  /** Where one table is now: tells of an error that is new, and of one that is over. */
  tableStands(table: FollowedTable): void {
    const { name, progress } = table;
    if (progress.state === 'error') {
      this.#tableError(name, progress);
    } else {
      this.#tableRecovered(name);
      this.#model.tableState(name, progress.state);
    }
    this.#model.spooled(name, table.spooledBytes);
    if (progress.state === 'streaming' || progress.state === 'error') this.#behind.delete(name);
    this.#lookWhetherCaughtUp();
  }

  /** A table that was copied, or in error, goes with the others from here on. */
  tableJoined(table: FollowedTable): void {
    this.tableStands(table);
    // Before that it goes without saying.
    if (table.progress.state !== 'streaming' || !this.#caughtUp) return;
    this.#tell({
      level: 'info',
      table: table.name,
      code: 'TABLE_STREAMING',
      message: `${table.name} is complete and goes with the others.`,
    });
  }

  /** Changes that a table's spool had kept are on the target. */
  drained(table: FollowedTable, applied: Applied, durationMs: number): void {
    this.#conflicts(applied);
    this.#model.spooled(table.name, table.spooledBytes);
    const { rows, perTable, way } = applied;
    if (rows > 0) this.#model.batchApplied({ rows, transactions: 0, durationMs, perTable, way, at: Date.now() });
  }

  /** The slot is about to be created. */
  takingPlace(): void {
    this.#slotComes = true;
    this.#model.setState('copying');
    this.#tell({
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
    this.#tell({ level: 'warn', code: problem.code, message: problem.message, remedy: problem.remedy });
  }

  copyObserver(): Omit<CopyObserver, 'failed'> {
    const model = this.#model;
    const name = (task: CopyTask): string => displayName(task.mapping.source);
    return {
      started: (task) => {
        model.tableState(name(task), 'copying');
        model.copyStarted(name(task));
      },
      progress: (task, rows, bytes) => model.copyProgress(name(task), rows, bytes),
      finished: (task, rows, bytes) => {
        model.copyFinished(name(task), rows, bytes);
        model.tableState(name(task), task.bare ? 'indexing' : 'catching_up');
        this.#log.info({ table: name(task), rows, bytes }, 'table copied');
      },
    };
  }

  #firstCopied(tables: readonly FollowedTable[]): void {
    this.#copying = false;
    this.#showState();
    const done = tables.filter((table) => table.hasRows).length;
    this.#tell({
      level: 'info',
      code: 'COPY_FINISHED',
      message: `The first copy is finished: ${done} of ${tables.length} tables.`,
    });
    this.#lookWhetherCaughtUp();
  }

  /** What the tables on their own report to. */
  tableObserver(): TableObserver {
    return {
      changed: (resolved, identities) => this.prepared(resolved, identities),
      stands: (table) => this.tableStands(table),
      joined: (table) => this.tableJoined(table),
      refused: (table, refusals) => this.#refused(table, refusals),
      drained: (table, applied, durationMs) => this.drained(table, applied, durationMs),
      spooled: (table) => this.#model.spooled(table.name, table.spooledBytes),
      firstCopied: (tables) => this.#firstCopied(tables),
    };
  }

  /** A command on a table was accepted. */
  commanded(table: string, code: string, message: string): void {
    this.#tell({ level: 'info', table, code, message });
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
  ): Promise<FollowObserver> {
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
        if (!this.#raised.some((problem) => stageOf(problem) === 'apply')) this.#clearRaised();
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
        this.#conflicts(applied);
        if (this.#lockTold) this.#locked(null);
        if (this.#raised.length > 0 && batch.end) this.#clearRaised();
        pieces.push(applied);
        if (!batch.end) return;
        model.targetShows(batch.end.committedAtMs - clockAhead);
        const { rows, perTable } = sum(pieces);
        pieces = [];
        if (applied.targetLsn === null) return;
        model.batchApplied({ rows, transactions: batch.transactions, durationMs, perTable, way: applied.way, at: Date.now() });
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
    if (!this.#lockTold) this.#tell({ level: 'warn', ...problem });
    this.#lockTold = true;
  }

  /** Everything that was there when the session began has arrived. */
  caughtUp(tables: readonly FollowedTable[]): void {
    for (const table of tables) if (table.progress.state === 'streaming') this.#model.tableState(table.name, 'streaming');
    this.#showState();
    this.#tell({ level: 'info', code: 'CAUGHT_UP', message: 'The target has caught up with the source and follows it.' });
  }

  /** What was in the way of sequences before and is no more, is over. */
  sequences({ followed, faults }: SequencesBrought): void {
    const now = new Map(faults.map((fault) => [fault.table, fault]));
    for (const table of this.#sequenceFaults.keys()) {
      if (!now.has(table)) this.#model.clearProblem('SEQUENCE_NOT_SET', table);
    }
    for (const fault of now.values()) {
      const problem = { code: 'SEQUENCE_NOT_SET', ...fault } as const;
      this.#model.problem(problem);
      if (this.#sequenceFaults.get(fault.table) !== fault.message) this.#tell({ level: 'warn', ...problem });
    }
    this.#sequenceFaults = new Map(faults.map(({ table, message }) => [table, message]));
    this.#log.debug({ followed, faults: faults.length }, 'sequences brought over');
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
    });
    this.#model.sourceWalEnd(slot.walEnd);
  }

  paused(paused: boolean, by: string): void {
    this.#showState();
    this.#tell({ level: 'info', code: paused ? 'PAUSED' : 'RESUMED', message: `${paused ? 'Paused' : 'Resumed'} by ${by}.` });
  }

  #lookWhetherCaughtUp(applied: Lsn = ZERO_LSN): void {
    const goal = this.#goal;
    if (!goal || !this.#following || this.#caughtUp) return;
    goal.reached ||= applied >= goal.lsn;
    if (!goal.reached || this.#copying || this.#behind.size > 0) return;
    this.#caughtUp = true;
    this.#showState();
    void goal.caughtUp().catch((error: unknown) => this.#log.warn({ err: error }, 'table states not stored'));
  }

  #showState(): void {
    if (!this.#following) return;
    const going = this.#copying ? 'copying' : this.#caughtUp ? 'streaming' : 'catching_up';
    this.#model.setState(this.#gate.isOpen ? going : 'paused');
  }

  #refused(table: FollowedTable, refusals: readonly Refusal[]): void {
    for (const { part, reason, sql } of refusals)
      this.#tell({
        level: 'warn',
        table: table.name,
        code: 'PART_NOT_CREATED',
        message: `${displayName(table.mapping.target)} goes without the ${part}: ${reason}.`,
        ...(sql.length > 0 ? { remedy: `Mend what the message names, then run on the target:\n${sql.join(';\n')};` } : {}),
      });
  }

  #conflicts(applied: Applied): void {
    for (const conflict of applied.conflicts) this.#model.conflict(conflict.table, conflict.kind, 1);
    for (const event of this.#tally.events(applied.conflicts)) this.#tell(event);
    for (let at = 0; at < applied.conflicts.length; at += CONFLICTS_A_LINE) {
      this.#log.warn({ conflicts: applied.conflicts.slice(at, at + CONFLICTS_A_LINE) }, 'rows not applied as they were sent');
    }
  }

  #tableError(table: string, error: { code: Problem['code']; message: string; remedy: string }): void {
    const { code, message, remedy } = error;
    this.#model.tableState(table, 'error', { code, message, remedy });
    const known = this.#tableErrors.get(table);
    if (known?.code === code && known.message === message) return;
    if (known) this.#model.clearProblem(known.code, table);
    this.#tableErrors.set(table, { code, message });
    this.#model.problem({ code, message, remedy, table });
    this.#model.error('snapshot');
    this.#tell({ level: 'error', table, code, message, remedy });
  }

  #tableRecovered(table: string): void {
    const known = this.#tableErrors.get(table);
    if (!known) return;
    this.#tableErrors.delete(table);
    this.#model.clearProblem(known.code, table);
    this.#tell({ level: 'info', table, code: 'TABLE_RECOVERED', message: `What stood in the way of ${table} is over.` });
  }

  #clearRaised(): void {
    for (const { code, table } of this.#raised)
      if (table === null || this.#tableErrors.get(table)?.code !== code) this.#model.clearProblem(code, table);
    this.#raised = [];
  }

  #tell(event: EventInput): void {
    this.#events.append(event);
    const { level, message, ...fields } = event;
    this.#log[level](fields, message);
  }

  #persistTo(target: Client, pipeline: string): void {
    this.#events.persistTo((events) => storeEvents(target, pipeline, events));
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

// Labels begin with what kind of thing they are.
function countedKinds(labels: readonly string[]): string {
  const kinds = groupBy(labels, (label) => label.split(' ', 1)[0] ?? '');
  return [...kinds].map(([kind, all]) => (all.length === 1 ? all[0] : `${all.length} ${kind}s`)).join(', ');
}

function stageOf(problem: Problem): Stage {
  if (problem.code.startsWith('SOURCE') || problem.code.startsWith('SLOT')) return 'source';
  if (problem.code.startsWith('TARGET')) return 'target';
  if (problem.code === 'STREAM_INVALID') return 'decode';
  if (problem.code === 'APPLY_FAILED' || problem.code.startsWith('ROW')) return 'apply';
  return 'pipeline';
}

// As the source announces it in the stream from now on.
function identityOf(table: FollowedTable, changes: readonly IdentityChange[]): TableStatus['identity'] {
  const { source } = table;
  const change = changes.find((each) => each.oid === source.oid);
  const kind = change ? change.to.kind : source.replicaIdentity;
  if (kind === 'full') return 'full';
  if (kind === 'index') return 'index';
  return source.uniqueIndexes.some((index) => index.primary) && kind !== 'nothing' ? 'primary_key' : 'nothing';
}

function time(text: string | null): number | null {
  return text === null ? null : Date.parse(text);
}
