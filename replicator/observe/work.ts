/**
 * What the way to the target can be at, one thing at a time:
 *
 *   source    waits for the source to send something
 *   decode    takes apart what was received, while the target has nothing to do
 *   apply     writes rows on the target
 *   lock      waits there for a lock that somebody else holds
 *   commit    commits there
 *   tables    between two batches: changes that were kept for a table, tables that join or leave
 *   paused    somebody said so
 */
export const ACTIVITIES = ['source', 'decode', 'apply', 'lock', 'commit', 'tables', 'paused'] as const;
export type Activity = (typeof ACTIVITIES)[number];

/** Where the last minute went. */
export interface WorkReading {
  /** How much of it was accounted for, in seconds; 0 where nothing is followed. */
  readonly seconds: number;
  /** Parts of 1, together 1, or all 0. */
  readonly shares: Readonly<Record<Activity, number>>;
  /** Part of the minute in which reading stood still because enough waited for the target. */
  readonly queueFull: number;
}

const SECONDS = 60;
const COLUMNS = ACTIVITIES.length + 1;
const QUEUE_FULL = ACTIVITIES.length;

/** Time by what it was spent on, over the last minute, in buckets of a second; constant memory, no timer. */
export class WorkLedger {
  readonly #ms = new Float64Array(SECONDS * COLUMNS);
  readonly #epochs = new Float64Array(SECONDS).fill(-1);
  /** All of it since the start, in ms, and the most of it that was ever told. */
  readonly #totals = new Float64Array(ACTIVITIES.length);
  readonly #told = new Float64Array(ACTIVITIES.length);

  /** `ms` may be negative: then it was booked too early, and is booked elsewhere in the same breath. */
  spent(activity: Activity, ms: number, nowMs: number): void {
    const column = ACTIVITIES.indexOf(activity);
    this.#add(column, ms, nowMs);
    this.#totals[column]! += ms;
  }

  /** Seconds since the start. Never falls, although what was booked too early is taken back: then it stands still for a while. */
  total(activity: Activity): number {
    const column = ACTIVITIES.indexOf(activity);
    this.#told[column] = Math.max(this.#told[column]!, this.#totals[column]!);
    return this.#told[column] / 1000;
  }

  queueFull(ms: number, nowMs: number): void {
    this.#add(QUEUE_FULL, ms, nowMs);
  }

  read(nowMs: number): WorkReading {
    const newest = Math.floor(nowMs / 1000);
    const sums = new Float64Array(COLUMNS);
    for (let slot = 0; slot < SECONDS; slot++) {
      const epoch = this.#epochs[slot]!;
      if (epoch <= newest - SECONDS || epoch > newest) continue;
      for (let column = 0; column < COLUMNS; column++) sums[column]! += this.#ms[slot * COLUMNS + column]!;
    }
    const shares = { source: 0, decode: 0, apply: 0, lock: 0, commit: 0, tables: 0, paused: 0 };
    let all = 0;
    for (let column = 0; column < ACTIVITIES.length; column++) all += Math.max(0, sums[column]!);
    if (all > 0) for (const [column, activity] of ACTIVITIES.entries()) shares[activity] = Math.max(0, sums[column]!) / all;
    return {
      seconds: Math.min(SECONDS, all / 1000),
      shares,
      queueFull: all > 0 ? Math.min(1, sums[QUEUE_FULL]! / all) : 0,
    };
  }

  #add(column: number, ms: number, nowMs: number): void {
    const epoch = Math.floor(nowMs / 1000);
    const slot = epoch % SECONDS;
    if (this.#epochs[slot] !== epoch) {
      this.#epochs[slot] = epoch;
      this.#ms.fill(0, slot * COLUMNS, (slot + 1) * COLUMNS);
    }
    this.#ms[slot * COLUMNS + column]! += ms;
  }
}
