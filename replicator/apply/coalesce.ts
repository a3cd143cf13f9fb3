import { Turns } from '../postgres/turns.ts';
import type { DeleteMessage, InsertMessage, Tuple } from '../pgoutput/messages.ts';
import { isUnchanged, lacksValue } from './missing-values.ts';
import type { RowChange } from './plan.ts';
import type { RowMap } from './row-map.ts';
import { bytesKey } from './tuple.ts';

/**
 * A row's values, newest first. More than one tuple only where the newest left out unchanged TOAST: such a column has
 * the value of the first tuple that carries it.
 */
export interface RowVersions {
  readonly row: Tuple;
  readonly older?: readonly Tuple[];
}

/** An UPDATE of one key: `key` holds the key columns, which do not change. */
export interface NetUpdate {
  readonly row: Tuple;
  readonly older: readonly Tuple[];
  readonly key: Tuple;
}

/** How often a row image has to be removed. */
export interface ImageCount {
  readonly image: Tuple;
  readonly count: number;
}

/** What a batch comes down to for one table. Apply deletes, then updates, then inserts. */
export interface NetChanges {
  readonly deletes: readonly Tuple[];
  readonly updates: readonly NetUpdate[];
  readonly inserts: readonly RowVersions[];
  /** Keyless tables: equal images with the number of rows to remove; then `deletes` and `updates` are empty. */
  readonly images: readonly ImageCount[];
}

const NONE: readonly Tuple[] = [];

/** Changes that are folded before it is asked whether the event loop is due for a turn. */
const CHANGES_A_LOOK = 1024;

interface KeyEntry {
  op: 'insert' | 'update' | 'delete';
  /** Null for a delete. */
  row: Tuple | null;
  older: readonly Tuple[];
  key: Tuple;
}

/**
 * The net effect of a table's changes, in source order, by key or by image: insert + update = insert, update + update =
 * update, insert + delete = nothing, delete + insert = update of every column; a change of key is a delete and an
 * insert of the whole row. Null when they cannot be folded (a value that is needed was never sent, or the changes
 * contradict each other): then they must be replayed one by one.
 */
export async function coalesce(map: RowMap, changes: readonly RowChange[]): Promise<NetChanges | null> {
  if (changes.every(isWholeInsert)) return { deletes: [], updates: [], images: [], inserts: changes };
  // A row that is deleted twice, which cannot be, would show in the count of rows.
  if (map.find.by === 'key' && changes.every(isDelete))
    return { deletes: changes.map(({ old }) => old.tuple), updates: [], images: [], inserts: [] };
  const net = map.find.by === 'key' ? new KeyedNet(map) : new ImageNet(map);
  const turns = new Turns();
  for (const [i, change] of changes.entries()) {
    if (!net.add(change)) return null;
    if (i % CHANGES_A_LOOK === 0) await turns.give();
  }
  return net.result();
}

function isWholeInsert(change: RowChange): change is InsertMessage {
  return change.kind === 'insert' && !change.row.partial;
}

function isDelete(change: RowChange): change is DeleteMessage {
  return change.kind === 'delete';
}

class KeyedNet {
  readonly #map: RowMap;
  readonly #entries = new Map<string, KeyEntry>();

  constructor(map: RowMap) {
    this.#map = map;
  }

  result(): NetChanges {
    const deletes: Tuple[] = [];
    const updates: NetUpdate[] = [];
    const inserts: RowVersions[] = [];
    for (const entry of this.#entries.values()) {
      if (entry.op === 'delete' || entry.row === null) deletes.push(entry.key);
      else if (entry.op === 'update') updates.push({ row: entry.row, older: entry.older, key: entry.key });
      else inserts.push({ row: entry.row, older: entry.older });
    }
    return { deletes, updates, inserts, images: [] };
  }

  /** False when the change does not fit what came before. */
  add(change: RowChange): boolean {
    const keyColumns = this.#map.find.columns;
    if (change.kind === 'insert')
      return !lacksValue(change.row, this.#map.columns) && this.#insert(bytesKey(change.row, keyColumns), change.row, NONE);
    if (change.kind === 'delete') return this.#delete(bytesKey(change.old.tuple, keyColumns), change.old.tuple);
    const oldTuple = change.old?.tuple ?? change.row;
    const oldKey = bytesKey(oldTuple, keyColumns);
    // Under FULL the old row has every value, also those that the new one leaves out.
    const known = change.old?.kind === 'full' && change.row.partial ? [change.old.tuple] : NONE;
    const newKey = change.old ? bytesKey(change.row, keyColumns) : oldKey;
    if (newKey === oldKey) return this.#update(oldKey, change.row, known, oldTuple);
    const before = this.#entries.get(oldKey);
    if (before?.op === 'delete') return false;
    const older = change.row.partial ? [...known, ...(before?.row ? [before.row, ...before.older] : [])] : NONE;
    if (lacksValue(change.row, this.#map.columns, older)) return false;
    return this.#delete(oldKey, oldTuple) && this.#insert(newKey, change.row, older);
  }

  #insert(key: string, row: Tuple, older: readonly Tuple[]): boolean {
    const before = this.#entries.get(key);
    if (!before) this.#entries.set(key, { op: 'insert', row, older, key: row });
    else if (before.op === 'delete') Object.assign(before, { op: 'update', row, older });
    else return false;
    return true;
  }

  #update(key: string, row: Tuple, known: readonly Tuple[], old: Tuple): boolean {
    const before = this.#entries.get(key);
    if (before?.op === 'delete') return false;
    if (!before) {
      this.#entries.set(key, { op: 'update', row, older: known, key: old });
    } else {
      before.older = row.partial && known.length === 0 && before.row ? [before.row, ...before.older] : known;
      before.row = row;
    }
    return true;
  }

  #delete(key: string, old: Tuple): boolean {
    const before = this.#entries.get(key);
    if (!before) this.#entries.set(key, { op: 'delete', row: null, older: NONE, key: old });
    else if (before.op === 'delete') return false;
    else if (before.op === 'insert') this.#entries.delete(key);
    else Object.assign(before, { op: 'delete', row: null, older: NONE });
    return true;
  }
}

class ImageNet {
  readonly #map: RowMap;
  readonly #entries = new Map<string, { image: Required<RowVersions>; net: number }>();

  constructor(map: RowMap) {
    this.#map = map;
  }

  // Rows that are equal cannot be told apart, so only how many of them there are in the end counts.
  add(change: RowChange): boolean {
    if (change.kind === 'insert') {
      if (lacksValue(change.row, this.#map.columns)) return false;
    } else {
      if (change.old?.kind !== 'full') return false;
      this.#count(change.old.tuple, NONE, -1);
    }
    if (change.kind !== 'delete') {
      const old = change.kind === 'update' && change.row.partial && change.old ? [change.old.tuple] : NONE;
      this.#count(change.row, old, 1);
    }
    return true;
  }

  result(): NetChanges {
    const images: ImageCount[] = [];
    const inserts: RowVersions[] = [];
    for (const { image, net } of this.#entries.values()) {
      if (net < 0) images.push({ image: image.row, count: -net });
      for (let left = net; left > 0; left--) inserts.push(image);
    }
    return { deletes: [], updates: [], inserts, images };
  }

  #count(row: Tuple, older: readonly Tuple[], change: 1 | -1): void {
    const key = older.length === 0 ? bytesKey(row, this.#map.columns) : this.#mergedKey(row, older);
    const entry = this.#entries.get(key);
    if (!entry) {
      this.#entries.set(key, { image: { row, older }, net: change });
      return;
    }
    entry.net += change;
    // A complete image serves both ways; one in versions can only be inserted.
    if (entry.image.older.length > 0 && older.length === 0) entry.image = { row, older };
  }

  #mergedKey(row: Tuple, older: readonly Tuple[]): string {
    return this.#map.columns
      .map((column) => bytesKey([row, ...older].find((tuple) => !isUnchanged(tuple, column)) ?? row, [column]))
      .join('');
  }
}
