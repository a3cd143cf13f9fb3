/** A row as one side showed it: what it holds, hashed, and which version of it that was. */
export interface RowSeen {
  readonly hash: string;
  readonly version: string;
}

/** What two sides showed of one key, in this order; null is no row. */
export interface Looks {
  readonly source: RowSeen | null;
  readonly target: RowSeen | null;
  readonly sourceAgain: RowSeen | null;
  readonly targetAgain: RowSeen | null;
}

export type Difference = 'missing' | 'extra' | 'different';

/**
 * Pure: what four looks at a row prove. Between one look at the source and the next at the target, the target has come to show
 * all that the first one saw; between one at the target and the next at the source, the source shows all that the target
 * did (see SourceClock). Transactions that change one key come one after the other, in the WAL as in what sessions see.
 *
 * - The source's row is the same version twice, with the target's look in between: no transaction changed it that the target could
 *   have shown then, and the one that wrote it was there. So the target must hold this row, and any difference is real.
 * - The target has a row that the source has not, and it is the same version after the target has come to show what the
 *   source's look saw: nothing has been applied to the key in between, so the source had no row all the time.
 *
 * Where the last two looks agree nothing differs any more. Anything else was in motion: looked at again.
 */
export function verdict({ source, target, sourceAgain, targetAgain }: Looks): Difference | 'equal' | 'again' {
  if (sourceAgain?.hash === targetAgain?.hash) return 'equal';
  if (source && sourceAgain?.version === source.version) {
    if (!target) return 'missing';
    return target.hash === source.hash ? 'equal' : 'different';
  }
  return !sourceAgain && target && targetAgain?.version === target.version ? 'extra' : 'again';
}
