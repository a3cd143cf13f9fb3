import type { Config } from '../config/schema.ts';
import { markCreated } from '../metadata/created-tables.ts';
import { storeIndexed } from '../metadata/many-tables.ts';
import { nextProgress } from '../metadata/table-state.ts';
import { Problem } from '../problem.ts';
import { buildAfterData, type Refusal } from '../schema/build-steps.ts';
import { planTables } from '../schema/read-parts.ts';
import type { TablePlan } from '../schema/step.ts';
import type { Bell } from './bell.ts';
import { blame, on } from './blame.ts';
import type { Boundary } from './boundary.ts';
import { onBuildSource } from './build-lines.ts';
import { buildLoop, type BuildWork } from './build-loop.ts';
import type { ClientPool } from './client-pool.ts';
import type { FollowedTable } from './followed-table.ts';
import { noteSaved, saveTable } from './store-tables.ts';
import type { Ends } from './ends.ts';
import type { RetryClock } from './retry-clock.ts';
import type { TableSet } from './table-set.ts';

/** Tables whose catalogs are read in one go; so many at most wait for their turn at a time, with all that is to be made of them. */
const TABLES_A_LOOK = 200;

export interface BuildTablesOptions {
  readonly ends: Ends;
  readonly config: Config;
  readonly tables: TableSet;
  readonly boundary: Boundary;
  readonly clock: RetryClock;
  /** A table stands elsewhere than before. */
  readonly bell: Bell;
  readonly observer: {
    /** It is being built, or complete. */
    stands(table: FollowedTable): void;
    failed(table: FollowedTable, problem: Problem): Promise<void>;
    /** What the table goes without. */
    unbuilt(table: FollowedTable, refusals: readonly Refusal[]): void;
  };
}

/**
 * Gives tables that we have created what they get after their rows, wherever the last session has left it: keys, indexes
 * and constraints while their changes are spooled. Several tables, and several indexes of one, side by side.
 */
export async function buildTables(options: BuildTablesOptions, signal: AbortSignal): Promise<void> {
  const connections = options.config.snapshot.workers;
  await buildLoop({ ...options, connections }, (pool) => new Builder(options, pool, signal), signal);
}

class Builder implements BuildWork {
  readonly #options: BuildTablesOptions;
  readonly #signal: AbortSignal;
  readonly #pool: ClientPool;
  readonly underWay = new Map<FollowedTable, Promise<void>>();
  /** Tables that are built, which is not stored yet. */
  readonly #built: FollowedTable[] = [];

  constructor(options: BuildTablesOptions, pool: ClientPool, signal: AbortSignal) {
    this.#options = options;
    this.#pool = pool;
    this.#signal = signal;
  }

  get idle(): boolean {
    return this.underWay.size === 0 && this.#options.tables.all.every((table) => !table.unbuilt);
  }

  async look(): Promise<void> {
    if (this.underWay.size > TABLES_A_LOOK / 2) return;
    const { tables, clock } = this.#options;
    const free = tables.all.filter((table) => table.target !== null && !this.underWay.has(table));
    const bare = free.filter((table) => table.unbuilt && table.hasRows && clock.due(table.name)).slice(0, TABLES_A_LOOK / 2);
    if (bare.length > 0) await this.#start(bare);
  }

  async #start(tables: readonly FollowedTable[]): Promise<void> {
    const { ends, config } = this.#options;
    try {
      const plans = await onBuildSource(config, this.#signal, (source) =>
        planTables({ source, target: ends.target }, config.name, tables.map(ofSource)),
      );
      for (const [at, table] of tables.entries()) {
        const plan = plans[at];
        if (plan) this.#track(table, this.#build(table, plan));
      }
    } catch (error) {
      if (this.#signal.aborted) return;
      for (const table of tables) await this.#options.observer.failed(table, blame('source', error));
    }
  }

  #track(table: FollowedTable, work: Promise<void>): void {
    const tracked = work
      .catch(async (error: unknown) => {
        if (!this.#signal.aborted) await this.#options.observer.failed(table, blame('target', error));
      })
      .finally(() => this.underWay.delete(table));
    this.underWay.set(table, tracked);
    tracked.catch(() => {});
  }

  async #build(table: FollowedTable, plan: TablePlan): Promise<void> {
    const { ends, config, boundary, clock, observer } = this.#options;
    if (table.progress.state === 'error') {
      table.progress = nextProgress(table.progress, { type: 'index again' });
      await on('target', saveTable(ends.target, config.name, table));
    }
    observer.stands(table);
    const refusals = await buildAfterData(plan, { pipeline: config.name, use: (work) => this.#pool.use(work) });
    const lacking = refusals.find(({ isKey }) => isKey);
    if (lacking) throw keyRefused(table, lacking);
    this.#built.push(table);
    await boundary.at(() => this.#storeBuilt(), { whilePaused: true });
    clock.succeeded(table.name);
    observer.stands(table);
    observer.unbuilt(table, refusals);
  }

  // All that have come together by then: there may be thousands.
  async #storeBuilt(): Promise<void> {
    const { ends, config } = this.#options;
    const built = this.#built.splice(0).filter((table) => table.progress.state === 'indexing');
    if (built.length === 0) return;
    const names = built.map(({ mapping }) => mapping);
    await on(
      'target',
      markCreated(
        ends.target,
        config.name,
        names.map(({ target }) => target),
        'built_at',
      ),
    );
    await on(
      'target',
      storeIndexed(
        ends.target,
        config.name,
        names.map(({ source }) => source),
      ),
    );
    for (const table of built) {
      table.unbuilt = false;
      table.progress = nextProgress(table.progress, { type: 'indexed' });
      noteSaved(table);
    }
  }
}

function ofSource({ source, mapping }: FollowedTable): Pick<FollowedTable, 'mapping'> & { oid: number } {
  return { oid: source.oid, mapping };
}

function keyRefused(table: FollowedTable, { part, reason, sql }: Refusal): Problem {
  return new Problem('SCHEMA_NOT_CREATED', `The target does not take the ${part} of ${table.name}: ${reason}.`, {
    table: table.name,
    remedy: `Mend what the message names; it is tried again by itself. It was: ${sql.join('; ')}`,
  });
}
