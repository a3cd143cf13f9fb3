import { openUnless } from './together.ts';

/** Something that happens once. */
export class Milestone {
  done = false;
  #reach: () => void = () => {};
  readonly #reached = new Promise<void>((resolve) => (this.#reach = resolve));

  reach(): void {
    this.done = true;
    this.#reach();
  }

  /** Resolves when it has happened, or the signal aborts. */
  async reached(signal: AbortSignal): Promise<void> {
    await openUnless(signal, this.#reached, () => {}).catch(() => {});
  }
}
