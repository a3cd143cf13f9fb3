import type { Applied } from '../apply/run.ts';
import { markPipeline } from '../metadata/pipeline-row.ts';
import { takesChanges } from '../metadata/table-state.ts';
import { readSpoolBytes } from '../metadata/spool.ts';
import type { StreamRelation } from '../pgoutput/messages.ts';
import type { Problem } from '../problem.ts';
import type { Refusal } from '../schema/build-steps.ts';
import { walEnd } from '../source/wal-position.ts';
import { Bell } from './bell.ts';
import { on } from './blame.ts';
import { buildTables } from './build-tables.ts';
import { failTable, type FollowedTable } from './followed-table.ts';
import { CopyRounds, type CopyRoundsOptions } from './copy-rounds.ts';
import type { Milestone } from './milestone.ts';
import { withColumnTypes } from './missing-columns.ts';
import { linkTables } from './link-tables.ts';
import { mendTables } from './mend-tables.ts';
import { drainSpools, type DrainOptions } from './spool-drain.ts';
import { saveTable } from './store-tables.ts';
import { TableWatch, type TableWatchObserver, type TableWatchOptions } from './table-watch.ts';

export interface TendOptions extends TableWatchOptions, Pick<CopyRoundsOptions, 'recent' | 'knownFrom' | 'first' | 'observer'> {
  readonly told: TableObserver;
}

/** What is heard of the tables, each on its own. */
export interface TableObserver extends TableWatchObserver {
  /** Its state is another one. */
  stands(table: FollowedTable): void;
  joined(table: FollowedTable): void;
  /** What a table that we have created goes without, and which foreign keys. */
  unbuilt(table: FollowedTable, refusals: readonly Refusal[]): void;
  unlinked(table: FollowedTable, refusals: readonly Refusal[]): void;
  /** Foreign keys that the target refuses as it stands; none where that is over. */
  lacksKeys(table: FollowedTable, refusals: readonly Refusal[]): void;
  /** Parts that the target had refused are there. */
  mended(table: FollowedTable, parts: readonly string[]): void;
  drained: DrainOptions['observer']['drained'];
  spooled(table: FollowedTable): void;
  /** Every table that was there at the beginning is copied, or given up. */
  firstCopied(tables: readonly FollowedTable[]): void;
}

/**
 * Looks after every table on its own while the stream goes on: tables that are new, that failed, that are to be copied
 * again, and those whose changes were kept.
 */
export class TableTender {
  readonly #options: TendOptions;
  readonly #mend = new Bell();
  readonly #link = new Bell();
  readonly #watch: TableWatch;
  #firstCopy: boolean;

  constructor(options: TendOptions) {
    this.#options = options;
    this.#watch = new TableWatch(options, options.told);
    this.#firstCopy = firstCopyIsOpen(options);
  }

  loops(signal: AbortSignal): Promise<void>[] {
    const { ends, tables, config, applier, boundary, clock, told } = this.#options;
    // What is copied is built at once, and what is built drained.
    const bells = { build: new Bell(), drain: new Bell() };
    const ring = (): void => {
      bells.build.ring();
      bells.drain.ring();
      this.#link.ring();
    };
    const { observer } = this.#options;
    const rounds = new CopyRounds({
      ...this.#options,
      observer: {
        ...observer,
        finished: (task, rows, bytes) => {
          observer.finished(task, rows, bytes);
          ring();
        },
      },
      control: ends.target,
      stands: (table) => told.stands(table),
      joined: (table) => told.joined(table),
      rescan: () => this.#watch.rescan(),
      looked: () => this.#lookAtFirstCopy(),
    });
    const loops = [
      rounds.run(signal),
      this.#watch.run(signal),
      buildTables(
        {
          ends,
          config,
          tables,
          boundary,
          clock,
          bell: bells.build,
          observer: {
            stands: (table) => {
              told.stands(table);
              ring();
            },
            failed: (table, problem) => this.fail(table, problem),
            unbuilt: (table, refusals) => {
              table.lacking = refusals.length > 0;
              told.unbuilt(table, refusals);
            },
          },
        },
        signal,
      ),
      linkTables({ ends, config, tables, bell: this.#link, observer: told }, signal),
      mendTables(
        {
          ends,
          config,
          tables,
          bell: this.#mend,
          observer: {
            unbuilt: (table, refusals) => told.unbuilt(table, refusals),
            mended: (table, parts) => {
              told.mended(table, parts);
              // What refers to it may have waited for that.
              for (const other of tables.all) this.link(other);
            },
          },
        },
        signal,
      ),
      drainSpools(
        {
          pipeline: config.name,
          target: ends.target,
          tables,
          applier,
          boundary,
          clock,
          bell: bells.drain,
          observer: {
            drained: (table, applied, ms) => told.drained(table, applied, ms),
            joined: (table) => told.joined(table),
            failed: (table, problem) => this.fail(table, problem),
          },
        },
        signal,
      ),
    ];
    // When it is over, what they were waiting for is no news.
    return loops.map((loop) =>
      loop.catch((error: unknown) => {
        if (!signal.aborted) throw error;
      }),
    );
  }

  /** Bytes that were kept in the spools before this session. */
  async loadSpoolSizes(): Promise<void> {
    const bytes = await on('target', readSpoolBytes(this.#options.ends.target, this.#options.config.name));
    for (const table of this.#options.tables.all) {
      table.spooledBytes = bytes.get(table.name) ?? 0;
      this.#options.told.spooled(table);
    }
  }

  /**
   * For the applier: a table does not take a change. From now on its changes are kept, until they can be applied; true
   * where that is so.
   */
  async quarantine(problem: Problem): Promise<boolean> {
    const { tables, config, ends } = this.#options;
    const table = problem.table === null ? null : tables.get(problem.table);
    if (!table || table.spooling || config.apply.onError === 'pipeline') return false;
    // Not before the change that was refused is in the spool: pieces of its transaction may come from the checkpoint again.
    const { source, sourceIdentity } = ends;
    const end = await on('source', walEnd(source, sourceIdentity.inRecovery));
    Object.assign(table, { spooling: true, copiedAsOf: { snapshot: null, walEnd: end } });
    await this.fail(table, await withColumnTypes(problem, table.mapping, ends));
    return true;
  }

  /** A table cannot go on for now. It is tried again by itself. */
  async fail(table: FollowedTable, problem: Problem): Promise<void> {
    const { clock, ends, config } = this.#options;
    failTable(table, problem);
    clock.failed(table.name);
    await on('target', saveTable(ends.target, config.name, table));
    this.#options.told.stands(table);
  }

  /** After every batch. */
  batch(applied: Applied): void {
    for (const [name, bytes] of applied.spooled) {
      const table = this.#options.tables.get(name);
      if (!table) continue;
      table.spooledBytes += bytes;
      this.#options.told.spooled(table);
    }
  }

  /** Shows where a table stands now. */
  tell(table: FollowedTable): void {
    this.#options.told.stands(table);
  }

  /** Tries once more what the target has refused of a table. */
  mend(table: FollowedTable): void {
    table.mend = 'asked';
    this.#mend.ring();
  }

  /** Tries once more the foreign keys of a table that the target has refused. */
  link(table: FollowedTable): void {
    if (table.foreignKeys !== 'refused') return;
    table.foreignKeys = 'asked';
    this.#link.ring();
  }

  /** For the applier, before the first change of a relation: another table may have come to a name that is followed. */
  meet(relation: StreamRelation): void {
    const { tables, told } = this.#options;
    // A column that is renamed leaves the rest of the catalog as it is.
    if (tables.isAltered(relation)) this.#watch.rescan();
    const table = tables.displacedBy(relation);
    if (!table) return;
    // Until it is looked nobody shall take it for complete.
    if (takesChanges(table.progress.state)) told.stands({ ...table, progress: { state: 'pending' } });
    this.#watch.rescan();
  }

  /** Looks at the source's tables at once. What is given is reached when that counts. */
  rescan(): Milestone {
    return this.#watch.rescan();
  }

  // Told at once; that it is stored a moment later costs no more than another look after a crash.
  #lookAtFirstCopy(): void {
    const { tables, told, ends, config } = this.#options;
    if (!this.#firstCopy || tables.all.some((table) => !table.hasRows && table.progress.state !== 'error')) return;
    this.#firstCopy = false;
    told.firstCopied(tables.all);
    markPipeline(ends.target, config.name, 'first_copy_done', true).catch(() => {});
  }
}

/** Whether tables that were there at the beginning may still have to be copied. */
export function firstCopyIsOpen({ first, ends, config }: Pick<TendOptions, 'first' | 'ends' | 'config'>): boolean {
  return config.snapshot.copy && (first !== null || !ends.row.firstCopyDone);
}
