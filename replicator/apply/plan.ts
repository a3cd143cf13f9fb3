import type { Change, DeleteMessage, InsertMessage, StreamRelation, UpdateMessage } from '../pgoutput/messages.ts';
import type { RowMap } from './row-map.ts';

export type RowChange = InsertMessage | UpdateMessage | DeleteMessage;

/** One thing to do on the target, in this order. */
export type Step =
  /** Rows one after the other, as the source changed them. */
  | { readonly kind: 'ordered'; readonly changes: readonly PlannedChange[] }
  /** A barrier: all tables of one TRUNCATE at once. */
  | { readonly kind: 'truncate'; readonly maps: readonly RowMap[]; readonly restartIdentity: boolean };

export interface PlannedChange {
  readonly change: RowChange;
  readonly map: RowMap;
}

/**
 * What is to be done for these changes. `mapOf` gives the map of a relation, or null for one whose changes are not
 * taken (not followed, or in error). Pure: decides, does nothing.
 */
export function plan(changes: readonly Change[], mapOf: (relation: StreamRelation) => RowMap | null): Step[] {
  const steps: Step[] = [];
  let ordered: PlannedChange[] = [];
  const closeOrdered = (): void => {
    if (ordered.length > 0) steps.push({ kind: 'ordered', changes: ordered });
    ordered = [];
  };
  for (const change of changes) {
    if (change.kind === 'truncate') {
      const maps = change.relations.map(mapOf).filter((map) => map !== null);
      if (maps.length === 0) continue;
      closeOrdered();
      steps.push({ kind: 'truncate', maps, restartIdentity: change.restartIdentity });
    } else {
      const map = mapOf(change.relation);
      if (map) ordered.push({ change, map });
    }
  }
  closeOrdered();
  return steps;
}
