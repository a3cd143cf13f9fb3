import type { Oid } from '../postgres/oid.ts';
import { quoteRelation } from '../postgres/quote.ts';
import { Problem } from '../problem.ts';
import { displayName, type Relation, type TableMapping } from './relation.ts';

/** The partitioned ones of the target tables that are written to, by OID. */
export function partitionedOnes(targets: Iterable<Relation>): ReadonlyMap<Oid, Relation> {
  return new Map(Array.from(targets).flatMap((target) => (target.kind === 'partitioned' ? [[target.oid, target]] : [])));
}

/**
 * Why a table may not go to a partition of what another followed table goes to: either would write to the rows of the other, and a copy
 * of the partitioned one take away those that its source does not have. A partition that was detached on the source alone is one.
 */
export function sharedRows(
  { source, target: to }: TableMapping,
  target: Relation | null,
  partitioned: ReadonlyMap<Oid, Relation>,
): { readonly ok: false; readonly problem: Problem } | null {
  const root = partitioned.get(target?.rootOid ?? 0);
  if (!target || !root) return null;
  const table = displayName(source);
  const parent = target.parentOid === root.oid ? quoteRelation(root) : '…';
  return {
    ok: false,
    problem: new Problem(
      'TARGET_UNSUITABLE',
      `${table} goes to ${displayName(to)}, which on the target is a partition of ${displayName(root)}, where another followed table goes: each would change rows of the other.`,
      {
        table,
        remedy: `Detach it there as on the source:\nALTER TABLE ${parent} DETACH PARTITION ${quoteRelation(to)};\nor do not follow it: pgfollow remove ${table}`,
      },
    ),
  };
}
