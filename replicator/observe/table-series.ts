import { mismatches } from './validation.ts';
import type { ConflictKind, RowOp, TableStatus } from './status.ts';

/** The label of all tables that have none of their own; no table is called so, its name would have a dot. */
export const OTHERS = '(others)';

const OPS: readonly RowOp[] = ['insert', 'update', 'delete', 'truncate'];
const KINDS: readonly ConflictKind[] = ['insertExists', 'updateMissing', 'deleteMissing'];

/** What counters say of one table, or of several together. */
export interface TableCounts {
  readonly applied: Record<RowOp, number>;
  readonly conflicts: Record<ConflictKind, number>;
  readonly copied: { rows: number; bytes: number };
}

export interface TableSeries extends TableCounts {
  readonly label: string;
  readonly spooledBytes: number;
  /** Null where it is not known, or several tables are meant. */
  readonly rowsEstimated: number | null;
  /** Of the last comparison; null where there was none. */
  readonly mismatchedRows: number | null;
  /** When both sides were found equal last; null where they were not, or several tables are meant. */
  readonly equalAtMs: number | null;
}

type Copied = (source: string) => { rows: number; bytes: number };

/**
 * Which tables have series of their own, so that their number stays bounded. Up to `limit` tables all have; of more,
 * those that first have something to tell, and the rest are summed up as OTHERS. No counter ever falls, which would be
 * read as a restart: a table keeps its series for as long as it is followed, and OTHERS adds up what has come since the
 * last time.
 */
export class TableSeriesBook {
  readonly #limit: number;
  readonly #own = new Set<string>();
  readonly #others = none();
  /** What was counted of each table that is among the others. */
  readonly #counted = new Map<string, TableCounts>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The series of this moment. */
  series(tables: readonly TableStatus[], copiedOf: Copied): TableSeries[] {
    const followed = new Set(tables.map((table) => table.source));
    for (const known of [this.#own, this.#counted])
      for (const source of known.keys()) if (!followed.has(source)) known.delete(source);
    const all = tables.length <= this.#limit;
    const series: TableSeries[] = [];
    let spooled = 0;
    let mismatched: number | null = null;
    for (const table of tables) {
      const { source, applied, conflicts } = table;
      const copied = copiedOf(source);
      if (this.#own.size < this.#limit && (all || tells(table))) this.#own.add(source);
      if (this.#own.has(source)) {
        this.#counted.delete(source);
        const { spooledBytes, snapshot } = table;
        const { rowsEstimated } = snapshot;
        series.push({ label: source, applied, conflicts, copied, spooledBytes, rowsEstimated, ...compared(table) });
      } else {
        this.#count(source, { applied, conflicts, copied });
        spooled += table.spooledBytes;
        if (table.validation) mismatched = (mismatched ?? 0) + mismatches(table.validation);
      }
    }
    if (followed.size > this.#own.size || this.#counted.size > 0)
      series.push({
        label: OTHERS,
        ...this.#others,
        spooledBytes: spooled,
        rowsEstimated: null,
        mismatchedRows: mismatched,
        equalAtMs: null,
      });
    return series;
  }

  #count(source: string, now: TableCounts): void {
    const before = this.#counted.get(source) ?? none();
    const others = this.#others;
    for (const op of OPS) others.applied[op] += Math.max(0, now.applied[op] - before.applied[op]);
    for (const kind of KINDS) others.conflicts[kind] += Math.max(0, now.conflicts[kind] - before.conflicts[kind]);
    for (const what of ['rows', 'bytes'] as const) others.copied[what] += Math.max(0, now.copied[what] - before.copied[what]);
    this.#counted.set(source, { applied: { ...now.applied }, conflicts: { ...now.conflicts }, copied: { ...now.copied } });
  }
}

function compared({ validation }: TableStatus): Pick<TableSeries, 'mismatchedRows' | 'equalAtMs'> {
  const equalAt = validation?.equalAt ?? null;
  return {
    mismatchedRows: validation && mismatches(validation),
    equalAtMs: equalAt === null ? null : Date.parse(equalAt),
  };
}

/** Rows that were copied by an earlier process are nothing new. */
function tells({ state, applied, conflicts, spooledBytes, validation }: TableStatus): boolean {
  return (
    state === 'copying' ||
    spooledBytes > 0 ||
    (validation !== null && mismatches(validation) > 0) ||
    OPS.some((op) => applied[op] > 0) ||
    KINDS.some((kind) => conflicts[kind] > 0)
  );
}

function none(): TableCounts {
  return {
    applied: { insert: 0, update: 0, delete: 0, truncate: 0 },
    conflicts: { insertExists: 0, updateMissing: 0, deleteMissing: 0 },
    copied: { rows: 0, bytes: 0 },
  };
}
