const SLAB_BYTES = 1 << 18;
/** A message larger than this gets a buffer of its own instead of ending a slab early. */
const LARGE_BYTES = 1 << 15;

/**
 * Keeps copies of short-lived byte ranges in large slabs. node-postgres's parser writes over its read buffer when it
 * moves a partial message to the front, so what is to outlive the call must be copied; one allocation a slab instead
 * of one a row keeps that cheap. A slab is freed when the last tuple that points into it is.
 */
export class ByteArena {
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #used = 0;
  /** Where the last kept bytes are. */
  data: Buffer = this.#slab;
  start = 0;

  /** Copies source[from, source.length); the copy is at `data`, from `start` on. */
  keep(source: Buffer, from: number): void {
    const bytes = source.length - from;
    if (bytes > LARGE_BYTES) {
      this.data = Buffer.from(source.subarray(from));
      this.start = 0;
      return;
    }
    if (this.#used + bytes > SLAB_BYTES) {
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#used = 0;
    }
    source.copy(this.#slab, this.#used, from);
    this.data = this.#slab;
    this.start = this.#used;
    this.#used += bytes;
  }
}
