/** The side that reads: it can be held, and goes on then where it was. */
export interface Held {
  pause(): void;
  resume(): void;
}

/** Reading waits while too much is on its way to the target, and somebody is told for how long. */
export class Backpressure {
  readonly #stream: Held;
  readonly #waited: (ms: number) => void;
  #since: number | null = null;

  constructor(stream: Held, waited: (ms: number) => void) {
    this.#stream = stream;
    this.#waited = waited;
  }

  /** Reading waits. */
  get isHeld(): boolean {
    return this.#since !== null;
  }

  hold(): void {
    if (this.#since !== null) return;
    this.#since = performance.now();
    this.#stream.pause();
  }

  release(): void {
    if (this.#since === null) return;
    this.book();
    this.#since = null;
    this.#stream.resume();
  }

  /** Tells how long it has been since the last time. */
  book(): void {
    if (this.#since === null) return;
    const now = performance.now();
    this.#waited(now - this.#since);
    this.#since = now;
  }
}
