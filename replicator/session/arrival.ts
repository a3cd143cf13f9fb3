import { ZERO_LSN, type Lsn } from '../postgres/lsn.ts';

/**
 * When a session has caught up: the target has got to where the source was when the session began, and every table that
 * was behind then has got there too, or stands in error.
 */
export class Arrival {
  #goal: Lsn = ZERO_LSN;
  #reached = false;
  #behind = new Set<string>();
  /** The first copy is under way. */
  #copying = false;
  #following = false;
  #caughtUp = false;

  /** A session begins. `behind`: tables whose changes are kept, or that are still to be copied. */
  expect({ goal, behind, copying }: { goal: Lsn; behind: Iterable<string>; copying: boolean }): void {
    this.#goal = goal;
    this.#reached = false;
    this.#behind = new Set(behind);
    this.#copying = copying;
  }

  /** The stream has started. */
  started(): void {
    this.#following = true;
  }

  /** The session is over. */
  ended(): void {
    this.#following = false;
    this.#caughtUp = false;
  }

  applied(lsn: Lsn): void {
    this.#reached ||= lsn >= this.#goal;
  }

  firstCopied(): void {
    this.#copying = false;
  }

  /** The table is no longer behind. */
  came(table: string): void {
    this.#behind.delete(table);
  }

  /** Whether it has just caught up: true once a session. */
  look(): boolean {
    if (!this.#following || this.#caughtUp) return false;
    this.#caughtUp = this.#reached && !this.#copying && this.#behind.size === 0;
    return this.#caughtUp;
  }

  get caughtUp(): boolean {
    return this.#caughtUp;
  }

  /** How far the session has come; null before the stream has started. */
  get stage(): 'copying' | 'catching_up' | 'streaming' | null {
    if (!this.#following) return null;
    if (this.#copying) return 'copying';
    return this.#caughtUp ? 'streaming' : 'catching_up';
  }
}
