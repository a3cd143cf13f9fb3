import { Rate } from './rates.ts';
import type { Status } from './status.ts';
import type { RowCounts } from './table-book.ts';

const RATE_WINDOW_MS = 10_000;

/** What has been applied: since the start, and a second lately. */
export class Throughput {
  readonly totals: Status['totals'] = { insert: 0, update: 0, delete: 0, truncate: 0, transactions: 0 };
  readonly #rows: Rate;
  readonly #transactions: Rate;

  constructor(nowMs: number) {
    this.#rows = new Rate({ windowMs: RATE_WINDOW_MS, nowMs });
    this.#transactions = new Rate({ windowMs: RATE_WINDOW_MS, nowMs });
  }

  table(counts: RowCounts): void {
    for (const op of ['insert', 'update', 'delete', 'truncate'] as const) this.totals[op] += counts[op];
  }

  batch({ rows, transactions }: { rows: number; transactions: number }, nowMs: number): void {
    this.totals.transactions += transactions;
    this.#rows.add(rows, nowMs);
    this.#transactions.add(transactions, nowMs);
  }

  rates(nowMs: number): Status['rates'] {
    const tenths = (value: number): number => Math.round(value * 10) / 10;
    return {
      rowsPerSecond: tenths(this.#rows.perSecond(nowMs)),
      transactionsPerSecond: tenths(this.#transactions.perSecond(nowMs)),
    };
  }
}
