import { parseLsn, type Lsn } from '../postgres/lsn.ts';
import { Problem } from '../problem.ts';
import type { PlannedChange, RowChange } from './plan.ts';
import type { RowMap } from './row-map.ts';
import type { Statement } from './statements.ts';
import { describeKey } from './tuple.ts';

export interface RowCounts {
  insert: number;
  update: number;
  delete: number;
  truncate: number;
}

/** A row that was not applied as it was sent. */
export interface Conflict {
  readonly table: string;
  readonly kind: 'insertExists' | 'updateMissing' | 'deleteMissing';
  readonly key: string;
}

/** What one batch brought. */
export interface Applied {
  readonly rows: number;
  readonly perTable: ReadonlyMap<string, RowCounts>;
  readonly conflicts: readonly Conflict[];
  /** As its net effect; in source order because the target did not take that; or in source order from the start. */
  readonly way: 'folded' | 'replayed' | 'in order';
  /** Bytes that were kept for later, by table. */
  readonly spooled: ReadonlyMap<string, number>;
  /** A position behind the commit in the target's WAL; null when nothing was committed. */
  readonly targetLsn: Lsn | null;
  /** What the commit took by the target's own clock, in ms; 0 when nothing was committed. */
  readonly commitMs: number;
}

/** A statement for many rows touched another number of them: the target is not as the source was. */
export class SetMismatch extends Error {
  override readonly name = 'SetMismatch';
  readonly map: RowMap;
  constructor(map: RowMap, what: string) {
    super(what);
    this.map = map;
  }
}

/** What the answers of one batch say, matched with the changes they belong to. */
export class Run {
  #sent: (Sent | undefined)[] = [];
  readonly #perTable = new Map<string, RowCounts>();
  readonly #conflicts: Conflict[] = [];
  readonly #spooled = new Map<string, number>();
  #rows = 0;
  #mismatch: SetMismatch | null = null;
  walStatement = -1;
  #firing: RowMap | null = null;
  checkpointStatement = -1;
  targetLsn: Lsn | null = null;
  #checkpointedAt: number | null = null;
  #commitMs = 0;
  way: Applied['way'] = 'in order';

  /** A new pipe begins: its statements are counted from 0 again. */
  begin(): void {
    this.#sent = [];
    this.checkpointStatement = -1;
    this.walStatement = -1;
  }

  expect(index: number, planned: PlannedChange, statement: Statement): void {
    this.#sent[index] = { planned, statement };
    if (planned.map.target.firesOnReplica) this.#firing ??= planned.map;
  }

  expectRows(index: number, map: RowMap, rows: number): void {
    this.#sent[index] = { map, rows };
  }

  expectTruncate(index: number, maps: readonly RowMap[]): void {
    this.#sent[index] = { truncated: maps };
  }

  /** Bytes of a table's changes that were kept for later. */
  kept(table: string, bytes: number): void {
    this.#spooled.set(table, (this.#spooled.get(table) ?? 0) + bytes);
  }

  /** Changes of a table that were applied as their net effect. */
  folded(map: RowMap, changes: readonly RowChange[]): void {
    const counts = this.#count(map.table);
    for (const change of changes) counts[change.kind]++;
    this.#rows += changes.length;
  }

  completed(index: number, rows: number): void {
    const sent = this.#sent[index];
    if (!sent) return;
    if ('truncated' in sent) {
      for (const map of sent.truncated) this.#count(map.table).truncate++;
    } else if ('rows' in sent) {
      if (rows !== sent.rows) this.#mismatch ??= new SetMismatch(sent.map, `${sent.map.table}: ${rows} of ${sent.rows} rows`);
    } else {
      const { change, map } = sent.planned;
      this.#count(map.table)[change.kind]++;
      this.#rows++;
      const { answer } = sent.statement;
      const missed = answer === 'touched' ? rows === 0 : rows > 0 && answer === 'inserted';
      if (change.kind !== 'insert' && missed)
        this.#conflict(sent.planned, change.kind === 'update' ? 'updateMissing' : 'deleteMissing');
    }
  }

  returned(index: number, fields: (string | null)[]): void {
    if (index === this.walStatement && fields[0]) {
      this.targetLsn = parseLsn(fields[0]);
      if (this.#checkpointedAt !== null) this.#commitMs = Math.max(0, (Number(fields[1]) - this.#checkpointedAt) * 1000);
    }
    if (index === this.checkpointStatement) this.#checkpointedAt = Number(fields[1]);
    const sent = this.#sent[index];
    if (sent && 'statement' in sent && sent.statement.answer === 'existed' && fields[0] !== '0')
      this.#conflict(sent.planned, 'insertExists');
  }

  /** The change whose statement has this index, if it is one. */
  change(index: number): PlannedChange | null {
    const sent = this.#sent[index];
    return sent && 'planned' in sent ? sent.planned : null;
  }

  /** The table whose many rows the statement with this index has, if it is one of those. */
  setOf(index: number): RowMap | null {
    const sent = this.#sent[index];
    return sent && 'rows' in sent ? sent.map : null;
  }

  truncated(index: number): readonly RowMap[] {
    const sent = this.#sent[index];
    return sent && 'truncated' in sent ? sent.truncated : [];
  }

  /**
   * A table whose deferred triggers the COMMIT fires, if this is that; its error does not tell of which. Where it was another one, that
   * is what the next try comes to.
   */
  firedBy(index: number): RowMap | null {
    return index === this.walStatement - 1 ? this.#firing : null;
  }

  /** Throws SetMismatch when a statement for many rows did not touch exactly those. */
  refuseMismatch(): void {
    if (this.#mismatch !== null) throw this.#mismatch;
  }

  /** Throws ROW_MISSING when an UPDATE or DELETE found no row. */
  refuseMisses(): void {
    const miss = this.#conflicts.find((conflict) => conflict.kind !== 'insertExists');
    if (!miss) return;
    throw new Problem(
      'ROW_MISSING',
      `${miss.kind === 'updateMissing' ? 'An UPDATE' : 'A DELETE'} of ${miss.table} found no row with ${miss.key} on the target.`,
      {
        table: miss.table,
        retry: 'transient',
        remedy: 'Put the row in on the target, or set apply.onMissing to skip or insert.',
      },
    );
  }

  result(): Applied {
    const { targetLsn, way } = this;
    return {
      rows: this.#rows,
      perTable: this.#perTable,
      conflicts: this.#conflicts,
      spooled: this.#spooled,
      way,
      targetLsn,
      commitMs: this.#commitMs,
    };
  }

  #conflict({ change, map }: PlannedChange, kind: Conflict['kind']): void {
    const tuple =
      change.kind === 'delete' ? change.old.tuple : change.kind === 'update' ? (change.old?.tuple ?? change.row) : change.row;
    this.#conflicts.push({ table: map.table, kind, key: describeKey(map, tuple) });
  }

  #count(table: string): RowCounts {
    let counts = this.#perTable.get(table);
    if (!counts) this.#perTable.set(table, (counts = { insert: 0, update: 0, delete: 0, truncate: 0 }));
    return counts;
  }
}

type Sent =
  | { readonly planned: PlannedChange; readonly statement: Statement }
  | { readonly map: RowMap; readonly rows: number }
  | { readonly truncated: readonly RowMap[] };
