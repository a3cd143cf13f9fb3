/** What a comparison of one table has found, so far or at its end. */
export interface TableValidation {
  /** The last five are ends; `unsettled`: no difference, but rows were changed too often to tell. */
  state: 'waiting' | 'running' | 'equal' | 'different' | 'unsettled' | 'failed' | 'cancelled';
  startedAt: string | null;
  finishedAt: string | null;
  rows: number;
  /** Rows that only the source has, that only the target has, that hold other values. */
  missing: number;
  extra: number;
  different: number;
  unsettled: number;
  /** False where it stopped after many differences. */
  complete: boolean;
  examples: readonly { readonly kind: 'missing' | 'extra' | 'different'; readonly key: string }[];
  /** Columns whose values cannot be compared. */
  columnsNotCompared: readonly string[];
  /** Why it failed. */
  reason: string | null;
}

/** GET /api/v1/validations: the comparison under way, or the last one of this process. */
export interface Validations {
  running: boolean;
  requestedBy: string | null;
  startedAt: string | null;
  finishedAt: string | null;
  tables: ({ table: string } & TableValidation)[];
}

export function waiting(): TableValidation {
  return {
    state: 'waiting',
    startedAt: null,
    finishedAt: null,
    rows: 0,
    missing: 0,
    extra: 0,
    different: 0,
    unsettled: 0,
    complete: true,
    examples: [],
    columnsNotCompared: [],
    reason: null,
  };
}

/** Rows that differ. */
export function mismatches({ missing, extra, different }: Pick<TableValidation, 'missing' | 'extra' | 'different'>): number {
  return missing + extra + different;
}

/** The comparison under way or the last one, table by table. */
export class ValidationBook {
  #run: Omit<Validations, 'tables'> = { running: false, requestedBy: null, startedAt: null, finishedAt: null };
  #tables = new Map<string, TableValidation>();

  begin(tables: readonly string[], requestedBy: string, at: string): void {
    this.#tables = new Map(tables.map((table) => [table, waiting()]));
    this.#run = { running: true, requestedBy, startedAt: at, finishedAt: null };
  }

  table(table: string, validation: TableValidation): void {
    if (this.#tables.has(table)) this.#tables.set(table, validation);
  }

  end(at: string): void {
    this.#run = { ...this.#run, running: false, finishedAt: at };
  }

  read(): Validations {
    return { ...this.#run, tables: Array.from(this.#tables, ([table, validation]) => ({ table, ...validation })) };
  }
}
