import type { StatusModel } from '../observe/model.ts';
import { stageOf } from '../observe/stage.ts';
import type { Problem } from '../problem.ts';
import type { Teller } from './teller.ts';

/** Why tables are in error, each on its own: told once, and once more when it is over. */
export class TableErrors {
  readonly #model: StatusModel;
  readonly #teller: Teller;
  readonly #known = new Map<string, Pick<Problem, 'code' | 'message'>>();

  constructor(options: { readonly model: StatusModel; readonly teller: Teller }) {
    this.#model = options.model;
    this.#teller = options.teller;
  }

  /** Whether this is the reason why a table is in error. */
  is(table: string, code: Problem['code']): boolean {
    return this.#known.get(table)?.code === code;
  }

  /** A table is in error. The same reason as before is not told again. */
  raise(table: string, error: Pick<Problem, 'code' | 'message' | 'remedy'>): void {
    const { code, message, remedy } = error;
    this.#model.followed.state(table, 'error', { code, message, remedy });
    const known = this.#known.get(table);
    if (known?.code === code && known.message === message) return;
    if (known) this.#model.clearProblem(known.code, table);
    this.#known.set(table, { code, message });
    this.#model.problem({ code, message, remedy, table });
    this.#model.error(stageOf(code), 'data');
    this.#teller.tell({ level: 'error', table, code, message, remedy });
  }

  /** A table is in error no more, if it was. */
  over(table: string): void {
    const known = this.#known.get(table);
    if (!known) return;
    this.#known.delete(table);
    this.#model.clearProblem(known.code, table);
    this.#teller.tell({ level: 'info', table, code: 'TABLE_RECOVERED', message: `What stood in the way of ${table} is over.` });
  }

  /** Other tables are no longer followed: what was wrong with them is over. */
  keepOnly(tables: ReadonlySet<string>): void {
    for (const table of this.#known.keys()) if (!tables.has(table)) this.over(table);
  }

  /** A table's error has become that of the whole session. */
  forget(table: string): void {
    this.#known.delete(table);
  }
}
