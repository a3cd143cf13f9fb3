/** What the way to the target can be at; see observe/work.ts for what each means. */
export type Activity = 'source' | 'decode' | 'apply' | 'lock' | 'commit' | 'tables' | 'paused';

/**
 * Books time on what it goes into, one thing at a time. Costs a few additions a batch; nothing here is called for a row.
 * Times in ms of one clock that never goes back.
 */
export class Stopwatch {
  readonly #report: (activity: Activity, ms: number) => void;
  readonly #now: () => number;
  #activity: Activity = 'source';
  #since: number;
  #turnedAt: number;
  /** Rises with every turn(): whoever looked before can tell that something else has begun since. */
  turns = 0;

  constructor(report: (activity: Activity, ms: number) => void, now: () => number = () => performance.now()) {
    this.#report = report;
    this.#now = now;
    this.#since = now();
    this.#turnedAt = this.#since;
  }

  get activity(): Activity {
    return this.#activity;
  }

  /** How long it has been at this, in ms. */
  get elapsed(): number {
    return this.#now() - this.#turnedAt;
  }

  /** From now on this is what time goes into. */
  turn(to: Activity): void {
    this.look();
    this.#activity = to;
    this.#turnedAt = this.#since;
    this.turns++;
  }

  /** What is being done turns out to be this, without being another thing: rows that wait for a lock are still being written. */
  rename(to: Activity): void {
    this.look();
    this.#activity = to;
  }

  /** Books what has passed so far, so that a long batch shows while it lasts. */
  look(): void {
    const now = this.#now();
    if (now > this.#since) this.#report(this.#activity, now - this.#since);
    this.#since = now;
  }

  /** Part of what was booked was something else. */
  move(from: Activity, to: Activity, ms: number): void {
    if (ms <= 0) return;
    this.#report(from, -ms);
    this.#report(to, ms);
  }
}
