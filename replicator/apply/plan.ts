import type { Change, DeleteMessage, InsertMessage, StreamRelation, UpdateMessage } from '../pgoutput/messages.ts';
import { coalesce, type NetChanges } from './coalesce.ts';
import { refuseMissingValues } from './missing-values.ts';
import { reshapeChange, reshapeChanges } from './reshape-rows.ts';
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
  /** Whether changes of a table can go to the target many at a time; see SetApply. */
  readonly canStage: (map: RowMap, changes: readonly RowChange[]) => boolean;
}

/**
 * Fewer changes of a table than this in a batch are not worth folding: a statement a row has them there as soon, and at less work here. Measured with changes
 * of 500 tables in turns (bench `many-tables`): 23 of each together take a fifth less time than one by one.
 */
export const FEWEST_FOR_SET = 10;

/**
 * But without a key each may take a pass over the table, or all together one. A pass of one ends where its row is found, so a few of them
 * cost no more, and less where an index finds the rows.
 */
const FEWEST_IMAGES = 8;

/**
 * What is to be done for these changes. A table with many of them gets their net effect, unless order matters there
 * (triggers and rules that fire for replicated rows) or they cannot be folded; everything else is replayed in order.
 * Tables do not wait for each other: foreign keys are not checked. Pure: decides, does nothing.
 */
export async function plan(changes: readonly Change[], options: PlanOptions): Promise<Step[]> {
  const steps: Step[] = [];
  for (const part of betweenBarriers(changes, options.mapOf)) {
    if (part.kind === 'truncate') {
      steps.push(part);
      continue;
    }
    const folded = new Set<RowMap>();
    for (const [map, rows] of part.tables) {
      if (!worthFolding(map, rows, options)) continue;
      const net = await coalesce(map, await reshapeChanges(map, rows));
      if (!net) continue;
      folded.add(map);
      steps.push({ kind: 'set', map, net, changes: rows });
    }
    if (folded.size < part.tables.size) steps.push(inOrder(changes, part, (map) => !folded.has(map), options.mapOf));
  }
  return steps;
}

/** The same changes one by one, in source order: what the source accepted in that order the target accepts too. */
export function planInOrder(changes: readonly Change[], mapOf: PlanOptions['mapOf']): Exclude<Step, { kind: 'set' }>[] {
  return betweenBarriers(changes, mapOf).map((part) => (part.kind === 'rows' ? inOrder(changes, part, () => true, mapOf) : part));
}

function inOrder(
  changes: readonly Change[],
  { from, to }: Rows,
  wanted: (map: RowMap) => boolean,
  mapOf: PlanOptions['mapOf'],
): Extract<Step, { kind: 'ordered' }> {
  const planned: PlannedChange[] = [];
  for (const change of changes.slice(from, to)) {
    const map = change.kind === 'truncate' ? null : mapOf(change.relation);
    if (change.kind === 'truncate' || !map || !wanted(map)) continue;
    if (change.kind === 'insert') refuseMissingValues(change, map);
    planned.push({ change: reshapeChange(change, map), map });
  }
  return { kind: 'ordered', changes: planned };
}

function worthFolding(map: RowMap, changes: readonly RowChange[], options: PlanOptions): boolean {
  if (!isMany(map, changes) || map.target.firesOnReplica || !options.canStage(map, changes)) return false;
  if (changes.every((change) => change.kind !== 'update')) return true;
  if (map.find.by === 'key') {
    // SQL cannot SET a GENERATED ALWAYS identity column; where it is not the key, its rows are rewritten one by one.
    return map.columns.every((column) => column.target.identity !== 'always' || map.find.columns.includes(column));
  }
  // Another row takes the place of the one that is found: what only the target has of that would be lost.
  const carried = new Set(map.columns.map((column) => column.target.name));
  return map.target.columns.every(({ name, generated }) => generated !== 'no' || carried.has(name));
}

function isMany(map: RowMap, changes: readonly RowChange[]): boolean {
  if (changes.length >= FEWEST_FOR_SET) return true;
  return map.find.by === 'image' && changes.filter(({ kind }) => kind !== 'insert').length >= FEWEST_IMAGES;
}

type TruncateStep = Extract<Step, { kind: 'truncate' }>;

/** Changes of followed tables with no barrier among them: [from, to) of all, and the same by table. */
interface Rows {
  readonly kind: 'rows';
  readonly from: number;
  to: number;
  readonly tables: Map<RowMap, RowChange[]>;
}

// Rows between barriers: a TRUNCATE, or a table that is described anew.
function betweenBarriers(changes: readonly Change[], mapOf: PlanOptions['mapOf']): (Rows | TruncateStep)[] {
  const parts: (Rows | TruncateStep)[] = [];
  let rows: Rows | null = null;
  let described = new Map<string, RowMap>();
  // Most changes are of the table that the one before was of.
  let relation: StreamRelation | null = null;
  let ofTable: RowChange[] | null = null;
  for (let i = 0; i < changes.length; i++) {
    const change = changes[i];
    if (!change) continue;
    if (change.kind === 'truncate') {
      const maps = change.relations.map(mapOf).filter((map) => map !== null);
      if (maps.length === 0) continue;
      parts.push({ kind: 'truncate', maps, restartIdentity: change.restartIdentity });
      rows = relation = ofTable = null;
      continue;
    }
    if (change.relation !== relation) {
      relation = change.relation;
      const map = mapOf(relation);
      // A table that was altered in between goes on after what came before, under its new description.
      if (map && rows && (described.get(map.table) ?? map) !== map) rows = null;
      if (map && !rows) {
        parts.push((rows = { kind: 'rows', from: i, to: i, tables: new Map() }));
        described = new Map();
      }
      if (map) described.set(map.table, map);
      ofTable = map && rows ? changesOf(rows, map) : null;
    }
    if (!rows || !ofTable) continue;
    rows.to = i + 1;
    ofTable.push(change);
  }
  return parts;
}

function changesOf(rows: Rows, map: RowMap): RowChange[] {
  let ofTable = rows.tables.get(map);
  if (!ofTable) rows.tables.set(map, (ofTable = []));
  return ofTable;
}
