import { setMaxListeners } from 'node:events';
import type { Lsn } from '../postgres/lsn.ts';
import { openUnless } from './together.ts';

interface Task {
  readonly perform: (applied: Lsn) => Promise<void>;
  readonly whilePaused: boolean;
}

/**
 * Work that must not happen while a batch is being applied: it waits here until the applier is between two batches. The
 * applier does all that has gathered, then goes on; so whoever has much to do asks again and again for a little. While the
 * pipeline is paused only that is done which brings no rows.
 */
export class Boundary {
  readonly #signal: AbortSignal;
  #tasks: Task[] = [];
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

  /** Something is to be done although the pipeline is paused. */
  get dueWhilePaused(): boolean {
    return this.#tasks.some((task) => task.whilePaused);
  }

  /**
   * Runs the task between two batches. `applied` is the position up to which everything is on the target or spooled.
   * `whilePaused`: it brings no rows, so a pause does not hold it up. Rejects with what the task throws, or with the signal's reason.
   */
  at<T>(task: (applied: Lsn) => Promise<T>, { whilePaused = false } = {}): Promise<T> {
    const done = new Promise<T>((resolve, reject) => {
      const perform = (applied: Lsn): Promise<void> => task(applied).then(resolve, reject);
      this.#tasks.push({ perform, whilePaused });
      this.#wake();
    });
    return openUnless(this.#signal, done, () => {});
  }

  /** For the applier only. */
  async perform(applied: Lsn, { paused = false } = {}): Promise<void> {
    const now = this.#tasks.filter((task) => task.whilePaused || !paused);
    this.#tasks = this.#tasks.filter((task) => paused && !task.whilePaused);
    for (const task of now) await task.perform(applied);
  }
}
