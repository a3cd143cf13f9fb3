import { TooLong } from './side.ts';

/** A statement should take about so long: what waits for it waits no longer. */
const WANTED_MS = 80;

/** How much of a table a statement reads, in rows or blocks: as much as can be read in a moment. */
export class Portion {
  readonly #least: number;
  readonly #most: number;
  #size: number;

  constructor({ least, first, most }: { least: number; first: number; most: number }) {
    this.#least = least;
    this.#most = most;
    this.#size = first;
  }

  get size(): number {
    return this.#size;
  }

  /** Runs `read` with a size that fits; less when it takes too long. Throws TooLong where even the least does. */
  async take<T>(read: (size: number) => Promise<T>): Promise<T> {
    for (;;) {
      const began = performance.now();
      try {
        const result = await read(this.#size);
        this.#resize(WANTED_MS / Math.max(1, performance.now() - began));
        return result;
      } catch (error) {
        if (!(error instanceof TooLong) || this.#size === this.#least) throw error;
        this.#resize(0.1);
      }
    }
  }

  #resize(factor: number): void {
    const size = Math.round(this.#size * Math.min(2, Math.max(0.1, factor)));
    this.#size = Math.min(this.#most, Math.max(this.#least, size));
  }
}
