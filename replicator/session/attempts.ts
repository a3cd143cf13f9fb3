import { setTimeout as sleep } from 'node:timers/promises';
import type { Problem } from '../problem.ts';
import { backoffMs } from './backoff.ts';

/** A problem that only somebody else can mend is looked at again this often. */
const RECHECK_FAILED_MS = 15_000;

/** What sessions that failed, one after the other, mean for the next one: when it begins, and what it leaves out. */
export class Attempts {
  #failures = 0;
  #nextMs: number | null = null;
  #unstreamed = false;

  /** Sessions one after the other that got no further. */
  get failures(): number {
    return this.#failures;
  }

  /** While nothing works: when everything is tried again, ms since 1970. */
  get nextMs(): number | null {
    return this.#nextMs;
  }

  /** Transactions in progress are left to the source in this session: the one before could not go on with them. */
  get unstreamed(): boolean {
    return this.#unstreamed;
  }

  /** A session has ended with this problem. One that `gotFurther` than those before was no failed attempt. */
  failed(problem: Problem, gotFurther: boolean): void {
    this.#unstreamed = leftToTheSource(problem);
    this.#failures = gotFurther ? 1 : this.#failures + 1;
  }

  /** Until the next session is due, or the signal aborts. */
  async pause({ retry }: Problem, signal: AbortSignal): Promise<void> {
    const ms = retry === 'permanent' ? RECHECK_FAILED_MS : backoffMs(this.#failures);
    this.#nextMs = Date.now() + ms;
    await sleep(ms, null, { signal }).catch(() => {});
    this.#nextMs = null;
  }
}

// Where there was no room for transactions in progress, or the source itself failed at them: its decoding knows tables that
// such a transaction alters, and where it undoes part of that it may find none ("could not map filenumber").
function leftToTheSource({ code }: Problem): boolean {
  return code === 'SPILL_FAILED' || code === 'SOURCE_UNSUITABLE';
}
