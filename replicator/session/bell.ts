/** What rings all the time is heard so often at most: thousands of tables are copied in a second. */
const LEAST_MS = 20;

/** Wakes whoever looks around every now and then, when there is something to see. */
export class Bell {
  #wake: () => void = () => {};
  #rung = false;

  ring(): void {
    this.#rung = true;
    this.#wake();
  }

  /** Resolves when it rings or has rung since the last time, after `mostMs`, or when the signal aborts. For one who waits. */
  async heard(mostMs: number, signal: AbortSignal): Promise<void> {
    if (!this.#rung) await this.#wait(mostMs, signal, { wakes: true });
    if (this.#rung) await this.#wait(LEAST_MS, signal, { wakes: false });
    this.#rung = false;
  }

  async #wait(ms: number, signal: AbortSignal, { wakes }: { wakes: boolean }): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const over = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', over);
        this.#wake = () => {};
        resolve();
      };
      const timer = setTimeout(over, ms);
      signal.addEventListener('abort', over, { once: true });
      if (wakes) this.#wake = over;
    });
  }
}
