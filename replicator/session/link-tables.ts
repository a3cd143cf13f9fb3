import { displayName } from '../catalog/relation.ts';
import type { Config } from '../config/schema.ts';
import { markCreated } from '../metadata/created-tables.ts';
import { describeError, SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { addForeignKeys, type KeyRefusal } from '../schema/add-foreign-keys.ts';
import type { Refusal } from '../schema/build-steps.ts';
import { planForeignKeys, type ForeignKey } from '../schema/foreign-keys.ts';
import { isEnough, readStandingKeys } from '../schema/standing-keys.ts';
import type { Bell } from './bell.ts';
import { on } from './blame.ts';
import { onBuildSource } from './build-lines.ts';
import { buildLoop, type BuildWork } from './build-loop.ts';
import type { ClientPool } from './client-pool.ts';
import type { FollowedTable } from './followed-table.ts';
import type { Ends } from './ends.ts';
import { RetryClock } from './retry-clock.ts';
import type { TableSet } from './table-set.ts';

/** Tables whose catalogs are read in one go. */
const TABLES_A_LOOK = 200;
/** Proving a foreign key reads a table, and adding it holds up the stream for a moment: what was refused is not tried all the time. */
const REFUSED = { firstMs: 10_000, mostMs: 3_600_000 };
/** How often it is looked whether somebody has made what was refused. */
const STANDING_MS = 10_000;

export interface LinkTablesOptions {
  readonly ends: Ends;
  readonly config: Config;
  readonly tables: TableSet;
  /** A table stands elsewhere than before, or somebody has asked. */
  readonly bell: Bell;
  readonly observer: {
    /** Foreign keys that were not made, which is news. */
    unlinked(table: FollowedTable, refusals: readonly Refusal[]): void;
    /** Which ones the target refuses as it stands; none where that is over. */
    lacksKeys(table: FollowedTable, refusals: readonly Refusal[]): void;
    /** Those that it had refused and that are there now. */
    mended(table: FollowedTable, parts: readonly string[]): void;
  };
}

/**
 * Gives tables that we have created their foreign keys, once both sides of each stream, also where one side is followed later.
 * What the target refuses is written down and tried again: with backoff, when a session begins, and whenever somebody asks.
 */
export async function linkTables(options: LinkTablesOptions, signal: AbortSignal): Promise<void> {
  // One connection: nobody waits for it.
  await buildLoop({ ...options, connections: 1 }, (pool) => new Linker(options, pool, signal), signal);
}

class Linker implements BuildWork {
  readonly #options: LinkTablesOptions;
  readonly #signal: AbortSignal;
  readonly #pool: ClientPool;
  /** When what has failed, and may pass by itself, is tried again. */
  readonly #failures = new RetryClock(Date.now);
  /** When what the target refuses is. */
  readonly #refusals = new RetryClock(Date.now, REFUSED);
  readonly #refused = new Map<FollowedTable, readonly ForeignKey[]>();
  /** Tables that have to stream before the foreign keys of a table can be made. */
  readonly #awaited = new WeakMap<FollowedTable, readonly string[]>();
  /** Tables that are not followed, to which foreign keys of a table refer. */
  readonly #strangers = new WeakMap<FollowedTable, readonly string[]>();
  #standingAt = Date.now();

  constructor(options: LinkTablesOptions, pool: ClientPool, signal: AbortSignal) {
    this.#options = options;
    this.#pool = pool;
    this.#signal = signal;
  }

  get idle(): boolean {
    return this.#options.tables.all.every(({ foreignKeys }) => foreignKeys !== 'open' && foreignKeys !== 'asked');
  }

  async look(): Promise<void> {
    await this.#lookForStanding();
    for (const table of this.#options.tables.all)
      if (table.foreignKeys === 'none' && this.#strangerHasJoined(table)) table.foreignKeys = 'open';
    const due = this.#options.tables.all.filter((table) => this.#isDue(table)).slice(0, TABLES_A_LOOK);
    if (due.length === 0) return;
    try {
      await this.#link(due);
    } catch (error) {
      if (this.#signal.aborted) return;
      for (const table of due.filter(({ foreignKeys }) => foreignKeys !== 'none')) {
        this.#failures.failed(table.name);
        // Locks that were not to be had are tried again without a word.
        if (sqlState(error) === SQLSTATE.lock_not_available) continue;
        const refusal = { part: 'its foreign keys for now', isKey: false, reason: describeError(error), sql: [] };
        this.#options.observer.unlinked(table, [refusal]);
      }
    }
  }

  #isDue(table: FollowedTable): boolean {
    const { foreignKeys, name } = table;
    if (foreignKeys === 'none' || table.unbuilt || !streams(table) || !this.#failures.due(name)) return false;
    if (foreignKeys === 'asked') return true;
    const { tables } = this.#options;
    const awaited = this.#awaited.get(table) ?? [];
    const haveCome = awaited.every((other) => !tables.get(other) || streams(tables.get(other)));
    if (foreignKeys === 'open') return haveCome;
    return this.#refusals.due(name) || (awaited.length > 0 && haveCome) || this.#strangerHasJoined(table);
  }

  #strangerHasJoined(table: FollowedTable): boolean {
    const { tables } = this.#options;
    return this.#strangers.get(table)?.some((name) => streams(tables.get(name))) ?? false;
  }

  // Cheaper than to try: what somebody has made is written down at once.
  async #lookForStanding(): Promise<void> {
    const { tables, ends } = this.#options;
    for (const table of this.#refused.keys()) if (tables.get(table.name) !== table) this.#refused.delete(table);
    if (this.#refused.size === 0 || Date.now() - this.#standingAt < STANDING_MS) return;
    this.#standingAt = Date.now();
    const standing = await on('target', readStandingKeys(ends.target, [...this.#refused.values()].flat()));
    for (const [table, keys] of this.#refused) {
      const isThere = keys.some((key) => {
        const found = standing.get(key.part);
        return found !== undefined && isEnough(key, found);
      });
      if (isThere) this.#refusals.hurry(table.name);
    }
  }

  async #link(tables: readonly FollowedTable[]): Promise<void> {
    const { ends, config, tables: all, observer } = this.#options;
    const checked = ends.limits.some(({ code }) => code === 'REPLICA_ROLE_REFUSED');
    const plans = await onBuildSource(config, this.#signal, (source) =>
      planForeignKeys({ source, target: ends.target }, config.name, tables.map(ofSource), {
        mappingOf: (name) => all.get(displayName(name))?.mapping ?? null,
        targetVersion: ends.targetVersion,
      }),
    );
    // What was refused before is shown while it is tried.
    for (const [at, table] of tables.entries()) {
      const known = checked ? [] : (plans[at] ?? []).flatMap(refusedBefore);
      if (known.length > 0) observer.lacksKeys(table, known);
    }
    const outcomes: { readonly table: FollowedTable; readonly waits: boolean; readonly refused: boolean }[] = [];
    for (const [at, table] of tables.entries()) {
      const keys = plans[at] ?? [];
      const now = keys.filter((key) => key.impossible !== null || checked || streams(all.get(key.refersTo)));
      const waiting = keys.filter((key) => !now.includes(key)).map(({ refersTo }) => refersTo);
      this.#awaited.set(table, waiting);
      this.#strangers.set(
        table,
        keys.flatMap(({ unfollowed }) => unfollowed),
      );
      outcomes.push({ table, waits: waiting.length > 0, refused: await this.#add(table, now, checked) });
    }
    const names = outcomes.filter(({ waits }) => !waits).map(({ table }) => table.mapping.target);
    await on('target', markCreated(ends.target, config.name, names, 'linked_at'));
    for (const { table, waits, refused } of outcomes) table.foreignKeys = refused ? 'refused' : waits ? 'open' : 'none';
  }

  // Whether something of it is to be tried again.
  async #add(table: FollowedTable, keys: readonly ForeignKey[], checked: boolean): Promise<boolean> {
    const { config, observer } = this.#options;
    const asked = table.foreignKeys === 'asked';
    const { mended, refusals } =
      keys.length === 0
        ? { mended: [], refusals: [] }
        : await this.#pool.use((client) => addForeignKeys(client, config.name, table.mapping.target, { keys, checked }));
    if (mended.length > 0) observer.mended(table, mended);
    if (asked || refusals.some(({ isNews }) => isNews)) observer.unlinked(table, refusals);
    const open = refusals.filter(({ isLasting }) => !isLasting);
    observer.lacksKeys(table, open);
    this.#failures.succeeded(table.name);
    this.#note(table, keys, open);
    return open.length > 0;
  }

  #note(table: FollowedTable, keys: readonly ForeignKey[], open: readonly KeyRefusal[]): void {
    const parts = new Set(open.map(({ part }) => part));
    if (parts.size === 0) {
      this.#refused.delete(table);
      this.#refusals.succeeded(table.name);
      return;
    }
    this.#refused.set(
      table,
      keys.filter(({ part }) => parts.has(part)),
    );
    this.#refusals.failed(table.name);
  }
}

function refusedBefore({ part, refused, impossible, refersToSome, add, validate }: ForeignKey): Refusal[] {
  if (refused === null || impossible !== null || refersToSome) return [];
  return [{ part, isKey: false, reason: refused, sql: [...add, ...validate] }];
}

function ofSource({ source, mapping }: FollowedTable): Pick<FollowedTable, 'mapping'> & { oid: number } {
  return { oid: source.oid, mapping };
}

function streams(table: FollowedTable | null): boolean {
  return table?.progress.state === 'streaming' && !table.spooling;
}
