import type { Finding } from '../finding.ts';
import type { Findings, StatusFinding } from './status.ts';
import { iso } from './table-book.ts';

/** What the last look at both databases found: each finding with when it was found first. `now`: ms since 1970. */
export class FindingBook {
  readonly #now: () => number;
  #checkedMs: number | null = null;
  #findings: readonly StatusFinding[] = [];

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Replaces what is known; gives those that were not known before. */
  replace(findings: readonly Finding[]): readonly Finding[] {
    const known = new Map(this.#findings.map((finding) => [keyOf(finding), finding.since]));
    const since = iso(this.#now());
    this.#checkedMs = this.#now();
    this.#findings = findings.map((finding) => ({ ...finding, since: known.get(keyOf(finding)) ?? since }));
    return findings.filter((finding) => !known.has(keyOf(finding)));
  }

  read(): Findings {
    return {
      checkedAt: this.#checkedMs === null ? null : iso(this.#checkedMs),
      findings: this.#findings,
    };
  }
}

// Messages hold numbers that change from look to look.
function keyOf({ code, level, where, table, message }: Finding): string {
  return JSON.stringify([code, level, where, table, message.replaceAll(/\d+(\.\d+)?/g, '0')]);
}
