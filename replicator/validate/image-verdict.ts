/** The rows of some buckets that one side showed: versions by hash. */
export interface Images {
  readonly rows: ReadonlyMap<string, readonly string[]>;
  /** The table's files; null where it was rewritten meanwhile. */
  readonly files: string | null;
}

export interface ImageLooks {
  readonly source: readonly string[];
  readonly target: readonly string[];
  readonly sourceAgain: readonly string[];
  readonly targetAgain: readonly string[];
}

/**
 * Pure: what four looks at all rows of one image prove, taken in this order and as far apart as in verdict(). `quiet`: from before
 * the first look at the target until the last one, no UPDATE, DELETE or TRUNCATE of the table has been applied, and neither
 * side's table was rewritten.
 *
 * Equal rows cannot be told apart, so it must be certain that none of them came and went between two looks: the versions are the same on
 * either side, and nothing was removed. A row that the target may show and the source's second look did not is one that
 * was removed by then, and that would have been applied before the target's second look. One that the source showed
 * twice was applied before the target's first look.
 */
export function imageVerdict(looks: ImageLooks, quiet: boolean): { missing: number; extra: number; settled: boolean } {
  const { source, target, sourceAgain, targetAgain } = looks;
  const surplus = sourceAgain.length - targetAgain.length;
  if (surplus === 0) return { missing: 0, extra: 0, settled: true };
  const still = quiet && same(source, sourceAgain) && same(target, targetAgain);
  if (!still) return { missing: 0, extra: 0, settled: false };
  return { missing: Math.max(0, surplus), extra: Math.max(0, -surplus), settled: true };
}

function same(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && [...some].sort().join(' ') === [...others].sort().join(' ');
}
