import type { StatementPipe } from '../postgres/statement-pipe.ts';

/**
 * How rows are to be found: one by its key; of staged rows each by its key's index, all by the index from one key to another, or in one pass
 * over the table; images, whose index, if there is one, nobody knows beforehand. The planner guesses badly when left alone: of staged rows it has
 * no statistics, and a plan that reads the whole of a small table would be kept while the table grows.
 */
export type Search = 'key' | 'index' | 'range' | 'hash' | 'either';

const METHODS = ['nestloop', 'mergejoin', 'hashjoin', 'seqscan'] as const;

/** Where nothing else is possible, the others are used all the same. */
const PLANS: Readonly<Record<Search, readonly [boolean, boolean, boolean, boolean]>> = {
  key: [true, true, true, false],
  index: [true, false, false, false],
  range: [false, true, false, false],
  hash: [false, false, true, true],
  either: [true, false, true, true],
};

/** What the session of an applier begins with: a lone change that a key finds needs no setting. */
export const SEARCH_BY_KEY = { enable_seqscan: 'off' };

/** The planner's settings in an applier's session, local to a transaction. */
export class PlannerSettings {
  #search: Search | null = 'key';

  /** A transaction begins. */
  begin(): void {
    this.#search = 'key';
  }

  /** A part of the transaction was rolled back, and with it what was set there. */
  partUndone(): void {
    this.#search = null;
  }

  prefer(pipe: Pick<StatementPipe, 'run'>, search: Search): void {
    if (this.#search === search) return;
    this.#search = search;
    const settings = METHODS.map(
      (name, i) => `pg_catalog.set_config('enable_${name}', '${PLANS[search][i] ? 'on' : 'off'}', true)`,
    );
    pipe.run(`SELECT ${settings.join(', ')}`);
  }
}
