import type { Client } from 'pg';
import type { Applier } from '../apply/applier.ts';
import type { Config } from '../config/schema.ts';
import { hasChunks } from '../metadata/copy-chunks.ts';
import { nextProgress } from '../metadata/table-state.ts';
import { storeCopied } from '../metadata/table-states.ts';
import type { Problem } from '../problem.ts';
import { on } from './blame.ts';
import type { Boundary } from './boundary.ts';
import type { Ends } from './ends.ts';
import { failTable, type FollowedTable } from './followed-table.ts';
import type { RetryClock } from './retry-clock.ts';
import { saveTable } from './store-tables.ts';
import type { TableSet } from './table-set.ts';

export interface CopyEndingsOptions {
  readonly ends: Ends;
  readonly config: Config;
  /** Of the target, for everything but rows. */
  readonly control: Client;
  readonly tables: TableSet;
  readonly applier: Applier;
  readonly boundary: Boundary;
  readonly clock: RetryClock;
  readonly observer: {
    /** What a table was copied as of cannot be had any more: it is copied as of another state. */
    beginsAgain(problem: Problem): void;
    /** Not copied because of snapshot.copy: false, although it came later or its copy was not complete. */
    takenAsIs(table: string): void;
  };
  /** A table's state is another one. */
  readonly stands: (table: FollowedTable) => void;
  readonly joined: (table: FollowedTable) => void;
  /** What stands in the way of a table may be gone. */
  readonly rescan: () => void;
  /** One more is copied or given up, or it was looked whether there is something to do. */
  readonly looked: () => void;
}

/** What becomes of a table that is not copied now: given up, put back to be copied anew, or taken as it is. */
export class CopyEndings {
  readonly #options: CopyEndingsOptions;

  constructor(options: CopyEndingsOptions) {
    this.#options = options;
  }

  /** Each for the reason that `why` gives. */
  async giveUpAll(tables: readonly FollowedTable[], why: (table: FollowedTable) => Problem): Promise<void> {
    for (const table of tables) await this.giveUp(table, why(table));
  }

  /** What the spool holds is of no use without the rows; a copy that is tried again begins with an empty one. */
  async giveUp(table: FollowedTable, problem: Problem): Promise<void> {
    const { boundary, applier, clock, control, config, stands, looked, tables } = this.#options;
    // It was removed meanwhile.
    if (tables.get(table.name) !== table) return;
    failTable(table, problem);
    clock.failed(table.name);
    stands(table);
    looked();
    await boundary.at(
      async () => {
        Object.assign(table, { spooling: false, hasRows: false });
        await on('target', saveTable(control, config.name, table));
        applier.reroute();
      },
      { whilePaused: true },
    );
  }

  /**
   * To be copied as of another snapshot, at once; where the table has changed, after a look at what it is now. On a standby there is
   * none, so that is thrown: the next session begins anew.
   */
  async putBack(table: FollowedTable, problem: Problem): Promise<void> {
    const { control, config, ends, tables, stands, observer, clock, rescan } = this.#options;
    if (ends.sourceIdentity.inRecovery) throw problem;
    if (tables.get(table.name) !== table) return;
    observer.beginsAgain(problem);
    if (problem.code === 'TABLE_REWRITTEN') {
      clock.failed(table.name);
      rescan();
    }
    table.partial = await on('target', hasChunks(control, config.name, table.mapping.source));
    table.progress = nextProgress(table.progress, { type: 'copy again' });
    stands(table);
  }

  /** snapshot.copy: false, between two batches. The rows are there already. */
  async takeAsIs(table: FollowedTable): Promise<void> {
    const { control, config, applier, clock, joined, tables, observer } = this.#options;
    if (tables.get(table.name) !== table) return;
    const nothing = { rows: 0, bytes: 0, asOf: null, bare: table.unbuilt, after: 'pending' as const };
    await on('target', storeCopied(control, config.name, table.mapping.source, nothing));
    const steps = table.unbuilt ? (['copy started', 'copied bare'] as const) : (['copy started', 'copied', 'caught up'] as const);
    for (const type of steps) table.progress = nextProgress(table.progress, { type });
    Object.assign(table, { hasRows: true, spooling: table.unbuilt });
    await on('target', saveTable(control, config.name, table));
    applier.reroute();
    clock.succeeded(table.name);
    observer.takenAsIs(table.name);
    joined(table);
  }
}
