import type { Sample } from './history.ts';
import type { Status } from './status.ts';

/** What the counters stood at: rates are what came since the last look. */
interface Counted {
  readonly atMs: number;
  readonly totals: Status['totals'];
  readonly walEnd: bigint | null;
}

/** What there is to be looked at. */
export interface Moment {
  readonly lagSeconds: number | null;
  readonly lagBytes: number | null;
  readonly queueBytes: number;
  readonly retainedBytes: number | null;
  readonly totals: Status['totals'];
  /** Where the source writes, as a number of bytes. */
  readonly walEnd: bigint | null;
}

/** WAL is told now and then, not steadily: its rate is taken over at least this. */
const WAL_WINDOW_MS = 10_000;

/** Turns counters that only rise into rates, from one look to the next. */
export class Sampler {
  #last: Counted | null = null;
  #walLast: { readonly atMs: number; readonly end: bigint } | null = null;
  #walRate: number | null = null;

  sample(moment: Moment, nowMs: number): Sample {
    const { totals, walEnd } = moment;
    const last = this.#last;
    const seconds = last ? (nowMs - last.atMs) / 1000 : 0;
    const rate = (name: keyof Status['totals']): number | null =>
      last && seconds > 0 ? rounded(Math.max(0, totals[name] - last.totals[name]) / seconds) : null;
    this.#last = { atMs: nowMs, totals: { ...totals }, walEnd };
    return {
      lagSeconds: moment.lagSeconds === null ? null : Math.round(moment.lagSeconds * 1000) / 1000,
      lagBytes: moment.lagBytes,
      insertsPerSecond: rate('insert'),
      updatesPerSecond: rate('update'),
      deletesPerSecond: rate('delete'),
      transactionsPerSecond: rate('transactions'),
      queueBytes: moment.queueBytes,
      retainedBytes: moment.retainedBytes,
      walBytesPerSecond: this.#wal(walEnd, nowMs),
    };
  }

  #wal(end: bigint | null, nowMs: number): number | null {
    if (end === null) return null;
    const last = this.#walLast;
    // Another server, or one that was restored: there is nothing to compare with.
    if (!last || end < last.end || nowMs < last.atMs) {
      this.#walLast = { atMs: nowMs, end };
      this.#walRate = null;
    } else if (nowMs - last.atMs >= WAL_WINDOW_MS) {
      this.#walRate = rounded((Number(end - last.end) * 1000) / (nowMs - last.atMs));
      this.#walLast = { atMs: nowMs, end };
    }
    return this.#walRate;
  }
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}
