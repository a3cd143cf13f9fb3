import type { StatusModel } from '../observe/model.ts';
import type { CommitWait } from './commit-waits.ts';
import type { Teller } from './teller.ts';

/** Shows at each table what it waits for, and tells it once. */
export class WaitTeller {
  readonly #model: StatusModel;
  readonly #teller: Teller;
  readonly #told = new Set<string>();

  constructor({ model, teller }: { model: StatusModel; teller: Teller }) {
    this.#model = model;
    this.#teller = teller;
  }

  /** Null: they wait no longer. */
  tell(tables: readonly string[], wait: CommitWait | null): void {
    for (const table of tables) this.#model.followed.waits(table, wait);
    if (!wait || this.#told.has(wait.message)) return;
    this.#told.add(wait.message);
    const [table] = tables;
    const one = tables.length === 1 && table !== undefined ? { table } : {};
    const message = `${tables.length === 1 ? table : `${tables.length} tables`}: ${wait.message}`;
    this.#teller.tell({ level: 'warn', code: 'COMMITS_AWAITED', message, remedy: wait.remedy, ...one });
  }
}
