import { setImmediate } from 'node:timers/promises';

/** Work that goes on longer than this without a pause would hold up keepalives, acknowledgements and the page. */
const TURN_MS = 8;

/** Lets the event loop turn now and then while a lot is worked through. */
export class Turns {
  #since = performance.now();

  /** Resolves at once, or after everybody else had a turn, where the last one is long ago. Ask every few thousand rows. */
  async give(): Promise<void> {
    if (performance.now() - this.#since < TURN_MS) return;
    await setImmediate();
    this.#since = performance.now();
  }
}
