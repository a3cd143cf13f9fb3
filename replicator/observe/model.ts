import type { Lsn } from '../postgres/lsn.ts';
import type { ProblemCode } from '../problem.ts';
import { CopyWatch } from './copy-progress.ts';
import { workStatus } from './bottleneck.ts';
import { FindingBook } from './finding-book.ts';
import { History } from './history.ts';
import type { Curves, Range } from './history.ts';
import { Lag } from './lag.ts';
import type { LagReading } from './lag.ts';
import { Positions } from './positions.ts';
import { ProblemBook } from './problem-book.ts';
import type { RetriesOf } from './problem-book.ts';
import type { Counters, ErrorClass, Role, SlotReading, Stage } from './readings.ts';
import { Sampler } from './sampler.ts';
import type { ConflictKind, PipelineState, Status, TableState, TableStatus } from './status.ts';
import { summarize } from './summary.ts';
import { TableBook, copyOfTable, iso } from './table-book.ts';
import type { RowCounts, TableError, TableFacts, TableListing } from './table-book.ts';
import { Throughput } from './throughput.ts';
import { ValidationBook, type TableValidation } from './validation.ts';
import { WorkLedger } from './work.ts';
import type { Activity } from './work.ts';

/** One target commit. `perTable` is by source name; `at` in ms since 1970. */
export interface AppliedBatch {
  readonly rows: number;
  readonly transactions: number;
  readonly durationMs: number;
  readonly perTable: Iterable<readonly [source: string, counts: RowCounts]>;
  readonly at: number;
  /** From the commit on the source to the one on the target, of the newest transaction, ms by our clock. */
  readonly latencyMs?: number;
  /** How the rows were written: as their net effect, or one by one. */
  readonly way?: 'folded' | 'replayed' | 'in order';
}

/**
 * What is known of the pipeline, in memory: the pipeline writes it, HTTP and metrics read it, and no
 * read asks a database. No timers; `now` is ms since 1970.
 */
export class StatusModel {
  readonly #name: string;
  readonly #version: string;
  readonly #now: () => number;
  readonly #startedMs: number;
  #state: { name: PipelineState; detail: string | null; sinceMs: number };
  readonly #databases = { source: unknownDatabase(), target: unknownDatabase() };
  readonly #positions = new Positions();
  #slot: SlotReading | null = null;
  #queue = { bytes: 0, limitBytes: 0 };
  #spillBytes = 0;
  readonly #lag: Lag;
  readonly #throughput: Throughput;
  readonly #tables = new TableBook();
  readonly #problems = new ProblemBook();
  readonly #retriesOf: RetriesOf;
  readonly #history = new History();
  readonly findings: FindingBook;
  readonly validations = new ValidationBook();
  readonly #sampler = new Sampler();
  readonly #work = new WorkLedger();
  readonly #copy = new CopyWatch();
  readonly #batchListeners = new Set<(batch: AppliedBatch) => void>();
  /** Read-only for everybody else. */
  readonly counters: Counters = {
    receivedBytes: 0,
    backpressureMs: 0,
    errors: new Map(),
    spilledBytes: 0,
    errorClasses: { transient: 0, permanent: 0, data: 0 },
    reconnects: { source: 0, target: 0 },
  };

  constructor(options: {
    name: string;
    version: string;
    now: () => number;
    heartbeatIntervalMs?: number;
    retriesOf?: RetriesOf;
  }) {
    this.#retriesOf = options.retriesOf ?? (() => ({ nextMs: null, failures: 0 }));
    this.#name = options.name;
    this.#version = options.version;
    this.#now = options.now;
    this.findings = new FindingBook(options.now);
    const nowMs = options.now();
    this.#startedMs = nowMs;
    this.#state = { name: 'starting', detail: null, sinceMs: nowMs };
    this.#lag = new Lag({ intervalMs: options.heartbeatIntervalMs ?? 1000 });
    this.#throughput = new Throughput(nowMs);
  }

  // ---- written by the pipeline -------------------------------------------------------------

  /** `since` stays while the state stays. `detail` is half a sentence: why, or what is being done. */
  setState(state: PipelineState, detail?: string): void {
    const sinceMs = this.#state.name === state ? this.#state.sinceMs : this.#now();
    this.#state = { name: state, detail: detail ?? null, sinceMs };
  }

  /** What is left out stays as it was known. */
  database(role: Role, reading: { connected: boolean; serverVersion?: string | null; database?: string | null }): void {
    const known = this.#databases[role];
    known.connected = reading.connected;
    if (reading.serverVersion !== undefined) known.serverVersion = reading.serverVersion;
    if (reading.database !== undefined) known.database = reading.database;
  }

  /** Where the source writes now (pg_current_wal_lsn, or what the stream says). */
  sourceWalEnd(lsn: Lsn): void {
    this.#positions.walEnd = lsn;
  }

  slot(reading: SlotReading | null): void {
    this.counters.spilledBytes += grown(this.#slot?.spilledBytes ?? null, reading?.spilledBytes ?? null);
    this.#slot = reading;
  }

  /** `bytes`: payload since the last call. */
  received(lsn: Lsn, bytes: number): void {
    this.#positions.received = lsn;
    this.counters.receivedBytes += bytes;
  }

  applied(lsn: Lsn): void {
    this.#positions.applied = lsn;
  }

  acknowledged(lsn: Lsn): void {
    this.#positions.acknowledged = lsn;
  }

  batchApplied(batch: AppliedBatch): void {
    const nowMs = this.#now();
    for (const [source, counts] of batch.perTable) {
      this.#throughput.table(counts);
      this.#tables.applied(source, counts, batch.at);
    }
    this.#throughput.batch(batch, nowMs);
    for (const listener of this.#batchListeners) listener(batch);
  }

  conflict(table: string, kind: ConflictKind, count: number): void {
    this.#tables.conflict(table, kind, count);
  }

  /** Decoded or received, not yet applied. */
  queue(bytes: number, limitBytes: number): void {
    this.#queue = { bytes, limitBytes };
  }

  /** Of transactions that came while in progress on the source: what is kept on disk. */
  spill(bytes: number): void {
    this.#spillBytes = bytes;
  }

  /** Call it before the heartbeat is sent; one that failed to go out does no harm. */
  heartbeatEmitted(id: string, atMs: number): void {
    this.#lag.emitted(id, atMs);
  }

  heartbeatApplied(id: string): void {
    this.#lag.applied(id, this.#now());
  }

  /** The stream starts, again: see Lag. */
  sessionBegins(): void {
    this.#lag.sessionBegins(this.#now());
  }

  /** What was committed on the source up to `atMs`, by our clock, is on the target. */
  targetShows(atMs: number): void {
    this.#lag.shows(atMs);
  }

  /** The set of followed tables; those that stay keep their counters. */
  setTables(listings: Iterable<TableListing>): void {
    this.#tables.list(listings, this.#now());
  }

  tableState(source: string, state: TableState, error?: TableError | null): void {
    this.#tables.state(source, state, error, this.#now());
  }

  copyStarted(source: string): void {
    this.#tables.copyStarted(source, this.#now());
  }

  /** Rows and bytes of this copy so far. */
  copyProgress(source: string, rows: number, bytes: number): void {
    this.#tables.copyProgress(source, rows, bytes);
  }

  copyFinished(source: string, rows: number, bytes: number): void {
    this.#tables.copyProgress(source, rows, bytes);
    this.#tables.copyFinished(source, this.#now());
  }

  /** Bytes in the spool of this table now. */
  spooled(source: string, bytes: number): void {
    this.#tables.spooled(source, bytes);
  }

  /** A comparison of the table came to an end; null: what it found is over. `equalBefore`: as an earlier process knew it. */
  validated(source: string, validation: TableValidation | null, equalBefore: string | null = null): void {
    this.#tables.validated(source, validation, equalBefore);
  }

  /** Shown until cleared; `since` stays while the same code and table are reported again. */
  problem(problem: { code: ProblemCode; message: string; remedy: string; table?: string | null }): void {
    this.#problems.put(problem, this.#now());
  }

  clearProblem(code: ProblemCode, table?: string | null): void {
    this.#problems.clear(code, table ?? null);
  }

  error(stage: Stage, errorClass: ErrorClass): void {
    this.counters.errorClasses[errorClass] += 1;
    this.counters.errors.set(stage, (this.counters.errors.get(stage) ?? 0) + 1);
  }

  reconnect(role: Role): void {
    this.counters.reconnects[role] += 1;
  }

  /** Time in which reading from the source stood still because the target was slower. */
  backpressure(ms: number): void {
    this.counters.backpressureMs += ms;
    this.#work.queueFull(ms, this.#now());
  }

  /** Time on the way to the target, by what it went into; see ACTIVITIES. */
  spent(activity: Activity, ms: number): void {
    this.#work.spent(activity, ms, this.#now());
  }

  // ---- read by http and metrics ------------------------------------------------------------

  get state(): PipelineState {
    return this.#state.name;
  }

  get version(): string {
    return this.#version;
  }

  /** Seconds since the start; see WorkLedger. */
  secondsSpent(activity: Activity): number {
    return this.#work.total(activity);
  }

  lag(): LagReading {
    return this.#lag.read(this.#now());
  }

  /** The newest moment of the source that the target shows: emission of a heartbeat, a commit; before any, our start. */
  get heartbeatAppliedMs(): number {
    return this.#lag.shownMs ?? this.#startedMs;
  }

  /** When the newest heartbeat left; null before any. */
  get heartbeatEmittedMs(): number | null {
    return this.#lag.emittedMs;
  }

  /** WAL the source has written and we have not received; null where either is not known. */
  get receiveLagBytes(): number | null {
    return this.#positions.receiveLagBytes;
  }

  /** When the copies that are under way, or else the last ones, began and were complete, ms since 1970; null where there are none. */
  get copying(): { readonly startedMs: number | null; readonly finishedMs: number | null } {
    return this.#copy.times;
  }

  get queueReading(): { readonly bytes: number; readonly limitBytes: number } {
    return this.#queue;
  }

  get spillBytes(): number {
    return this.#spillBytes;
  }

  get slotReading(): SlotReading | null {
    return this.#slot;
  }

  status(): Status {
    this.#copy.look(this.#tables.all(), this.#now());
    const lag = this.lag();
    const tables = this.#tables.counts();
    const problems = this.#problems.all(this.#retriesOf, this.#now());
    const { source, target } = this.#databases;
    const slot = this.#slot;
    return {
      name: this.#name,
      version: this.#version,
      state: this.#state.name,
      since: iso(this.#state.sinceMs),
      summary: summarize({
        state: this.#state.name,
        detail: this.#state.detail,
        lag,
        sourceDatabase: source.database,
        targetDatabase: target.database,
        tables,
        firstProblem: problems[0]?.message ?? null,
      }),
      source: { ...source, walEnd: this.#positions.walEndText },
      target: { ...target },
      slot: slot && {
        name: slot.name,
        active: slot.active,
        walStatus: slot.walStatus,
        retainedBytes: slot.retainedBytes,
        limitBytes: slot.limitBytes,
      },
      position: this.#positions.position,
      lag: { seconds: lag.seconds === null ? null : Math.round(lag.seconds * 1000) / 1000, bytes: this.#positions.lagBytes },
      rates: this.#throughput.rates(this.#now()),
      totals: { ...this.#throughput.totals },
      work: workStatus(this.#work.read(this.#now()), lag.seconds),
      tables,
      copy: this.#copy.progress,
      problems,
    };
  }

  /** In the order they were listed; copies, which stay as they are. */
  tables(): TableStatus[] {
    return this.#tables.all().map(copyOfTable);
  }

  /** The same without a copy: to be read at once, not kept and not changed. */
  tableList(): readonly TableStatus[] {
    return this.#tables.all();
  }

  /** By source name `schema.table`. */
  table(source: string): TableStatus | undefined {
    const status = this.#tables.get(source);
    return status && copyOfTable(status);
  }

  tableFacts(source: string): TableFacts {
    return this.#tables.facts(source, this.#now());
  }

  copiedTotals(source: string): { rows: number; bytes: number } {
    return this.#tables.copiedTotals(source);
  }

  /** Calls back after each batch; returns what ends it. */
  onBatch(listener: (batch: AppliedBatch) => void): () => void {
    this.#batchListeners.add(listener);
    return () => this.#batchListeners.delete(listener);
  }

  /** Takes a sample for the curves; the HTTP server calls it once a second. */
  sample(): void {
    const nowMs = this.#now();
    this.#copy.look(this.#tables.all(), nowMs);
    const moment = {
      lagSeconds: this.lag().seconds,
      lagBytes: this.#positions.lagBytes,
      queueBytes: this.#queue.bytes,
      retainedBytes: this.#slot?.retainedBytes ?? null,
      totals: this.#throughput.totals,
      walEnd: this.#positions.walEnd,
    };
    this.#history.add(this.#sampler.sample(moment, nowMs), nowMs);
  }

  history(range: Range): Curves {
    return this.#history.read(range, this.#now());
  }
}

/** What a counter of the server has come to since it was last seen; it may have been reset. */
function grown(before: number | null, now: number | null): number {
  if (before === null || now === null) return 0;
  return now >= before ? now - before : now;
}

function unknownDatabase(): { connected: boolean; serverVersion: string | null; database: string | null } {
  return { connected: false, serverVersion: null, database: null };
}
