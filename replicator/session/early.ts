import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import type { Applier, ReadyBatch } from '../apply/applier.ts';
import type { Applied } from '../apply/run.ts';
import type { Batch } from '../change/batcher.ts';
import type { Intake } from '../change/intake.ts';
import type { PieceReader } from '../change/piece-reader.ts';
import type { StreamedTransaction } from '../change/streamed-transactions.ts';
import { SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';
import { Bell } from './bell.ts';
import { on } from './blame.ts';

/** How often it is looked whether somebody waits for what an open transaction of ours holds. */
const LOOK_MS = 250;
const IDLE_LOOK_MS = 10_000;
/** How often one is begun at most, where what ended it may have passed. */
const MOST_TRIES = 3;

/** A connection of its own for transactions that are applied early. */
export interface EarlySession {
  readonly applier: Applier;
  /** The server process. */
  readonly pid: number;
}

export interface EarlyOptions {
  /** Opens the connection; null where it may not do all that the main one does. */
  readonly open: () => Promise<EarlySession | null>;
  readonly intake: Intake;
  /** For questions to the target. */
  readonly target: Client;
  /** A transaction is worth it once so much of it has come. */
  readonly fromBytes: number;
  /** The pipeline may apply at all. */
  readonly isOpen: () => boolean;
}

/** A piece that is on the target. `batch` without its changes. */
export interface AppliedPiece {
  readonly batch: Batch;
  readonly applied: Applied;
  readonly durationMs: number;
}

interface NextPiece {
  readonly batch: Batch;
  readonly ready: ReadyBatch | null;
}

interface Attempt {
  readonly transaction: StreamedTransaction;
  readonly reader: PieceReader;
  /** The piece after the one that is being applied. */
  next: Promise<NextPiece | null> | null;
  readonly pieces: AppliedPiece[];
}

/**
 * Applies a streamed transaction while it is still in progress on the source, on a connection and in a transaction of
 * its own, so that at its commit most of it is there. The rows that it changes are locked on the source, so nobody else
 * changes them meanwhile; but that is a help, not a promise: whatever goes wrong, somebody waits for it, or part of it is
 * undone on the source, it is rolled back, and applied at its commit as if nothing had been. Its log is kept until then.
 *
 * One thing at a time happens on the target: a batch of what is committed, or a piece here. A piece only holds what came
 * before the last batch, because it may change rows which that has brought.
 */
export class EarlyApplier {
  readonly #options: EarlyOptions;
  #session: EarlySession | null = null;
  #opening: Promise<void> | null = null;
  #attempt: Attempt | null = null;
  readonly #begun = new Bell();
  /** How often each was begun. */
  readonly #tries = new WeakMap<StreamedTransaction, number>();
  #work: Promise<unknown> = Promise.resolve();

  constructor(options: EarlyOptions) {
    this.#options = options;
  }

  /**
   * Applies the next piece, if there is one; whether something was done. To be called only while everything that has been
   * received is on the target, transactions in progress aside.
   */
  async step(): Promise<boolean> {
    const transaction = this.#attempt?.transaction ?? this.#candidate();
    if (!transaction || !this.#ready()) return false;
    const limit = transaction.log.end;
    return await this.#alone(async (session) => {
      const attempt = this.#attempt ?? this.#begin(transaction);
      if (attempt.transaction !== transaction) return false;
      const piece = (await attempt.next) ?? (await this.#read(session, attempt, limit));
      attempt.next = null;
      if (!attempt.reader.valid) {
        await this.#drop(session);
        return true;
      }
      if (!piece) return false;
      if (piece.batch.end) {
        // The commit has come meanwhile: that is for finish().
        attempt.next = Promise.resolve(piece);
        return false;
      }
      await this.#apply(session, attempt, piece, limit);
      return true;
    });
  }

  /**
   * Its commit has come, and its turn: applies what is left of it, and commits it with the checkpoint, which is at `checkpoint` now.
   * Null when nothing of it is on the target: then it is to be applied as any other.
   */
  async finish(transaction: StreamedTransaction, checkpoint: Applier): Promise<readonly AppliedPiece[] | null> {
    if (this.#attempt?.transaction !== transaction) return null;
    return await this.#alone(async (session) => {
      const attempt = this.#attempt;
      if (!attempt) return null;
      session.applier.checkpointIs(checkpoint.checkpoint);
      for (;;) {
        const piece = (await attempt.next) ?? (await this.#read(session, attempt, Infinity));
        attempt.next = null;
        if (!piece || !attempt.reader.valid) break;
        if (!(await this.#apply(session, attempt, piece, Infinity))) return null;
        if (!piece.batch.end) continue;
        this.#attempt = null;
        checkpoint.checkpointIs(session.applier.checkpoint);
        return attempt.pieces;
      }
      await this.#drop(session);
      return null;
    });
  }

  /**
   * Rolls back what is on the target of a transaction in progress, unless it is still as it should be and `always` is false.
   * `forGood`: it is not begun again before its commit.
   */
  async giveUp({ always, forGood = false }: { always: boolean; forGood?: boolean }): Promise<void> {
    if (!this.#attempt || (!always && this.#attempt.reader.valid)) return;
    await this.#alone(async (session) => {
      if (this.#attempt) await this.#drop(session, { forGood: forGood || !this.#attempt.reader.valid });
    });
  }

  /** Gives way to whoever waits for it. */
  async watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#attempt) await sleep(LOOK_MS, null, { signal }).catch(() => {});
      else await this.#begun.heard(IDLE_LOOK_MS, signal);
      if (signal.aborted || !this.#attempt || !this.#session) continue;
      if (!this.#options.isOpen()) await this.giveUp({ always: true });
      else if (await this.#isInTheWay(this.#session.pid)) await this.giveUp({ always: true, forGood: true });
    }
  }

  #candidate(): StreamedTransaction | null {
    for (const transaction of this.#options.intake.open)
      if (transaction.log.end >= this.#options.fromBytes && (this.#tries.get(transaction) ?? 0) < MOST_TRIES) return transaction;
    return null;
  }

  #begin(transaction: StreamedTransaction): Attempt {
    this.#tries.set(transaction, (this.#tries.get(transaction) ?? 0) + 1);
    this.#session?.applier.reroute();
    this.#attempt = { transaction, reader: this.#options.intake.read(transaction), next: null, pieces: [] };
    this.#begun.ring();
    return this.#attempt;
  }

  // The connection is made when it is first of use, and nobody waits for it.
  #ready(): boolean {
    this.#opening ??= this.#options.open().then((session) => {
      this.#session = session;
      this.#options.intake.batcher.wake();
    });
    this.#opening.catch(() => {});
    return this.#session !== null;
  }

  async #read({ applier }: EarlySession, { reader }: Attempt, limit: number): Promise<NextPiece | null> {
    try {
      const batch = await reader.next(limit);
      return batch && { batch, ready: applier.makeReady(batch) };
    } catch (error) {
      // What is cut off while it is read may read as anything.
      if (!reader.valid) return null;
      throw error;
    }
  }

  // The next piece is read meanwhile. Whatever the target has against this one, it will say again at the commit.
  async #apply(session: EarlySession, attempt: Attempt, { batch, ready }: NextPiece, limit: number): Promise<boolean> {
    const startedAt = performance.now();
    try {
      if (!(await session.applier.takesEarly(batch))) return await this.#drop(session);
      if (!batch.end) attempt.next = this.#read(session, attempt, limit);
      attempt.next?.catch(() => {});
      const applied = await session.applier.apply(batch, ready);
      attempt.pieces.push({ batch: { ...batch, changes: [] }, applied, durationMs: performance.now() - startedAt });
      return true;
    } catch (error) {
      if (sqlState(error) === null && !(error instanceof Problem)) throw error;
      // Somebody holds a lock for a moment.
      return await this.#drop(session, { forGood: sqlState(error) !== SQLSTATE.lock_not_available });
    }
  }

  async #drop({ applier }: EarlySession, { forGood = true } = {}): Promise<false> {
    if (forGood && this.#attempt) this.#tries.set(this.#attempt.transaction, MOST_TRIES);
    this.#attempt = null;
    await on('target', applier.abandon());
    return false;
  }

  async #alone<T>(work: (session: EarlySession) => Promise<T>): Promise<T> {
    const session = this.#session;
    if (!session) throw new Error('no session');
    const done = this.#work.then(() => work(session));
    this.#work = done.catch(() => {});
    return await done;
  }

  async #isInTheWay(pid: number): Promise<boolean> {
    const { rows } = await on(
      'target',
      this.#options.target.query<{ blocks: boolean }>(
        `SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_activity
           WHERE wait_event_type = 'Lock' AND $1 = ANY (pg_catalog.pg_blocking_pids(pid))) AS blocks`,
        [pid],
      ),
    );
    return rows[0]?.blocks ?? false;
  }
}
