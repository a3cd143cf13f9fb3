import type { Comparison, ComparisonOptions } from './comparison.ts';
import { readExtent, walkBlocks } from './blocks.ts';
import { compareBuckets, groups, numbers, rowsOf } from './buckets.ts';
import { imageVerdict, type Images } from './image-verdict.ts';
import type { Blocks } from './side-sql.ts';

const ROUNDS = 4;

/**
 * Compares a table without a key, where rows are told apart by what they hold. Buckets of rows that differ are looked at again
 * row by row, each side twice (see imageVerdict).
 */
export async function compareByImage(comparison: Comparison): Promise<void> {
  const { count, differing } = await compareBuckets(comparison);
  for (const group of groups(differing)) {
    if (comparison.full) return;
    await settleBuckets(comparison, count, numbers(group));
    comparison.compared(rowsOf(group));
  }
}

async function settleBuckets(comparison: Comparison, count: number, buckets: readonly number[]): Promise<void> {
  const { source, target, clock } = comparison;
  let here = await images(source, count, buckets);
  for (let round = 1; ; round++) {
    await clock.targetShowsSource();
    const removals = comparison.removals;
    const there = await images(target, count, buckets);
    if (!(await clock.sourceShowsTarget())) return comparison.unsettled(distance(here, there));
    const hereAgain = await images(source, count, buckets);
    await clock.targetShowsSource();
    const untouched = comparison.removals === removals;
    const thereAgain = await images(target, count, buckets);
    comparison.refuseChanged();
    const quiet = untouched && sameFiles(here, hereAgain) && sameFiles(there, thereAgain);
    const open = judge(comparison, { here, there, hereAgain, thereAgain }, quiet, round === ROUNDS);
    if (open === 0) return;
    if (round === ROUNDS) return comparison.unsettled(open);
    here = hereAgain;
  }
}

interface Looks {
  readonly here: Images;
  readonly there: Images;
  readonly hereAgain: Images;
  readonly thereAgain: Images;
}

// Gives how many rows are still open. As long as some are, and there is another round, nothing is reported.
function judge(comparison: Comparison, looks: Looks, quiet: boolean, last: boolean): number {
  const { here, there, hereAgain, thereAgain } = looks;
  let open = 0;
  const found: (() => void)[] = [];
  for (const hash of new Set([...hereAgain.rows.keys(), ...thereAgain.rows.keys()])) {
    const of = ({ rows }: Images): readonly string[] => rows.get(hash) ?? [];
    const [source, target] = [of(hereAgain), of(thereAgain)];
    const { missing, extra, settled } = imageVerdict(
      { source: of(here), target: of(there), sourceAgain: source, targetAgain: target },
      quiet,
    );
    if (!settled) open += Math.abs(source.length - target.length);
    if (missing > 0) found.push(() => comparison.differsAt('missing', missing, `${place(source)} of the source`));
    if (extra > 0) found.push(() => comparison.differsAt('extra', extra, `${place(target)} of the target`));
  }
  if (open === 0 || last) for (const tell of found) tell();
  return open;
}

function place([version = '']: readonly string[]): string {
  return `ctid ${version.split(' ')[1] ?? ''}`;
}

function sameFiles(before: Images, after: Images): boolean {
  return before.files !== null && before.files === after.files;
}

function distance(here: Images, there: Images): number {
  const hashes = new Set([...here.rows.keys(), ...there.rows.keys()]);
  return Array.from(hashes, (hash) => Math.abs((here.rows.get(hash)?.length ?? 0) - (there.rows.get(hash)?.length ?? 0))).reduce(
    (sum, rows) => sum + rows,
    0,
  );
}

async function images({ side, sql }: ComparisonOptions['source'], count: number, buckets: readonly number[]): Promise<Images> {
  const rows = new Map<string, string[]>();
  const { files } = await readExtent(side, sql);
  const query = (blocks: Blocks) => sql.bucketRows(blocks, count, buckets);
  for await (const part of walkBlocks<{ hash: string; version: string }>(side, sql, query)) {
    for (const { hash, version } of part) {
      const known = rows.get(hash);
      if (known) known.push(version);
      else rows.set(hash, [version]);
    }
  }
  // It may have been rewritten during the walk.
  const after = await readExtent(side, sql);
  return { rows, files: files === after.files ? files : null };
}
