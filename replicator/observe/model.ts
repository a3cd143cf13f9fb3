import type { ProblemCode } from '../problem.ts';
import { workStatus } from './bottleneck.ts';
import { CopyWatch } from './copy-progress.ts';
import { FindingBook } from './finding-book.ts';
import { History, type Curves, type Range } from './history.ts';
import { ProblemBook, type RetriesOf } from './problem-book.ts';
import type { Counters, ErrorClass, Role, Stage } from './readings.ts';
import { Sampler } from './sampler.ts';
import type { PipelineState, Status, TableStatus } from './status.ts';
import { StreamBook } from './stream-book.ts';
import { summarize } from './summary.ts';
import { TableBook, copyOfTable, iso, type RowCounts } from './table-book.ts';
import { Throughput } from './throughput.ts';
import { ValidationBook } from './validation.ts';

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
 * What is known of the pipeline, in memory: the pipeline writes it, HTTP and metrics read it, and no read asks a database.
 * What is known of the stream, of tables, findings and comparisons is in books of their own. No timers; `now` is ms since 1970.
 */
export class StatusModel {
  readonly stream: StreamBook;
  readonly followed: TableBook;
  readonly findings: FindingBook;
  readonly validations = new ValidationBook();
  readonly #name: string;
  readonly #version: string;
  readonly #now: () => number;
  #state: { name: PipelineState; detail: string | null; sinceMs: number };
  readonly #databases = { source: unknownDatabase(), target: unknownDatabase() };
  readonly #throughput: Throughput;
  readonly #problems = new ProblemBook();
  readonly #retriesOf: RetriesOf;
  readonly #history = new History();
  readonly #sampler = new Sampler();
  readonly #copy = new CopyWatch();
  readonly #batchListeners = new Set<(batch: AppliedBatch) => void>();
  /** Read-only for everybody else. */
  readonly counters: Counters = {
    errors: new Map(),
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
    this.stream = new StreamBook({ now: options.now, heartbeatIntervalMs: options.heartbeatIntervalMs ?? 1000 });
    this.followed = new TableBook(options.now);
    this.findings = new FindingBook(options.now);
    const nowMs = options.now();
    this.#state = { name: 'starting', detail: null, sinceMs: nowMs };
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

  batchApplied(batch: AppliedBatch): void {
    const nowMs = this.#now();
    for (const [source, counts] of batch.perTable) {
      this.#throughput.table(counts);
      this.followed.applied(source, counts, batch.at);
    }
    this.#throughput.batch(batch, nowMs);
    for (const listener of this.#batchListeners) listener(batch);
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

  // ---- read by http and metrics ------------------------------------------------------------

  get state(): PipelineState {
    return this.#state.name;
  }

  get version(): string {
    return this.#version;
  }

  /** When the copies that are under way, or else the last ones, began and were complete, ms since 1970; null where there are none. */
  get copying(): { readonly startedMs: number | null; readonly finishedMs: number | null } {
    return this.#copy.times;
  }

  status(): Status {
    this.#copy.look(this.followed.all(), this.#now());
    const { stream } = this;
    const lag = stream.lag();
    const tables = this.followed.counts();
    const problems = this.#problems.all(this.#retriesOf, this.#now());
    const { source, target } = this.#databases;
    const slot = stream.slotReading;
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
      source: { ...source, walEnd: stream.positions.walEndText },
      target: { ...target },
      slot: slot && {
        name: slot.name,
        active: slot.active,
        walStatus: slot.walStatus,
        retainedBytes: slot.retainedBytes,
        limitBytes: slot.limitBytes,
      },
      position: stream.positions.position,
      lag: { seconds: lag.seconds === null ? null : Math.round(lag.seconds * 1000) / 1000, bytes: stream.positions.lagBytes },
      rates: this.#throughput.rates(this.#now()),
      totals: { ...this.#throughput.totals },
      work: workStatus(stream.work(), lag.seconds),
      tables,
      copy: this.#copy.progress,
      problems,
    };
  }

  /** In the order they were listed; copies, which stay as they are. */
  tables(): TableStatus[] {
    return this.followed.all().map(copyOfTable);
  }

  /** By source name `schema.table`. */
  table(source: string): TableStatus | undefined {
    const status = this.followed.get(source);
    return status && copyOfTable(status);
  }

  /** Calls back after each batch; returns what ends it. */
  onBatch(listener: (batch: AppliedBatch) => void): () => void {
    this.#batchListeners.add(listener);
    return () => this.#batchListeners.delete(listener);
  }

  /** Takes a sample for the curves; the HTTP server calls it once a second. */
  sample(): void {
    const nowMs = this.#now();
    this.#copy.look(this.followed.all(), nowMs);
    const { stream } = this;
    const moment = {
      lagSeconds: stream.lag().seconds,
      lagBytes: stream.positions.lagBytes,
      queueBytes: stream.queueReading.bytes,
      retainedBytes: stream.slotReading?.retainedBytes ?? null,
      totals: this.#throughput.totals,
      walEnd: stream.positions.walEnd,
    };
    this.#history.add(this.#sampler.sample(moment, nowMs), nowMs);
  }

  history(range: Range): Curves {
    return this.#history.read(range, this.#now());
  }
}

function unknownDatabase(): { connected: boolean; serverVersion: string | null; database: string | null } {
  return { connected: false, serverVersion: null, database: null };
}
