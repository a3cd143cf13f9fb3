import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../config/schema.ts';
import type { Finding } from '../finding.ts';
import { PROBLEM_CODES } from '../problem.ts';
import { examine } from './examine.ts';

/** A session that ends at once is not worth a look, and one that starts has better things to do. */
const AFTER_MS = 3000;
/** Nor one that has thousands of tables to begin with: to look at them takes as much memory as to know them. */
const AFTER_MS_A_TABLE = 4;
const EVERY_MS = 600_000;

/**
 * The same look as `pgfollow doctor`, beside a pipeline that works: a moment after the start of a session, then every ten minutes.
 * What the pipeline reports itself is left out, so that nothing is said twice.
 */
export class Checkup {
  readonly #config: Config;
  readonly #report: (findings: readonly Finding[]) => void;
  #dueAt = 0;

  constructor(config: Config, report: (findings: readonly Finding[]) => void) {
    this.#config = config;
    this.#report = report;
  }

  /** Until the signal aborts; never rejects. A session that follows soon after another does not look again. */
  async loop(signal: AbortSignal, { tables }: { tables: number }): Promise<void> {
    await rest(AFTER_MS + AFTER_MS_A_TABLE * tables, signal);
    while (!signal.aborted) {
      if (Date.now() >= this.#dueAt) {
        const findings = await this.#look(signal);
        // What could not be looked at is tried again with the next session.
        if (findings) {
          this.#dueAt = Date.now() + EVERY_MS;
          this.#report(findings);
        }
      }
      await rest(Math.max(AFTER_MS, Math.min(EVERY_MS, this.#dueAt - Date.now())), signal);
    }
  }

  async #look(signal: AbortSignal): Promise<readonly Finding[] | null> {
    const aborted = new Promise<null>((resolve) => {
      signal.addEventListener('abort', () => resolve(null), { once: true });
    });
    const findings = await Promise.race([examine(this.#config, { signal }).catch(() => null), aborted]);
    if (findings === null || signal.aborted || findings.some(({ code }) => code.endsWith('_UNREACHABLE'))) return null;
    return worthKnowing(findings);
  }
}

/** Pure: what is neither fine nor a problem that the pipeline itself tells of. */
export function worthKnowing(findings: readonly Finding[]): Finding[] {
  return findings.filter(({ level, code }) => level !== 'ok' && !Object.hasOwn(PROBLEM_CODES, code));
}

async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, null, { signal }).catch(() => {});
}
