import type { ProblemCode } from '../problem.ts';
import type { StatusProblem } from './status.ts';

/** What is known of trying again: when that is, ms since 1970, and how often it has failed since it last succeeded. */
interface Retries {
  readonly nextMs: number | null;
  readonly failures: number;
}

/** Of a table, or of everything (null). */
export type RetriesOf = (table: string | null) => Retries;
import { iso } from './table-book.ts';

/** What is wrong at present, one entry for each code and table. */
export class ProblemBook {
  readonly #problems = new Map<string, StatusProblem>();

  /** `since` stays while the same code and table are reported again. */
  put(problem: { code: ProblemCode; message: string; remedy: string; table?: string | null }, nowMs: number): void {
    const table = problem.table ?? null;
    const key = keyOf(problem.code, table);
    const since = this.#problems.get(key)?.since ?? iso(nowMs);
    this.#problems.set(key, {
      code: problem.code,
      message: problem.message,
      remedy: problem.remedy,
      since,
      table,
      retryAt: null,
      occurrences: 1,
    });
  }

  clear(code: ProblemCode, table: string | null): void {
    this.#problems.delete(keyOf(code, table));
  }

  all(retriesOf: RetriesOf, nowMs: number): StatusProblem[] {
    return Array.from(this.#problems.values(), (problem) => {
      const { nextMs, failures } = retriesOf(problem.table);
      const retryAt = nextMs !== null && nextMs > nowMs ? iso(nextMs) : null;
      return { ...problem, retryAt, occurrences: Math.max(1, failures) };
    });
  }
}

function keyOf(code: string, table: string | null): string {
  return JSON.stringify([code, table]);
}
