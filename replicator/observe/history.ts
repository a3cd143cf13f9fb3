/** What is remembered of one moment; null where nothing was known. Rates are per second. */
export interface Sample {
  readonly lagSeconds: number | null;
  readonly lagBytes: number | null;
  readonly insertsPerSecond: number | null;
  readonly updatesPerSecond: number | null;
  readonly deletesPerSecond: number | null;
  readonly transactionsPerSecond: number | null;
  readonly queueBytes: number | null;
  readonly retainedBytes: number | null;
  readonly walBytesPerSecond: number | null;
}

/** How a minute is told from its seconds: by the worst of them, or by their mean. */
const OF_A_MINUTE = {
  lagSeconds: 'most',
  lagBytes: 'most',
  insertsPerSecond: 'mean',
  updatesPerSecond: 'mean',
  deletesPerSecond: 'mean',
  transactionsPerSecond: 'mean',
  queueBytes: 'most',
  retainedBytes: 'most',
  walBytesPerSecond: 'mean',
} as const satisfies Record<keyof Sample, 'most' | 'mean'>;

export type SeriesName = keyof Sample;
export const SERIES = Object.keys(OF_A_MINUTE) as SeriesName[];

/** Ranges that are kept: steps of so many seconds, so many of them. */
export const RANGES = {
  '15m': { stepSeconds: 1, steps: 900 },
  '24h': { stepSeconds: 60, steps: 1440 },
} as const;
export type Range = keyof typeof RANGES;

/** A range as columns: the value at index i is of the step that begins at `from` + i steps; null where there is none. */
export interface Curves {
  readonly range: Range;
  readonly stepSeconds: number;
  /** RFC 3339. */
  readonly from: string;
  readonly series: Readonly<Record<SeriesName, readonly (number | null)[]>>;
}

/**
 * The last 15 minutes by the second and the last 24 hours by the minute, in arrays that never grow: 170 kB. A clock
 * that is set back overwrites what it finds.
 */
export class History {
  readonly #seconds = new Ring(RANGES['15m']);
  readonly #minutes = new Ring(RANGES['24h']);
  readonly #counted = new Int32Array(SERIES.length);
  #minute = Number.NaN;

  add(sample: Sample, nowMs: number): void {
    const second = Math.floor(nowMs / 1000);
    const minute = Math.floor(nowMs / 60_000);
    this.#seconds.open(second);
    this.#minutes.open(minute);
    if (minute !== this.#minute) {
      this.#minute = minute;
      this.#counted.fill(0);
    }
    for (const [column, name] of SERIES.entries()) {
      const value = sample[name];
      if (value === null) continue;
      this.#seconds.set(second, column, value);
      this.#minutes.set(minute, column, this.#merged(column, OF_A_MINUTE[name], this.#minutes.get(minute, column), value));
    }
  }

  read(range: Range, nowMs: number): Curves {
    const ring = range === '15m' ? this.#seconds : this.#minutes;
    const { stepSeconds, steps } = RANGES[range];
    const first = Math.floor(nowMs / 1000 / stepSeconds) - steps + 1;
    const series = Object.fromEntries(
      SERIES.map((name, column) => [name, ring.column(column, first)]),
    ) as unknown as Curves['series'];
    return { range, stepSeconds, from: new Date(first * stepSeconds * 1000).toISOString(), series };
  }

  #merged(column: number, how: 'most' | 'mean', known: number, value: number): number {
    const before = this.#counted[column]!++;
    // After a clock was set back within this minute there may be a value that was not counted: it is replaced.
    if (before === 0 || Number.isNaN(known)) return value;
    return how === 'most' ? Math.max(known, value) : known + (value - known) / (before + 1);
  }
}

/** So many steps back from the newest, a row each. */
class Ring {
  readonly #steps: number;
  readonly #values: Float64Array;
  readonly #epochs: Float64Array;

  constructor({ steps }: { steps: number }) {
    this.#steps = steps;
    this.#values = new Float64Array(steps * SERIES.length).fill(Number.NaN);
    this.#epochs = new Float64Array(steps).fill(-1);
  }

  /** Forgets what the row held a whole round ago. */
  open(epoch: number): void {
    const row = epoch % this.#steps;
    if (this.#epochs[row] === epoch) return;
    this.#epochs[row] = epoch;
    this.#values.fill(Number.NaN, row * SERIES.length, (row + 1) * SERIES.length);
  }

  get(epoch: number, column: number): number {
    return this.#values[(epoch % this.#steps) * SERIES.length + column]!;
  }

  set(epoch: number, column: number, value: number): void {
    this.#values[(epoch % this.#steps) * SERIES.length + column] = value;
  }

  column(column: number, first: number): (number | null)[] {
    return Array.from({ length: this.#steps }, (_, i) => {
      const epoch = first + i;
      const row = epoch % this.#steps;
      const value = this.#epochs[row] === epoch ? this.get(epoch, column) : Number.NaN;
      return Number.isNaN(value) ? null : value;
    });
  }
}
