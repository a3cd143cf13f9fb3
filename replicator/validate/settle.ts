import { setTimeout as sleep } from 'node:timers/promises';
import type { Comparison } from './comparison.ts';
import type { SideSql } from './side-sql.ts';
import type { Side } from './side.ts';
import { verdict, type RowSeen } from './verdict.ts';

/** A key whose rows differed when they were read one after the other. */
export interface Suspect {
  readonly key: readonly string[];
  source: RowSeen | null;
  target: RowSeen | null;
}

/** Keys looked for in one statement. */
const KEYS = 500;
const ROUNDS = 8;
/** Before another look at rows that were changed: longer each time. */
const PAUSE_MS = 50;

/**
 * Looks at suspects again until it is clear that they are equal or differ. The first look at `target` must have begun when the
 * target showed all that the one at `source` saw. Those that are changed too often are counted as unsettled.
 */
export async function settle(comparison: Comparison, suspects: readonly Suspect[]): Promise<void> {
  for (let at = 0; at < suspects.length && !comparison.full; at += KEYS) {
    await settleSome(comparison, suspects.slice(at, at + KEYS));
  }
}

async function settleSome(comparison: Comparison, suspects: readonly Suspect[]): Promise<void> {
  const { clock, source, target, signal } = comparison;
  let open = suspects;
  for (let round = 1; open.length > 0 && round <= ROUNDS; round++) {
    if (round > 1) await sleep(PAUSE_MS * round, null, { signal });
    if (!(await clock.sourceShowsTarget())) break;
    const sources = await lookUp(source.side, source.sql, open);
    await clock.targetShowsSource();
    const targets = await lookUp(target.side, target.sql, open);
    comparison.refuseChanged();
    open = open.filter((suspect, at) => {
      const [sourceAgain, targetAgain] = [sources[at] ?? null, targets[at] ?? null];
      const found = verdict({ source: suspect.source, target: suspect.target, sourceAgain, targetAgain });
      if (found === 'again') {
        Object.assign(suspect, { source: sourceAgain, target: targetAgain });
        return true;
      }
      if (found !== 'equal') comparison.differs(found, suspect.key);
      return false;
    });
  }
  comparison.unsettled(open.length);
}

/** What one side shows of these keys, in their order. */
export async function lookUp(side: Side, sql: SideSql, suspects: readonly Pick<Suspect, 'key'>[]): Promise<(RowSeen | null)[]> {
  const seen: (RowSeen | null)[] = suspects.map(() => null);
  const found = await side.rows<{ ord: number; hash: string | null; version: string | null }>(
    sql.lookup(suspects.map(({ key }) => key)),
  );
  for (const { ord, hash, version } of found) if (hash !== null && version !== null) seen[ord - 1] = { hash, version };
  return seen;
}
