/** One moment of what the page draws as curves; null where nothing was known. */
export interface Sample {
  readonly atMs: number;
  readonly lagSeconds: number | null;
  readonly lagBytes: number | null;
  readonly rowsPerSecond: number;
  readonly transactionsPerSecond: number;
  readonly retainedBytes: number | null;
  readonly queueBytes: number;
}

/** The last five minutes, a sample every two seconds at most. */
export class History {
  static readonly SPAN_MS = 300_000;
  static readonly EVERY_MS = 2000;
  #samples: Sample[] = [];

  /** Whether a sample would be taken now. */
  due(nowMs: number): boolean {
    const last = this.#samples.at(-1);
    // A clock that was set back must not stop the curves.
    return !last || nowMs - last.atMs >= History.EVERY_MS || nowMs < last.atMs;
  }

  add(sample: Sample): void {
    this.#samples.push(sample);
    const oldest = sample.atMs - History.SPAN_MS;
    while (this.#samples.length > 1 && this.#samples[0]!.atMs < oldest) this.#samples.shift();
    if (this.#samples.length > History.SPAN_MS / History.EVERY_MS + 1) this.#samples.shift();
  }

  /** Oldest first. */
  samples(): readonly Sample[] {
    return this.#samples;
  }
}
