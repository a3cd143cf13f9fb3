const BUCKET_MS = 500;

/** How much a second, over the last `windowMs`, in buckets of half a second; constant memory, no timer. */
export class Rate {
  readonly #windowMs: number;
  readonly #startedMs: number;
  readonly #sums: Float64Array;
  readonly #epochs: Float64Array;

  constructor(options: { windowMs: number; nowMs: number }) {
    this.#windowMs = options.windowMs;
    this.#startedMs = options.nowMs;
    this.#sums = new Float64Array(Math.ceil(options.windowMs / BUCKET_MS));
    this.#epochs = new Float64Array(this.#sums.length).fill(-1);
  }

  add(count: number, nowMs: number): void {
    const epoch = Math.floor(nowMs / BUCKET_MS);
    const slot = epoch % this.#sums.length;
    if (this.#epochs[slot] !== epoch) {
      this.#epochs[slot] = epoch;
      this.#sums[slot] = 0;
    }
    this.#sums[slot]! += count;
  }

  /** In the first seconds of a run the window is as long as the run, but at least one second. */
  perSecond(nowMs: number): number {
    const newest = Math.floor(nowMs / BUCKET_MS);
    const oldest = newest - this.#sums.length;
    let sum = 0;
    for (let slot = 0; slot < this.#sums.length; slot++) {
      const epoch = this.#epochs[slot]!;
      if (epoch > oldest && epoch <= newest) sum += this.#sums[slot]!;
    }
    const span = Math.min(this.#windowMs, Math.max(1000, nowMs - this.#startedMs));
    return (sum * 1000) / span;
  }
}
