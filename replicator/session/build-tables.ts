import { displayName } from '../catalog/relation.ts';
import type { Config } from '../config/schema.ts';
import { markCreated } from '../metadata/created-tables.ts';
import { storeIndexed } from '../metadata/many-tables.ts';
import { nextProgress } from '../metadata/table-state.ts';
import { describeError, SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';
import { addForeignKeys } from '../schema/add-foreign-keys.ts';
import { buildAfterData, type Refusal } from '../schema/build-steps.ts';
import { planForeignKeys } from '../schema/foreign-keys.ts';
import { planTables } from '../schema/read-parts.ts';
import type { TablePlan } from '../schema/step.ts';
import type { Bell } from './bell.ts';
import { blame, on } from './blame.ts';
import type { Boundary } from './boundary.ts';
import { onBuildSource, openBuildTarget } from './build-lines.ts';
import { ClientPool } from './client-pool.ts';
import type { FollowedTable } from './followed-table.ts';
import { noteSaved, saveTable } from './store-tables.ts';
import type { Ends } from './ends.ts';
import { RetryClock } from './retry-clock.ts';
import type { TableSet } from './table-set.ts';

const LOOK_MS = 200;
/** With every table complete. */
const IDLE_LOOK_MS = 2000;
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
    /** What the table goes without, and which foreign keys. */
    unbuilt(table: FollowedTable, refusals: readonly Refusal[]): void;
    unlinked(table: FollowedTable, refusals: readonly Refusal[]): void;
  };
}

/**
 * Gives tables that we have created what they get after their rows, wherever the last session has left it: keys, indexes
 * and constraints while their changes are spooled, then foreign keys, once both sides stream. Several tables, and
 * several indexes of one, side by side.
 */
export async function buildTables(options: BuildTablesOptions, signal: AbortSignal): Promise<void> {
  const builder = new Builder(options, signal);
  try {
    while (!signal.aborted) {
      await builder.look();
      await options.bell.heard(builder.idle ? IDLE_LOOK_MS : LOOK_MS, signal);
    }
  } finally {
    await builder.close();
  }
}

class Builder {
  readonly #options: BuildTablesOptions;
  readonly #signal: AbortSignal;
  readonly #pool: ClientPool;
  readonly #underWay = new Map<FollowedTable, Promise<void>>();
  /** Tables that are built, which is not stored yet. */
  readonly #built: FollowedTable[] = [];
  /** When foreign keys that failed are tried again. */
  readonly #links = new RetryClock(Date.now);
  /** Tables that have to stream before the foreign keys of a table can be made. */
  readonly #awaited = new Map<FollowedTable, readonly string[]>();
  readonly #cut = (): void => this.#pool.cut();

  constructor(options: BuildTablesOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
    this.#pool = new ClientPool(options.config.snapshot.workers, () => openBuildTarget(options.config));
    signal.addEventListener('abort', this.#cut, { once: true });
  }

  async close(): Promise<void> {
    this.#pool.cut();
    this.#signal.removeEventListener('abort', this.#cut);
    await Promise.allSettled(this.#underWay.values());
    await this.#pool.rest();
  }

  get idle(): boolean {
    return this.#underWay.size === 0 && this.#options.tables.all.every((table) => !table.unbuilt && !table.unlinked);
  }

  /** Starts what is due. */
  async look(): Promise<void> {
    const { tables, clock } = this.#options;
    const free = tables.all.filter((table) => table.target !== null && !this.#underWay.has(table));
    if (this.#underWay.size <= TABLES_A_LOOK / 2) {
      const bare = free.filter((table) => table.unbuilt && table.hasRows && clock.due(table.name)).slice(0, TABLES_A_LOOK / 2);
      if (bare.length > 0) await this.#start(bare);
    }
    const alone = free
      .filter((table) => !table.unbuilt && table.unlinked && streams(table) && this.#links.due(table.name))
      .filter((table) => (this.#awaited.get(table) ?? []).every((name) => !tables.get(name) || isStreaming(tables.get(name))))
      .slice(0, TABLES_A_LOOK);
    if (alone.length > 0) await this.#link(alone);
    if (this.#underWay.size === 0) await this.#pool.rest();
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
      .finally(() => this.#underWay.delete(table));
    this.#underWay.set(table, tracked);
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
    await boundary.at(() => this.#storeBuilt());
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

  async #link(tables: readonly FollowedTable[]): Promise<void> {
    const { ends, config, tables: all, observer } = this.#options;
    const checked = ends.limits.some(({ code }) => code === 'REPLICA_ROLE_REFUSED');
    try {
      const plans = await onBuildSource(config, this.#signal, (source) =>
        planForeignKeys({ source, target: ends.target }, config.name, tables.map(ofSource), {
          mappingOf: (name) => all.get(displayName(name))?.mapping ?? null,
          targetVersion: ends.targetVersion,
        }),
      );
      const linked: FollowedTable[] = [];
      for (const [at, table] of tables.entries()) {
        const keys = plans[at] ?? [];
        const now = keys.filter((key) => key.impossible !== null || checked || isStreaming(all.get(key.refersTo)));
        const refusals =
          now.length === 0
            ? []
            : await this.#pool.use((client) => addForeignKeys(client, config.name, table.mapping.target, { keys: now, checked }));
        observer.unlinked(table, refusals);
        this.#awaited.set(
          table,
          keys.filter((key) => !now.includes(key)).map(({ refersTo }) => refersTo),
        );
        if (now.length === keys.length) linked.push(table);
      }
      const names = linked.map(({ mapping }) => mapping.target);
      await on('target', markCreated(ends.target, config.name, names, 'linked_at'));
      for (const table of linked) table.unlinked = false;
    } catch (error) {
      if (this.#signal.aborted) return;
      for (const table of tables.filter((each) => each.unlinked)) {
        this.#links.failed(table.name);
        // Locks that were not to be had are tried again without a word.
        if (sqlState(error) !== SQLSTATE.lock_not_available)
          observer.unlinked(table, [{ part: 'its foreign keys for now', isKey: false, reason: describeError(error), sql: [] }]);
      }
    }
  }
}

function ofSource({ source, mapping }: FollowedTable): Pick<FollowedTable, 'mapping'> & { oid: number } {
  return { oid: source.oid, mapping };
}

function streams(table: FollowedTable): boolean {
  return table.progress.state === 'streaming' && !table.spooling;
}

function isStreaming(table: FollowedTable | null): boolean {
  return table !== null && streams(table);
}

function keyRefused(table: FollowedTable, { part, reason, sql }: Refusal): Problem {
  return new Problem('SCHEMA_NOT_CREATED', `The target does not take the ${part} of ${table.name}: ${reason}.`, {
    table: table.name,
    remedy: `Mend what the message names; it is tried again by itself. It was: ${sql.join('; ')}`,
  });
}
