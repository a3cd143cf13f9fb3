import { setMaxListeners } from 'node:events';
import type { Lsn } from '../postgres/lsn.ts';
import { openUnless } from './together.ts';

/**
 * Work that must not happen while a batch is being applied: it waits here until the applier is between two batches. The
 * applier does all that has gathered, then goes on; so whoever has much to do asks again and again for a little.
 */
export class Boundary {
  readonly #signal: AbortSignal;
  #tasks: ((applied: Lsn) => Promise<void>)[] = [];
  #wake: () => void = () => {};

  /** Once the signal aborts, nobody waits here any more. */
  constructor(signal: AbortSignal) {
    this.#signal = signal;
    // As many as there are tables may wait here.
    setMaxListeners(0, signal);
  }

  /** `wake` makes the applier look around when it has nothing to apply. */
  attach(wake: () => void): void {
    this.#wake = wake;
    if (this.due) wake();
  }

  get due(): boolean {
    return this.#tasks.length > 0;
  }

  /**
   * Runs the task between two batches. `applied` is the position up to which everything is on the target or spooled.
   * Rejects with what the task throws, or with the signal's reason.
   */
  at<T>(task: (applied: Lsn) => Promise<T>): Promise<T> {
    const done = new Promise<T>((resolve, reject) => {
      this.#tasks.push((applied) => task(applied).then(resolve, reject));
      this.#wake();
    });
    return openUnless(this.#signal, done, () => {});
  }

  /** For the applier only. */
  async perform(applied: Lsn): Promise<void> {
    for (const task of this.#tasks.splice(0)) await task(applied);
  }
}
