/** Lets the applier through, or holds it: how a pipeline is paused. Outlives sessions. */
export class Gate {
  #open = true;
  #waiting: (() => void)[] = [];

  get isOpen(): boolean {
    return this.#open;
  }

  open(): void {
    this.#open = true;
    this.call();
  }

  close(): void {
    this.#open = false;
  }

  /** Who is held shall look around; the gate stays as it is. */
  call(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Resolves at once while the gate is open, else when it opens, somebody calls, or the signal aborts. */
  async turned(signal: AbortSignal): Promise<void> {
    if (this.#open || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#waiting.push(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }
}
