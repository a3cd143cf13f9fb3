import type { Comparison, ComparisonOptions } from './comparison.ts';
import { walkBlocks } from './blocks.ts';
import { lookUp, settle, type Suspect } from './settle.ts';
import type { RowSeen } from './verdict.ts';

/** Rows looked for on the other side in one statement. */
const KEYS = 1000;

/**
 * Compares rows whose keys do not sort alike on both sides (text, under the collations of two machines): the source's rows, block
 * after block, are looked for on the target by their keys; then the target's on the source, for those that only it has.
 */
export async function compareByLookup(comparison: Comparison): Promise<void> {
  const { source, target, clock } = comparison;
  for await (const rows of walkKeyed(source)) {
    await clock.targetShowsSource();
    for (const some of parts(rows)) {
      const others = await lookUp(target.side, target.sql, some);
      await settle(
        comparison,
        some.flatMap(({ key, seen }, at) => suspect(key, seen, others[at] ?? null)),
      );
      comparison.compared(some.length);
      if (comparison.full) return;
    }
  }
  for await (const rows of walkKeyed(target)) {
    for (const some of parts(rows)) {
      // Those that the source has were looked at from there.
      const others = await lookUp(source.side, source.sql, some);
      const lacking = some.filter((_, at) => !others[at]);
      await settle(
        comparison,
        lacking.map(({ key, seen }) => ({ key, source: null, target: seen })),
      );
      if (comparison.full) return;
    }
  }
}

interface KeyedRow {
  readonly key: readonly string[];
  readonly seen: RowSeen;
}

async function* walkKeyed({ side, sql }: ComparisonOptions['source']): AsyncGenerator<KeyedRow[]> {
  const walk = walkBlocks<{ key: string[]; hash: string; version: string }>(side, sql, (blocks) => sql.blocks(blocks));
  for await (const rows of walk) yield rows.map(({ key, hash, version }) => ({ key, seen: { hash, version } }));
}

function* parts(rows: readonly KeyedRow[]): Generator<readonly KeyedRow[]> {
  for (let at = 0; at < rows.length; at += KEYS) yield rows.slice(at, at + KEYS);
}

function suspect(key: readonly string[], source: RowSeen | null, target: RowSeen | null): Suspect[] {
  return source?.hash === target?.hash ? [] : [{ key, source, target }];
}
