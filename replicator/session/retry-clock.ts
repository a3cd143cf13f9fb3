const BOUNDS = { firstMs: 1000, mostMs: 60_000 };

/** When something that failed is tried again: after 1 s, 2 s, 4 s … up to a minute, or within other bounds, until it succeeds. */
export class RetryClock {
  readonly #now: () => number;
  readonly #bounds: Readonly<typeof BOUNDS>;
  readonly #entries = new Map<string, { failures: number; dueMs: number }>();

  constructor(now: () => number, bounds: Readonly<typeof BOUNDS> = BOUNDS) {
    this.#now = now;
    this.#bounds = bounds;
  }

  failed(name: string): void {
    const failures = (this.#entries.get(name)?.failures ?? 0) + 1;
    const pause = Math.min(this.#bounds.mostMs, this.#bounds.firstMs * 2 ** (failures - 1));
    this.#entries.set(name, { failures, dueMs: this.#now() + pause });
  }

  succeeded(name: string): void {
    this.#entries.delete(name);
  }

  /** Somebody has asked for it: due at once. */
  hurry(name: string): void {
    const entry = this.#entries.get(name);
    if (entry) entry.dueMs = this.#now();
  }

  due(name: string): boolean {
    return (this.#entries.get(name)?.dueMs ?? 0) <= this.#now();
  }

  /** How often it has failed since it last succeeded. */
  failures(name: string): number {
    return this.#entries.get(name)?.failures ?? 0;
  }

  /** When it is tried next, ms since 1970; null for what has not failed. */
  dueMs(name: string): number | null {
    return this.#entries.get(name)?.dueMs ?? null;
  }
}
