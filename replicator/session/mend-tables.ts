import type { Config } from '../config/schema.ts';
import type { Refusal } from '../schema/build-steps.ts';
import { mendParts } from '../schema/mend-steps.ts';
import { planTables } from '../schema/read-parts.ts';
import type { Bell } from './bell.ts';
import { onBuildSource } from './build-lines.ts';
import { buildLoop, type BuildWork } from './build-loop.ts';
import type { ClientPool } from './client-pool.ts';
import type { FollowedTable } from './followed-table.ts';
import type { Ends } from './ends.ts';
import { RetryClock } from './retry-clock.ts';
import type { TableSet } from './table-set.ts';

export interface MendTablesOptions {
  readonly ends: Ends;
  readonly config: Config;
  readonly tables: TableSet;
  /** Somebody has asked for a table. */
  readonly bell: Bell;
  readonly observer: {
    /** Parts of a table that are there now. */
    mended(table: FollowedTable, parts: readonly string[]): void;
    /** What it still goes without. */
    unbuilt(table: FollowedTable, refusals: readonly Refusal[]): void;
  };
}

/**
 * Tries once more what the target has refused of tables that we have created (an index whose operator class was not there), once a
 * session and whenever somebody asks for it. The stream goes on meanwhile.
 */
export async function mendTables(options: MendTablesOptions, signal: AbortSignal): Promise<void> {
  // One connection: nobody waits for it.
  await buildLoop({ ...options, connections: 1 }, (pool) => new Mender(options, pool, signal), signal);
}

class Mender implements BuildWork {
  readonly #options: MendTablesOptions;
  readonly #pool: ClientPool;
  readonly #signal: AbortSignal;
  /** What passes by itself. */
  readonly #clock = new RetryClock(Date.now);

  constructor(options: MendTablesOptions, pool: ClientPool, signal: AbortSignal) {
    this.#options = options;
    this.#pool = pool;
    this.#signal = signal;
  }

  get idle(): boolean {
    return this.#options.tables.all.every(({ mend }) => mend === 'no');
  }

  async look(): Promise<void> {
    const clock = this.#clock;
    for (const table of this.#options.tables.all.filter((each) => isDue(each) && clock.due(each.name))) {
      try {
        await this.#mend(table);
        clock.succeeded(table.name);
      } catch {
        if (this.#signal.aborted) return;
        clock.failed(table.name);
      }
    }
  }

  async #mend(table: FollowedTable): Promise<void> {
    const { ends, config, observer } = this.#options;
    const asked = table.mend === 'asked';
    const { mapping } = table;
    const plans = await onBuildSource(config, this.#signal, (source) =>
      planTables({ source, target: ends.target }, config.name, [{ oid: table.source.oid, mapping }], 'refused'),
    );
    for (const plan of plans) {
      const { made, refusals } = await mendParts(plan, { pipeline: config.name, use: (work) => this.#pool.use(work) });
      if (made.length > 0) observer.mended(table, made);
      // At a start that is no news.
      if (asked) observer.unbuilt(table, refusals);
      table.lacking = refusals.length > 0 || plan.impossible.length > 0;
    }
    table.mend = 'no';
  }
}

// While it is copied or in error there is nothing to be gained.
function isDue({ mend, unbuilt, spooling, progress }: FollowedTable): boolean {
  return mend !== 'no' && !unbuilt && !spooling && progress.state === 'streaming';
}
