import { setTimeout as sleep } from 'node:timers/promises';
import { nextProgress } from '../metadata/table-state.ts';
import { readShadows } from '../metadata/shadows.ts';
import type { CopiedAsOf } from '../metadata/table-states.ts';
import { displayName } from '../catalog/relation.ts';
import { Problem } from '../problem.ts';
import type { UnseenCommit } from '../spool/old-commits.ts';
import { CopyPool } from '../snapshot/copy-pool.ts';
import { copyProblem, isPointLost } from '../snapshot/copy-problem.ts';
import type { CopyObserver, CopyTask } from '../snapshot/copy-table.ts';
import { on } from './blame.ts';
import { CopyEndings, type CopyEndingsOptions } from './copy-endings.ts';
import { commitWait, type CommitWait } from './commit-waits.ts';
import { copyTask, rowsMixed } from './copy-task.ts';
import type { FollowedTable } from './followed-table.ts';
import { noteSaved } from './store-tables.ts';
import type { HeldPoint } from './held-point.ts';
import { livePoint, type LivePointOptions } from './live-point.ts';
import { dropLeftShadows, dropShadows } from './drop-shadows.ts';

const LOOK_MS = 500;
/** Each holds a snapshot of the source. Tables that come up meanwhile wait. */
const MOST_ROUNDS = 3;

export interface CopyRoundsOptions extends Omit<LivePointOptions, 'waits'>, CopyEndingsOptions {
  readonly versions: { readonly sourceVersion: number; readonly targetVersion: number };
  /** The slot's, which tables that were there at the beginning are copied as of; null once that is over. */
  readonly first: HeldPoint | null;
  readonly observer: CopyEndingsOptions['observer'] &
    Omit<CopyObserver, 'failed'> & {
      /** What tables that are to be copied wait for; null when that is over. */
      waits(tables: readonly string[], wait: CommitWait | null): void;
    };
}

/** Tables that are copied as of the same point. */
interface Round {
  asOf: CopiedAsOf | null;
  ended: Promise<void>;
}

/**
 * Copies tables while the stream goes on: those that were there at the beginning as of the slot's snapshot, those that come
 * later, failed or are to be copied again as of a plain one. Tables that are due at the same time make a round, with one
 * snapshot for all.
 */
export class CopyRounds {
  readonly #options: CopyRoundsOptions;
  readonly #endings: CopyEndings;
  /** Tables that a round has not finished with, by name: one that was removed and added again is another object. */
  readonly #taken = new Map<string, Round>();
  readonly #byTask = new WeakMap<CopyTask, { table: FollowedTable; round: Round }>();
  readonly #rounds = new Set<Round>();
  #broken: { readonly error: unknown } | null = null;

  constructor(options: CopyRoundsOptions) {
    this.#options = options;
    this.#endings = new CopyEndings(options);
  }

  async run(signal: AbortSignal): Promise<void> {
    const { tables, clock, first, config, rescan, looked } = this.#options;
    const pool = new CopyPool({
      sourceUrl: config.source.url,
      targetUrl: config.target.url,
      marked: config.origin === 'none',
      pipeline: config.name,
      workers: config.snapshot.workers,
      signal,
      observer: this.#observer(signal),
    });
    if (first) this.#begin(tables.all.filter(needsCopy), first, pool, signal);
    await this.#dropShadows(signal, (name) => !this.#taken.has(name));
    while (!signal.aborted) {
      const due = tables.all.filter((table) => needsCopy(table) && !this.#taken.has(table.name) && clock.due(table.name));
      if (due.length > 0 && this.#rounds.size < MOST_ROUNDS) this.#begin(due, null, pool, signal);
      if (tables.all.some((each) => !each.hasRows && each.progress.state === 'error' && clock.due(each.name))) rescan();
      looked();
      await sleep(LOOK_MS, null, { signal }).catch(() => {});
      if (this.#broken) throw this.#broken.error;
    }
    await Promise.all(Array.from(this.#rounds, (round) => round.ended));
    await dropLeftShadows(config, pool.shadows);
  }

  #begin(members: readonly FollowedTable[], point: HeldPoint | null, pool: CopyPool, signal: AbortSignal): void {
    const round: Round = { asOf: null, ended: Promise.resolve() };
    for (const table of members) this.#taken.set(table.name, round);
    this.#rounds.add(round);
    round.ended = this.#copy(round, members, point, pool, signal)
      .catch((error: unknown) => this.#break(error, signal))
      .finally(() => {
        this.#rounds.delete(round);
        for (const table of members) this.#release(table, round);
      });
  }

  async #copy(
    round: Round,
    members: readonly FollowedTable[],
    point: HeldPoint | null,
    pool: CopyPool,
    signal: AbortSignal,
  ): Promise<void> {
    const { config, ends, boundary } = this.#options;
    await using first = point;
    if (!config.snapshot.copy) {
      for (const table of members)
        await boundary.at(async (applied) => {
          if (applied >= table.publishedAt) await this.#endings.takeAsIs(table);
        });
      return;
    }
    if (!first && ends.sourceIdentity.inRecovery) return await this.#endings.giveUpAll(members, copyNeedsPrimary);
    const mixed = members.filter((table) => table.ours && !table.partial && config.snapshot.existingRows === 'keep');
    await this.#endings.giveUpAll(mixed, rowsMixed);
    const copied = members.filter((table) => !mixed.includes(table));
    if (copied.length === 0) return;
    try {
      await using live = first ? null : await livePoint(copied, this.#pointOptions(), signal);
      const held = first ?? live;
      if (!held) return;
      round.asOf = held.asOf;
      // One that is superseded later has that stored behind its spool's beginning: its copy is not taken then.
      const current = copied.filter((table) => !table.superseded);
      await pool.copy(this.#tasks(current, round, first !== null), held);
    } catch (error) {
      if (signal.aborted) return;
      const left = copied.filter((table) => this.#taken.get(table.name) === round);
      await this.#endings.giveUpAll(left, (table) => copyProblem(table, error));
    }
  }

  #pointOptions(): LivePointOptions {
    const { observer, ends } = this.#options;
    const wait = (why: UnseenCommit): CommitWait => commitWait(why, 'copied', ends.sourceIdentity.role.name);
    return {
      ...this.#options,
      waits: (tables, why) =>
        observer.waits(
          tables.map(({ name }) => name),
          why && wait(why),
        ),
    };
  }

  #tasks(tables: readonly FollowedTable[], round: Round, first: boolean): CopyTask[] {
    const { config, versions } = this.#options;
    return tables.flatMap((table) => {
      if (!table.target) return [];
      const task = copyTask(table, table.target, { config, versions, first });
      this.#byTask.set(task, { table, round });
      return [task];
    });
  }

  #observer(signal: AbortSignal): CopyObserver {
    const { observer, clock, looked } = this.#options;
    return {
      started: (task) => {
        const table = this.#byTask.get(task)?.table;
        // Not so for one that is tried again.
        if (table?.progress.state === 'pending') table.progress = nextProgress(table.progress, { type: 'copy started' });
        observer.started(task);
      },
      progress: (task, rows, bytes) => observer.progress(task, rows, bytes),
      merged: (task, found) => observer.merged(task, found),
      shadowStays: (task, shadow, reason) => observer.shadowStays(task, shadow, reason),
      finished: (task, rows, bytes) => {
        const known = this.#byTask.get(task);
        if (known) {
          const { table, round } = known;
          table.progress = nextProgress(table.progress, { type: task.bare ? 'copied bare' : 'copied' });
          Object.assign(table, { hasRows: true, ours: true, partial: false, copiedAsOf: round.asOf });
          noteSaved(table);
          clock.succeeded(table.name);
          this.#release(table, round);
        }
        observer.finished(task, rows, bytes);
        // The last one, that is; else it is looked in a moment, not once for each of thousands.
        if (this.#taken.size === 0) looked();
      },
      failed: (task, problem) => {
        const known = this.#byTask.get(task);
        if (!known) return;
        const { table, round } = known;
        this.#dropShadows(signal, (name) => name === table.name)
          .then(() => (isPointLost(problem) ? this.#endings.putBack(table, problem) : this.#endings.giveUp(table, problem)))
          .then(() => this.#release(table, round))
          .catch((error: unknown) => this.#break(error, signal));
      },
    };
  }

  // What copies that came to nothing have left on the target: those of this session, and of one that was killed.
  async #dropShadows(signal: AbortSignal, which: (name: string) => boolean): Promise<void> {
    const { control, config } = this.#options;
    const left = await on('target', readShadows(control, config.name));
    const names = left.filter(({ source }) => which(displayName(source)));
    if (names.length > 0) await on('target', dropShadows(config, names, signal));
  }

  #release(table: FollowedTable, round: Round): void {
    if (this.#taken.get(table.name) === round) this.#taken.delete(table.name);
  }

  #break(error: unknown, signal: AbortSignal): void {
    if (!signal.aborted) this.#broken ??= { error };
  }
}

function needsCopy(table: FollowedTable): boolean {
  return !table.hasRows && table.progress.state === 'pending' && table.target !== null;
}

function copyNeedsPrimary(table: FollowedTable): Problem {
  return new Problem(
    'SOURCE_UNSUITABLE',
    `${table.name} cannot be copied while the stream goes on, because the source is a standby.`,
    {
      table: table.name,
      remedy: 'Use the URL of the primary as source.url, or pgfollow teardown and pgfollow run to copy everything.',
    },
  );
}
