import { Histogram } from 'prom-client';
import type { Registry } from 'prom-client';
import type { StatusModel } from './model.ts';

const BATCH_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** An answer of the HTTP server. `route` as it is declared, never as it was asked for: the number of series stays bounded. */
export interface AnsweredRequest {
  readonly method: string;
  readonly route: string;
  readonly status: number;
  readonly seconds: number;
}

/** What is observed as batches are applied. */
export function batchHistograms(registry: Registry, model: StatusModel): void {
  const registers = [registry];
  const duration = new Histogram({
    name: 'pgfollow_apply_batch_duration_seconds',
    help: 'Time a batch took on the target, its commit included.',
    buckets: BATCH_SECONDS,
    registers,
  });
  const rows = new Histogram({
    name: 'pgfollow_apply_batch_rows',
    help: 'Row changes in a batch.',
    buckets: [1, 10, 100, 1000, 10_000, 100_000, 1_000_000],
    registers,
  });
  const latency = new Histogram({
    name: 'pgfollow_transaction_latency_seconds',
    help: 'From the commit on the source to the commit on the target, of the newest transaction of each batch.',
    buckets: [...BATCH_SECONDS, 300],
    registers,
  });
  model.onBatch((batch) => {
    duration.observe(batch.durationMs / 1000);
    rows.observe(batch.rows);
    if (batch.latencyMs !== undefined) latency.observe(Math.max(0, batch.latencyMs) / 1000);
  });
}

/** What is observed as requests are answered; returns what the server calls. */
export function requestHistogram(registry: Registry): (request: AnsweredRequest) => void {
  const histogram = new Histogram({
    name: 'pgfollow_http_request_duration_seconds',
    help: 'Time until a request of page, API or metrics was answered; event streams are not in it.',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.005, 0.025, 0.1, 0.5, 2.5],
    registers: [registry],
  });
  return ({ method, route, status, seconds }) => histogram.observe({ method, route, status }, seconds);
}
