import { setTimeout as sleep } from 'node:timers/promises';
import { dropShadow } from '../metadata/shadows.ts';
import { isTransient, SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';
import { beginOn, closeCopyEnds, cutCopyEnds, openCopyEnds, type CopyEnds, type CopyUrls } from './copy-ends.ts';
import { copyProblem, isPointLost } from './copy-problem.ts';
import { CopyRound, type CopyPoint, type PutOff } from './copy-round.ts';
import type { CopyObserver, CopyTask } from './copy-table.ts';
import { analyze, beginCopy, copyChunk, copyWhole, finishChunks } from './copy-transactions.ts';
import type { Chunk } from './chunks.ts';
import { copyEmptyTables } from './empty-tables.ts';
import { emptyTogether } from './make-room.ts';
import { mergeShadow } from './merge-shadow.ts';
import { TableCopy } from './table-copy.ts';

/** A piece whose connection was lost is repeated so often, after 100 ms, 200 ms, 400 ms … */
const MOST_REPEATS = 5;
const FIRST_PAUSE_MS = 100;
/** From so many tables on it pays to look for empty ones beforehand. */
const MANY_TABLES = 20;

export interface CopyPoolOptions extends CopyUrls {
  readonly workers: number;
  readonly observer: CopyObserver;
  readonly signal: AbortSignal;
}

/** What a worker does in one go, and repeats when it loses a connection. */
interface Piece {
  readonly round: CopyRound;
  readonly table: TableCopy;
  /** `whole` may turn out to be in chunks, with a `merge` behind them; `after` is what follows once all rows are there. */
  part: Chunk | 'whole' | 'merge' | 'after';
  repeats: number;
}

/**
 * Copies tables side by side, large ones in chunks, by several workers with a connection to each side. A worker that loses
 * a connection repeats its piece alone. A table that one of the servers refuses is told to the observer, and the others go
 * on. Where foreign keys are checked (a role that may not set session_replication_role), a table waits for those that
 * it refers to.
 */
export class CopyPool {
  readonly #options: CopyPoolOptions;
  readonly #queue: Piece[] = [];
  readonly #rounds = new Set<CopyRound>();
  readonly #workers = new Set<Promise<void>>();
  readonly #shadows = new Set<number>();
  #working = 0;

  constructor(options: CopyPoolOptions) {
    this.#options = options;
  }

  /** Shadows that were made and not dropped. */
  get shadows(): readonly number[] {
    return [...this.#shadows];
  }

  /**
   * Resolves once every one of these tables is copied or given up, as the observer was told; rejects when the signal
   * aborts. They come before what is still waiting.
   */
  async copy(tasks: readonly CopyTask[], point: CopyPoint): Promise<void> {
    const { signal, observer } = this.#options;
    await emptyTogether(tasks, this.#options);
    const left = tasks.length < MANY_TABLES ? tasks : await this.#withoutEmptyTables(tasks, point);
    signal.throwIfAborted();
    if (left.length === 0) return;
    let onAbort = (): void => {};
    let round: CopyRound | null = null;
    try {
      await new Promise<void>((done, failed) => {
        onAbort = () => failed(signal.reason);
        signal.addEventListener('abort', onAbort, { once: true });
        const begun = new CopyRound(point, left.length, { done, failed });
        this.#rounds.add((round = begun));
        const tables = left.map((task) => new TableCopy(task, observer));
        // The largest first, so that none is left alone at the end.
        tables.sort((a, b) => b.task.source.bytes - a.task.source.bytes);
        this.#take(tables.map((table) => ({ round: begun, table, part: 'whole', repeats: 0 })));
      });
    } catch (error) {
      await Promise.allSettled(this.#workers);
      throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
      if (round) this.#rounds.delete(round);
    }
  }

  // Those that are empty on both sides are done in one go.
  async #withoutEmptyTables(tasks: readonly CopyTask[], point: CopyPoint): Promise<readonly CopyTask[]> {
    const { signal, observer, pipeline } = this.#options;
    const ends = await openCopyEnds(this.#options);
    const cut = (): void => cutCopyEnds(ends);
    signal.addEventListener('abort', cut, { once: true });
    try {
      signal.throwIfAborted();
      await beginOn(ends.source, point.snapshotName);
      const empty = new Set(await copyEmptyTables(tasks, ends, { pipeline, asOf: point.asOf }));
      for (const task of empty) {
        observer.started(task);
        observer.finished(task, 0, 0);
      }
      return tasks.filter((task) => !empty.has(task));
    } finally {
      signal.removeEventListener('abort', cut);
      await closeCopyEnds(ends);
    }
  }

  #take(pieces: readonly Piece[]): void {
    this.#queue.unshift(...pieces);
    for (let more = Math.min(this.#options.workers - this.#working, pieces.length); more > 0; more--) {
      const worker = this.#work()
        .catch((error: unknown) => this.#rounds.forEach((round) => round.failed(error)))
        .finally(() => this.#workers.delete(worker));
      this.#workers.add(worker);
    }
  }

  async #work(): Promise<void> {
    const { signal } = this.#options;
    let ends: CopyEnds | null = null;
    let point: CopyPoint | null = null;
    const cut = (): void => {
      if (ends) cutCopyEnds(ends);
    };
    signal.addEventListener('abort', cut, { once: true });
    this.#working++;
    try {
      for (let piece = this.#queue.shift(); piece && !signal.aborted; piece = this.#queue.shift()) {
        const { round, table } = piece;
        if (table.over) continue;
        try {
          ends ??= await openCopyEnds(this.#options);
          signal.throwIfAborted();
          if (point !== round.point) await beginOn(ends.source, round.point.snapshotName);
          point = round.point;
          table.running.add(ends);
          await this.#do(piece, ends);
        } catch (error) {
          // Nothing else ends a COPY midway.
          if (ends) await closeCopyEnds(ends);
          if (!signal.aborted) await this.#trouble(piece, error);
          if (ends) table.running.delete(ends);
          ends = point = null;
        }
        if (ends) table.running.delete(ends);
        if (table.toldFailure()) this.#takeAgain(round, round.givenUp());
      }
    } finally {
      // Before anything is waited for: whoever brings more pieces then knows that nobody is here.
      this.#working--;
      signal.removeEventListener('abort', cut);
      if (ends) await closeCopyEnds(ends);
    }
  }

  async #do(piece: Piece, ends: CopyEnds): Promise<void> {
    const { round, table, part } = piece;
    const { pipeline, workers } = this.#options;
    const { asOf } = round.point;
    if (part === 'whole') {
      table.started();
      const plan = await beginCopy(table.task, ends, { pipeline, workers });
      if (plan.chunks.length > 0) {
        table.inChunks(plan);
        if (plan.shadow !== null) this.#shadows.add(plan.shadow);
        this.#take(plan.chunks.map((chunk) => ({ round, table, part: chunk, repeats: 0 })));
        return;
      }
      const again = piece.repeats > 0;
      await table.count(0, (progress) => copyWhole(table.task, ends, { pipeline, asOf, again }, progress));
    } else if (part !== 'after') {
      if (part !== 'merge') {
        const { shadow } = table;
        await table.count(part.number, (progress) => copyChunk(table.task, part, ends, { pipeline, shadow }, progress));
        if (!table.isLast(part)) return;
        if (shadow === null) await finishChunks(table, ends, { pipeline, asOf });
        else Object.assign(piece, { part: 'merge', repeats: 0 });
      }
      if (piece.part === 'merge') table.merged(await mergeShadow(table, ends, { pipeline, asOf }));
    }
    piece.part = 'after';
    piece.repeats = 0;
    if (table.shadow !== null) {
      const left = await dropShadow(ends.target, table.shadow);
      if (!left?.locked) this.#shadows.delete(table.shadow);
      if (left && !left.locked) table.shadowStays(left.reason);
    }
    if (table.rows > 0) await analyze(ends, table.task);
    table.finished();
    this.#takeAgain(round, round.copied());
  }

  async #trouble(piece: Piece, error: unknown): Promise<void> {
    const { round, table } = piece;
    if (table.over) return;
    if (isPointLost(error)) {
      table.giveUp(error);
      return;
    }
    const lost = isTransient(error) || (error instanceof Problem && error.table === null && error.retry === 'transient');
    if (lost && piece.repeats < MOST_REPEATS) {
      await sleep(FIRST_PAUSE_MS * 2 ** piece.repeats++, null, { signal: this.#options.signal }).catch(() => {});
      this.#queue.unshift(piece);
      return;
    }
    const { part } = piece;
    if (sqlState(error) === SQLSTATE.foreign_key_violation && (part === 'whole' || part === 'merge')) {
      this.#takeAgain(round, round.putOff({ table, part, error }));
      return;
    }
    table.giveUp(copyProblem(table.task, error));
  }

  #takeAgain(round: CopyRound, tables: readonly PutOff[]): void {
    this.#take(tables.map(({ table, part }) => ({ round, table, part, repeats: 0 })));
  }
}
