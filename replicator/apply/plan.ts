import type { Change, DeleteMessage, InsertMessage, StreamRelation, UpdateMessage } from '../pgoutput/messages.ts';
import { coalesce, type NetChanges } from './coalesce.ts';
import type { RowMap } from './row-map.ts';

export type RowChange = InsertMessage | UpdateMessage | DeleteMessage;

/** One thing to do on the target, in this order. */
export type Step =
  /** Rows one after the other, as the source changed them. */
  | { readonly kind: 'ordered'; readonly changes: readonly PlannedChange[] }
  /** The net effect of many changes on one table, in a few statements. */
  | { readonly kind: 'set'; readonly map: RowMap; readonly net: NetChanges; readonly changes: readonly RowChange[] }
  /** A barrier: all tables of one TRUNCATE at once. */
  | { readonly kind: 'truncate'; readonly maps: readonly RowMap[]; readonly restartIdentity: boolean };

export interface PlannedChange {
  readonly change: RowChange;
  readonly map: RowMap;
}

export interface PlanOptions {
  /** The map of a relation, or null for one whose changes are not taken (not followed, or in error). */
  readonly mapOf: (relation: StreamRelation) => RowMap | null;
  /** Whether rows of a table can be staged; see SetApply. */
  readonly canStage: (map: RowMap) => boolean;
}

/** Fewer changes of a table than this in a batch are not worth folding: prepared statements have them there sooner. */
export const FEWEST_FOR_SET = 50;

/**
 * What is to be done for these changes. A table with many of them gets their net effect, unless order matters there
 * (triggers and rules that fire for replicated rows) or they cannot be folded; everything else is replayed in order.
 * Tables do not wait for each other: foreign keys are not checked. Pure: decides, does nothing.
 */
export async function plan(changes: readonly Change[], options: PlanOptions): Promise<Step[]> {
  const steps: Step[] = [];
  for (const part of betweenBarriers(changes, options.mapOf)) {
    if (!Array.isArray(part)) {
      steps.push(part);
      continue;
    }
    const folded = new Set<RowMap>();
    for (const [map, rows] of byTable(part)) {
      if (!worthFolding(map, rows, options)) continue;
      const net = await coalesce(map, rows);
      if (!net) continue;
      folded.add(map);
      steps.push({ kind: 'set', map, net, changes: rows });
    }
    const ordered = folded.size === 0 ? part : part.filter(({ map }) => !folded.has(map));
    if (ordered.length > 0) steps.push({ kind: 'ordered', changes: ordered });
  }
  return steps;
}

/** The same changes one by one, in source order: what the source accepted in that order the target accepts too. */
export function planInOrder(changes: readonly Change[], mapOf: PlanOptions['mapOf']): Step[] {
  return betweenBarriers(changes, mapOf).map((part) => (Array.isArray(part) ? { kind: 'ordered', changes: part } : part));
}

function byTable(planned: readonly PlannedChange[]): Map<RowMap, RowChange[]> {
  const tables = new Map<RowMap, RowChange[]>();
  for (const { change, map } of planned) {
    const rows = tables.get(map);
    if (rows) rows.push(change);
    else tables.set(map, [change]);
  }
  return tables;
}

function worthFolding(map: RowMap, changes: readonly RowChange[], options: PlanOptions): boolean {
  if (changes.length < FEWEST_FOR_SET || map.target.firesOnReplica || !options.canStage(map)) return false;
  // SQL cannot SET a GENERATED ALWAYS identity column; where it is not the key, its rows are rewritten one by one.
  const fixed = map.columns.some((column) => column.target.identity === 'always' && !map.find.columns.includes(column));
  return !fixed || changes.every((change) => change.kind !== 'update');
}

type TruncateStep = Extract<Step, { kind: 'truncate' }>;

// Rows between barriers: a TRUNCATE, or a table that is described anew.
function betweenBarriers(changes: readonly Change[], mapOf: PlanOptions['mapOf']): (PlannedChange[] | TruncateStep)[] {
  const parts: (PlannedChange[] | TruncateStep)[] = [];
  let rows: PlannedChange[] = [];
  let described = new Map<string, RowMap>();
  const close = (): void => {
    if (rows.length > 0) parts.push(rows);
    rows = [];
    described = new Map();
  };
  for (const change of changes) {
    if (change.kind === 'truncate') {
      const maps = change.relations.map(mapOf).filter((map) => map !== null);
      if (maps.length === 0) continue;
      close();
      parts.push({ kind: 'truncate', maps, restartIdentity: change.restartIdentity });
      continue;
    }
    const map = mapOf(change.relation);
    if (!map) continue;
    // A table that was altered in between goes on after what came before, under its new description.
    if ((described.get(map.table) ?? map) !== map) close();
    described.set(map.table, map);
    rows.push({ change, map });
  }
  close();
  return parts;
}
