import { Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client';
import { batchHistograms, requestHistogram } from './histograms.ts';
import type { AnsweredRequest } from './histograms.ts';
import type { StatusModel } from './model.ts';
import { ERROR_CLASSES, STAGES } from './readings.ts';
import type { SlotReading } from './readings.ts';
import { PIPELINE_STATES, TABLE_STATES } from './status.ts';
import type { Status } from './status.ts';
import { ACTIVITIES } from './work.ts';
import { TableSeriesBook } from './table-series.ts';
import { tableText } from './table-text.ts';

const WAL_STATUSES = ['reserved', 'extended', 'unreserved', 'lost'] as const;

/**
 * The model in Prometheus' words; the one place where a metric's name stands. Everything but the histograms is
 * read from the model at the scrape, so the stages pay nothing for it.
 */
export class Metrics {
  readonly #model: StatusModel;
  readonly #registry = new Registry();
  #status: Status;
  readonly #book: TableSeriesBook;
  /** The HTTP server tells each answer it has given. */
  readonly answered: (request: AnsweredRequest) => void;

  /** `tableLimit`: how many tables get series of their own; see TableSeriesBook. */
  constructor(options: { model: StatusModel; tableLimit?: number; defaultMetrics?: boolean }) {
    this.#model = options.model;
    this.#book = new TableSeriesBook(options.tableLimit ?? 200);
    this.#status = options.model.status();
    this.#pipeline();
    this.#lagAndFlow();
    this.#slot();
    this.#copies();
    batchHistograms(this.#registry, this.#model);
    this.answered = requestHistogram(this.#registry);
    // It watches the event loop with a timer, by default every 10 ms: most of what an idle pipeline would cost.
    if (options.defaultMetrics ?? true) collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: 100 });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The text of GET /metrics. */
  async text(): Promise<string> {
    this.#status = this.#model.status();
    const tables = this.#book.series(this.#model.followed.all(), (source) => this.#model.followed.copiedTotals(source));
    return `${await this.#registry.metrics()}\n${tableText(tables)}`;
  }

  #pipeline(): void {
    const model = this.#model;
    this.#gauge('build_info', 'Always 1; which version runs.', ['version'], (gauge) => gauge.set({ version: model.version }, 1));
    this.#gauge('pipeline_state', '1 for the state the pipeline is in, 0 for the others.', ['state'], (gauge) => {
      for (const state of PIPELINE_STATES) gauge.set({ state }, state === this.#status.state ? 1 : 0);
    });
    this.#gauge('database_up', '1 when the database answered last time.', ['role'], (gauge) => {
      gauge.set({ role: 'source' }, this.#status.source.connected ? 1 : 0);
      gauge.set({ role: 'target' }, this.#status.target.connected ? 1 : 0);
    });
    this.#gauge('tables', 'Followed tables by state.', ['state'], (gauge) => {
      for (const state of TABLE_STATES) gauge.set({ state }, this.#status.tables[state]);
    });
    this.#counter(
      'errors_total',
      'Errors by the stage they happened in, also those that a retry mended.',
      ['stage'],
      (counter) => {
        for (const stage of STAGES) counter.inc({ stage }, model.counters.errors.get(stage) ?? 0);
      },
    );
    this.#counter(
      'errors_by_class_total',
      'Errors by what they mean: transient may pass by itself, permanent needs somebody, data puts one table aside.',
      ['class'],
      (counter) => {
        for (const each of ERROR_CLASSES) counter.inc({ class: each }, model.counters.errorClasses[each]);
      },
    );
    this.#counter('reconnects_total', 'Connections made again after one was lost.', ['role'], (counter) => {
      counter.inc({ role: 'source' }, model.counters.reconnects.source);
      counter.inc({ role: 'target' }, model.counters.reconnects.target);
    });
  }

  #lagAndFlow(): void {
    const model = this.#model;
    this.#gauge(
      'replication_lag_seconds',
      'How far the target is behind, by heartbeats; grows a second a second when stuck.',
      [],
      (gauge) => setOrOmit(gauge, model.stream.lag().seconds),
    );
    this.#gauge('replication_lag_bytes', 'WAL the source has written and the target does not show yet.', [], (gauge) =>
      setOrOmit(gauge, this.#status.lag.bytes),
    );
    this.#gauge('receive_lag_bytes', 'WAL the source has written and not sent yet.', [], (gauge) =>
      setOrOmit(gauge, model.stream.positions.receiveLagBytes),
    );
    this.#gauge(
      'heartbeat_emitted_timestamp_seconds',
      'When the newest heartbeat left for the source; absent before any.',
      [],
      (gauge) => setOrOmit(gauge, model.stream.heartbeatEmittedMs && model.stream.heartbeatEmittedMs / 1000),
    );
    this.#gauge(
      'heartbeat_applied_timestamp_seconds',
      'The newest moment of the source that the target shows: when its newest heartbeat left; process start before any.',
      [],
      (gauge) => gauge.set(model.stream.heartbeatAppliedMs / 1000),
    );
    this.#counter('transactions_applied_total', 'Source transactions committed on the target.', [], (counter) =>
      counter.inc(this.#status.totals.transactions),
    );
    this.#counter('received_bytes_total', 'Replication payload received from the source.', [], (counter) =>
      counter.inc(model.stream.counters.receivedBytes),
    );
    this.#counter(
      'backpressure_seconds_total',
      'Time in which reading stood still because the target was slower.',
      [],
      (counter) => counter.inc(model.stream.counters.backpressureMs / 1000),
    );
    this.#counter(
      'work_seconds_total',
      'Time on the way to the target, by what it went into; together a second a second while the stream is followed.',
      ['activity'],
      (counter) => {
        for (const activity of ACTIVITIES) counter.inc({ activity }, model.stream.secondsSpent(activity));
      },
    );
    this.#gauge('queue_bytes', 'Changes received and not applied yet, in memory.', [], (gauge) =>
      gauge.set(model.stream.queueReading.bytes),
    );
    this.#gauge('queue_limit_bytes', 'Where reading pauses.', [], (gauge) => gauge.set(model.stream.queueReading.limitBytes));
    this.#gauge('spill_bytes', 'Parts of transactions in progress on the source that are kept on disk.', [], (gauge) =>
      gauge.set(model.stream.spillBytes),
    );
  }

  #slot(): void {
    const slot = (): SlotReading | null => this.#model.stream.slotReading;
    this.#gauge('slot_active', '1 while the source has a sender on our slot.', [], (gauge) => gauge.set(slot()?.active ? 1 : 0));
    this.#gauge('slot_retained_wal_bytes', 'WAL the source keeps for our slot.', [], (gauge) =>
      setOrOmit(gauge, slot()?.retainedBytes),
    );
    this.#gauge('slot_wal_limit_bytes', 'max_slot_wal_keep_size; absent when unlimited.', [], (gauge) =>
      setOrOmit(gauge, slot()?.limitBytes),
    );
    this.#gauge(
      'slot_safe_wal_bytes',
      'WAL the source may still write before the slot is lost; absent when unlimited.',
      [],
      (gauge) => setOrOmit(gauge, slot()?.safeBytes),
    );
    this.#gauge(
      'source_oldest_xact_start_timestamp_seconds',
      'When the oldest transaction on the source began; 0 where there is none. The source keeps WAL from there.',
      [],
      (gauge) => gauge.set((slot()?.oldestTransactionMs ?? 0) / 1000),
    );
    this.#gauge(
      'source_sample_timestamp_seconds',
      'When the slot was last looked at; absent before the first time.',
      [],
      (gauge) => setOrOmit(gauge, slot() && (slot()?.readAtMs ?? 0) / 1000),
    );
    this.#gauge('source_clock_offset_seconds', 'How far the clock of the source is ahead of the one here.', [], (gauge) =>
      setOrOmit(gauge, slot() && (slot()?.clockAheadMs ?? 0) / 1000),
    );
    this.#counter(
      'slot_spilled_bytes_total',
      'What the source has put on its disk while it decoded large transactions for our slot.',
      [],
      (counter) => counter.inc(this.#model.stream.counters.spilledBytes),
    );
    this.#gauge('slot_wal_status', '1 for the wal_status the slot is in.', ['status'], (gauge) => {
      for (const status of WAL_STATUSES) gauge.set({ status }, status === slot()?.walStatus ? 1 : 0);
    });
  }

  #copies(): void {
    this.#gauge(
      'snapshot_start_timestamp_seconds',
      'When the copying that is under way, or else the last one, began; 0 where nothing was copied.',
      [],
      (gauge) => gauge.set((this.#model.copying.startedMs ?? 0) / 1000),
    );
    this.#gauge(
      'snapshot_completion_timestamp_seconds',
      'When the last copying was complete; 0 while one is under way.',
      [],
      (gauge) => gauge.set((this.#model.copying.finishedMs ?? 0) / 1000),
    );
  }

  #gauge<L extends string>(name: string, help: string, labelNames: L[], set: (gauge: Gauge<L>) => void): void {
    const gauge: Gauge<L> = new Gauge({
      name: `pgfollow_${name}`,
      help,
      labelNames,
      registers: [this.#registry],
      collect: () => {
        gauge.reset();
        set(gauge);
      },
    });
  }

  /** The model counts; the counter only repeats it at the scrape. */
  #counter<L extends string>(name: string, help: string, labelNames: L[], set: (counter: Counter<L>) => void): void {
    const counter: Counter<L> = new Counter({
      name: `pgfollow_${name}`,
      help,
      labelNames,
      registers: [this.#registry],
      collect: () => {
        counter.reset();
        set(counter);
      },
    });
  }
}

/** A gauge whose value is not known is absent: 0 would be a lie that silences alerts. */
function setOrOmit(gauge: Gauge, value: number | null | undefined): void {
  if (value === null || value === undefined) gauge.remove();
  else gauge.set(value);
}
