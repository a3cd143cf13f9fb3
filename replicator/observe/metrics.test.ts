import { beforeEach, describe, expect, it } from 'vitest';
import { parseLsn } from '../postgres/lsn.ts';
import { Metrics } from './metrics.ts';
import { StatusModel } from './model.ts';
import { waiting } from './validation.ts';

/** Every metric: name, type, labels. The process exposes these and no others. */
const METRICS: [name: string, type: string, labels: string[]][] = [
  ['build_info', 'gauge', ['version']],
  ['pipeline_state', 'gauge', ['state']],
  ['database_up', 'gauge', ['role']],
  ['replication_lag_seconds', 'gauge', []],
  ['replication_lag_bytes', 'gauge', []],
  ['heartbeat_applied_timestamp_seconds', 'gauge', []],
  ['rows_applied_total', 'counter', ['table', 'op']],
  ['transactions_applied_total', 'counter', []],
  ['received_bytes_total', 'counter', []],
  ['apply_batch_duration_seconds', 'histogram', []],
  ['apply_batch_rows', 'histogram', []],
  ['queue_bytes', 'gauge', []],
  ['queue_limit_bytes', 'gauge', []],
  ['spill_bytes', 'gauge', []],
  ['conflicts_total', 'counter', ['table', 'kind']],
  ['errors_total', 'counter', ['stage']],
  ['reconnects_total', 'counter', ['role']],
  ['tables', 'gauge', ['state']],
  ['snapshot_rows_total', 'counter', ['table']],
  ['snapshot_bytes_total', 'counter', ['table']],
  ['spool_bytes', 'gauge', ['table']],
  ['validation_mismatched_rows', 'gauge', ['table']],
  ['validation_last_success_timestamp_seconds', 'gauge', ['table']],
  ['slot_active', 'gauge', []],
  ['slot_retained_wal_bytes', 'gauge', []],
  ['slot_wal_limit_bytes', 'gauge', []],
  ['slot_safe_wal_bytes', 'gauge', []],
  ['slot_wal_status', 'gauge', ['status']],
  ['slot_spilled_bytes_total', 'counter', []],
  ['source_oldest_xact_start_timestamp_seconds', 'gauge', []],
  ['source_sample_timestamp_seconds', 'gauge', []],
  ['source_clock_offset_seconds', 'gauge', []],
  ['heartbeat_emitted_timestamp_seconds', 'gauge', []],
  ['receive_lag_bytes', 'gauge', []],
  ['transaction_latency_seconds', 'histogram', []],
  ['backpressure_seconds_total', 'counter', []],
  ['work_seconds_total', 'counter', ['activity']],
  ['errors_by_class_total', 'counter', ['class']],
  ['snapshot_rows_estimated', 'gauge', ['table']],
  ['snapshot_start_timestamp_seconds', 'gauge', []],
  ['snapshot_completion_timestamp_seconds', 'gauge', []],
  ['http_request_duration_seconds', 'histogram', ['method', 'route', 'status']],
];

let nowMs = 0;
let model: StatusModel;
let metrics: Metrics;
beforeEach(() => {
  nowMs = 1_000_000;
  model = new StatusModel({ name: 'shop', version: '1.0.0', now: () => nowMs });
  metrics = new Metrics({ model, defaultMetrics: false });
});

/** `name{labels}` -> value, and `# TYPE`s, of the text a scrape gives. */
async function scrape(): Promise<{ types: Map<string, string>; series: Map<string, number> }> {
  const types = new Map<string, string>();
  const series = new Map<string, number>();
  for (const line of (await metrics.text()).split('\n')) {
    const type = /^# TYPE (\S+) (\S+)$/.exec(line);
    if (type) types.set(type[1]!, type[2]!);
    else if (line && !line.startsWith('#')) {
      const cut = line.lastIndexOf(' ');
      series.set(line.slice(0, cut).replace(/^pgfollow_/, ''), Number(line.slice(cut + 1)));
    }
  }
  return { types, series };
}

function fill(): void {
  model.database('source', { connected: true });
  model.setState('streaming');
  model.followed.list([{ source: 'public.a"b', target: 'public.a', identity: 'full', state: 'streaming', rowsEstimated: 1 }]);
  model.stream.sourceWalEnd(parseLsn('0/20'));
  model.stream.applied(parseLsn('0/10'));
  model.stream.received(parseLsn('0/20'), 512);
  model.stream.slot({
    name: 'shop',
    active: true,
    walStatus: 'reserved',
    retainedBytes: 5,
    limitBytes: 100,
    safeBytes: 95,
    oldestTransactionMs: null,
    spilledBytes: 4096,
    clockAheadMs: -1500,
    readAtMs: 0,
  });
  model.stream.heartbeatEmitted('a', nowMs);
  model.stream.heartbeatApplied('a');
  const counts = { insert: 2, update: 1, delete: 0, truncate: 0 };
  const perTable = [['public.a"b', counts]] as const;
  model.batchApplied({ rows: 3, transactions: 1, durationMs: 20, perTable, at: nowMs, latencyMs: 40 });
  model.followed.validated('public.a"b', { ...waiting(), state: 'equal', finishedAt: new Date(nowMs).toISOString() });
  metrics.answered({ method: 'GET', route: '/livez', status: 200, seconds: 0.01 });
}

describe('metrics', () => {
  it.each(METRICS)('%s is a %s with labels %j', async (name, type, labels) => {
    fill();
    const { types, series } = await scrape();
    expect(types.get(`pgfollow_${name}`)).toBe(type);
    const keys = [...series.keys()].filter((key) => new RegExp(`^${name}(_sum|_count|_bucket)?(\\{|$)`).test(key));
    expect(keys.length).toBeGreaterThan(0);
    for (const key of keys) {
      const found = [...key.matchAll(/(\w+)="/g)].map((match) => match[1]!).filter((label) => label !== 'le');
      expect(found.toSorted()).toEqual(labels.toSorted());
    }
  });

  it('are these and no others', async () => {
    const { types } = await scrape();
    expect([...types.keys()].toSorted()).toEqual(METRICS.map(([name]) => `pgfollow_${name}`).toSorted());
  });

  it('shows zero for what has not happened, and exactly one state', async () => {
    const { series } = await scrape();
    expect(series.get('pipeline_state{state="starting"}')).toBe(1);
    expect([...series].filter(([key]) => key.startsWith('pipeline_state{')).map(([, value]) => value)).toEqual([
      1, 0, 0, 0, 0, 0, 0,
    ]);
    expect(series.get('slot_wal_status{status="lost"}')).toBe(0);
    expect(series.get('tables{state="error"}')).toBe(0);
    expect(series.get('errors_total{stage="apply"}')).toBe(0);
    expect(series.get('reconnects_total{role="target"}')).toBe(0);
    expect(series.get('transactions_applied_total')).toBe(0);
    expect(series.get('slot_active')).toBe(0);
  });

  it('leaves out what is not known instead of showing zero', async () => {
    const { series } = await scrape();
    for (const name of [
      'replication_lag_seconds',
      'replication_lag_bytes',
      'slot_retained_wal_bytes',
      'slot_wal_limit_bytes',
      'slot_safe_wal_bytes',
      'receive_lag_bytes',
      'heartbeat_emitted_timestamp_seconds',
      'source_clock_offset_seconds',
      'source_sample_timestamp_seconds',
    ]) {
      expect(series.has(name), name).toBe(false);
    }
    expect(series.get('heartbeat_applied_timestamp_seconds')).toBe(1000);
  });

  it('shows what the model knows, each scrape anew', async () => {
    fill();
    model.stream.heartbeatEmitted('b', nowMs);
    model.error('apply', 'data');
    model.reconnect('source');
    nowMs += 7000;
    const { series } = await scrape();
    expect(Object.fromEntries(series)).toMatchObject({
      'pipeline_state{state="streaming"}': 1,
      'pipeline_state{state="starting"}': 0,
      'database_up{role="source"}': 1,
      'database_up{role="target"}': 0,
      replication_lag_seconds: 7,
      replication_lag_bytes: 16,
      'rows_applied_total{table="public.a\\"b",op="insert"}': 2,
      'rows_applied_total{table="public.a\\"b",op="truncate"}': 0,
      'conflicts_total{table="public.a\\"b",kind="updateMissing"}': 0,
      transactions_applied_total: 1,
      received_bytes_total: 512,
      'errors_total{stage="apply"}': 1,
      'errors_by_class_total{class="data"}': 1,
      'errors_by_class_total{class="transient"}': 0,
      'reconnects_total{role="source"}': 1,
      receive_lag_bytes: 0,
      heartbeat_emitted_timestamp_seconds: 1000,
      source_clock_offset_seconds: -1.5,
      slot_spilled_bytes_total: 0,
      'slot_wal_status{status="reserved"}': 1,
      slot_retained_wal_bytes: 5,
      apply_batch_rows_sum: 3,
      transaction_latency_seconds_sum: 0.04,
      'apply_batch_duration_seconds_bucket{le="0.025"}': 1,
    });
    // A counter of the server goes on from before our start, and may begin anew.
    const reading = model.stream.slotReading!;
    for (const spilledBytes of [5000, 5000, 100]) model.stream.slot({ ...reading, spilledBytes });
    expect((await scrape()).series.get('slot_spilled_bytes_total')).toBe(904 + 100);
    expect((await scrape()).series.get('transactions_applied_total')).toBe(1);
    model.stream.slot(null);
    expect((await scrape()).series.has('slot_retained_wal_bytes')).toBe(false);
  });

  it('adds the metrics of the process', async () => {
    const text = await new Metrics({ model }).text();
    expect(text).toContain('process_resident_memory_bytes');
    expect(text).toContain('nodejs_eventloop_lag_p99_seconds');
  });

  it('sums up the tables beyond the limit', async () => {
    const few = new Metrics({ model, tableLimit: 1, defaultMetrics: false });
    const names = ['public.a', 'public.b', 'public.c'];
    model.followed.list(
      names.map((source) => ({ source, target: source, identity: 'full', state: 'streaming', rowsEstimated: 1 })),
    );
    const insert = { insert: 2, update: 0, delete: 0, truncate: 0 };
    const perTable = [
      ['public.b', insert],
      ['public.c', insert],
    ] as const;
    await few.text();
    model.batchApplied({ rows: 4, transactions: 1, durationMs: 1, perTable, at: nowMs });
    const lines = (await few.text())
      .split('\n')
      .filter((line) => line.startsWith('pgfollow_rows_applied_total{') && line.includes('insert'));
    expect(lines).toEqual([
      'pgfollow_rows_applied_total{table="public.b",op="insert"} 2',
      'pgfollow_rows_applied_total{table="(others)",op="insert"} 2',
    ]);
  });
});
