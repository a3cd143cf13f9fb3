import type { ProblemCode } from '../problem.ts';
import type { StatusProblem } from './status.ts';
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
    });
  }

  clear(code: ProblemCode, table: string | null): void {
    this.#problems.delete(keyOf(code, table));
  }

  /** `nextTryMs` tells when a table, or everything (null), is tried again. */
  all(nextTryMs: (table: string | null) => number | null, nowMs: number): StatusProblem[] {
    return Array.from(this.#problems.values(), (problem) => {
      const next = nextTryMs(problem.table);
      return { ...problem, retryAt: next !== null && next > nowMs ? iso(next) : null };
    });
  }
}

function keyOf(code: string, table: string | null): string {
  return JSON.stringify([code, table]);
}
