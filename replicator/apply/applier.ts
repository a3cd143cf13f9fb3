import type { ColumnPair } from '../catalog/match-target.ts';
import { displayName, type TableMapping } from '../catalog/relation.ts';
import type { Batch } from '../change/batcher.ts';
import { moveCheckpointSql } from '../metadata/checkpoint.ts';
import { Problem } from '../problem.ts';
import { spoolRows } from '../spool/spooled-changes.ts';
import type { Lsn } from '../postgres/lsn.ts';
import { SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import type { StatementPipe } from '../postgres/statement-pipe.ts';
import type { Change, StreamRelation } from '../pgoutput/messages.ts';
import { ArrayTypes } from './array-types.ts';
import { cannotNow, checkpointLost, isTableFault } from './failures.ts';
import { plan, planInOrder } from './plan.ts';
import { Refusals } from './refusals.ts';
import type { RowMap } from './row-map.ts';
import { Run, type Applied } from './run.ts';
import { Routes, type RoutesOptions } from './routes.ts';
import { TargetTransaction, type Ending, type ReadyStep } from './target-transaction.ts';
import { writeSpoolRow } from './write-spool.ts';
import type { OnConflict, OnMissing } from './statements.ts';

export interface ApplierOptions extends Omit<RoutesOptions, 'arrays'> {
  readonly pipeline: string;
  /** The checkpoint on the target, read on this connection under the pipeline's lock. */
  readonly checkpoint: Lsn;
  readonly onConflict: OnConflict;
  readonly onMissing: OnMissing;
  /**
   * A table does not take a change: sees to it that its changes go to the spool from now on, and says whether they do.
   * Called with nothing of the batch left on the target.
   */
  readonly quarantine: (problem: Problem) => Promise<boolean>;
}

/** Changes of one table that come back from its spool. */
export interface SpooledChanges {
  readonly changes: readonly Change[];
  readonly mapping: TableMapping;
  readonly columns: readonly ColumnPair[];
  readonly binary: boolean;
  /** Statements of the same transaction, after the rows. */
  readonly after: readonly string[];
}

/** A batch that was made ready while the one before it was under way. */
export interface ReadyBatch {
  readonly steps: Promise<readonly ReadyStep[]>;
  /** Where changes went when it was made ready. */
  readonly routes: number;
}

/**
 * Applies batches to the target: rows and checkpoint in one transaction (invariant 1). Many changes of a table go as
 * their net effect; when the target does not take that as it should, the batch is rolled back and replayed in source
 * order, and only what fails there is an error. After any rejection this applier is spent: its transaction is rolled
 * back with its connection, and a new one starts from the checkpoint.
 */
export class Applier {
  readonly #options: ApplierOptions;
  readonly #transaction: TargetTransaction;
  readonly #routes: Routes;
  readonly #refusals = new Refusals();
  #checkpoint: Lsn;

  constructor(options: ApplierOptions) {
    this.#options = options;
    const arrays = new ArrayTypes();
    this.#transaction = new TargetTransaction({ ...options, arrays, refused: (map) => this.#refusals.refused(map) });
    this.#routes = new Routes({ ...options, arrays });
    this.#checkpoint = options.checkpoint;
  }

  /** Where the checkpoint on the target is. */
  get checkpoint(): Lsn {
    return this.#checkpoint;
  }

  /** Another number whenever changes may go elsewhere than before. */
  get routes(): number {
    return this.#routes.version;
  }

  /** The checkpoint on the target was moved on another connection. */
  checkpointIs(position: Lsn): void {
    this.#checkpoint = position;
  }

  /**
   * Whether this piece of a transaction that may still be undone can be applied now: only rows that a key finds, of tables
   * where nothing else follows from them, so that nobody waits for others than those whom the source made wait.
   */
  async takesEarly(piece: Batch): Promise<boolean> {
    await this.#routes.learn(piece.changes);
    return piece.changes.every((change) => {
      if (change.kind === 'truncate') return false;
      const map = this.#routes.mapOf(change.relation);
      if (!map) return this.#routes.keptAs(change.relation) === null;
      return map.find.by === 'key' && !map.target.firesOnReplica;
    });
  }

  /** Rolls back the pieces of a transaction whose commit has not come; this applier goes on. */
  async abandon(): Promise<void> {
    await this.#transaction.rollback();
    this.#transaction.forget();
  }

  /** Asks anew where changes go. Only between batches, never between the pieces of a transaction. */
  reroute(): void {
    this.#routes.forget();
    this.#transaction.forget();
  }

  /**
   * Works out what the next batch comes to while the target is busy with this one. Null when something must be asked of
   * the target first.
   */
  makeReady(batch: Batch): ReadyBatch | null {
    if (!this.#routes.knows(batch.changes)) return null;
    const steps = this.#ready(batch.changes, this.#routes.mapOf);
    // Whoever applies the batch hears of it.
    steps.catch(() => {});
    return { steps, routes: this.#routes.version };
  }

  /**
   * Applies one batch, or one piece. A batch that holds nothing for the target writes nothing, not even the checkpoint
   * (see moveCheckpoint). A table that refuses a change is put into quarantine, and the batch applied again without it.
   * Throws APPLY_FAILED with the row, ROW_MISSING, CHECKPOINT_LOST, or the connection's error.
   */
  async apply(batch: Batch, ready: ReadyBatch | null = null): Promise<Applied> {
    const inPieces = this.#transaction.isOpen;
    for (;;) {
      try {
        return await this.#applyBatch(batch, ready?.routes === this.#routes.version ? ready : null);
      } catch (error) {
        if (!isTableFault(error)) throw error;
        await this.#transaction.rollback();
        // What earlier pieces brought this table is gone with them: only from the checkpoint can it be spooled whole.
        if (!(await this.#options.quarantine(error)) || inPieces) throw error;
        this.reroute();
      }
    }
  }

  /** Applies changes that a table's spool has kept, in a transaction of their own. After a Problem nothing of it is left. */
  async applySpooled(spooled: SpooledChanges): Promise<Applied> {
    try {
      const mapOf = await this.#routes.learnSpooled(spooled.changes, spooled);
      const write = async (pipe: StatementPipe): Promise<void> => spooled.after.forEach((sql) => pipe.run(sql));
      const steps = await this.#ready(spooled.changes, mapOf);
      return await this.#applyChanges(spooled.changes, mapOf, steps, { write, committed: () => {} });
    } catch (error) {
      if (sqlState(error) === null && !(error instanceof Problem)) throw error;
      await this.#transaction.rollback();
      this.#routes.forgetSpooled();
      throw error instanceof Problem ? error : cannotNow(spooled.mapping, error);
    }
  }

  /** Moves the checkpoint past transactions that brought nothing here, durably. The last of them committed when? Null: not known. */
  async moveCheckpoint(to: Lsn, sourceCommittedAtMs: number | null): Promise<void> {
    if (to <= this.#checkpoint || this.#transaction.isOpen) return;
    const sql = moveCheckpointSql({ pipeline: this.#options.pipeline, from: this.#checkpoint, to, sourceCommittedAtMs });
    await this.#options.client.query(`SET LOCAL synchronous_commit = local; ${sql}`).catch((error: unknown) => {
      throw sqlState(error) === SQLSTATE.division_by_zero ? checkpointLost(error) : error;
    });
    this.#checkpoint = to;
  }

  async #applyBatch(batch: Batch, ready: ReadyBatch | null): Promise<Applied> {
    const routes = this.#routes;
    await routes.learn(batch.changes);
    const spool = routes.keepsSome ? spoolRows(batch, (relation) => routes.keptAs(relation)) : [];
    const { end } = batch;
    const { pipeline, binary } = this.#options;
    const write = async (pipe: StatementPipe, run: Run): Promise<void> => {
      for (const row of spool) {
        writeSpoolRow(pipe, { pipeline, binary, ...row });
        run.kept(displayName(row.source), row.bytes);
        if (pipe.full) await pipe.drain();
      }
      if (!end) return;
      run.checkpointStatement = pipe.nextStatement;
      pipe.run(moveCheckpointSql({ pipeline, from: this.#checkpoint, to: end.endLsn, sourceCommittedAtMs: end.committedAtMs }));
    };
    const committed = (): void => {
      if (end) this.#checkpoint = end.endLsn;
    };
    const steps = await (ready?.steps ?? this.#ready(batch.changes, routes.mapOf));
    if (steps.length === 0 && spool.length === 0 && !this.#transaction.isOpen) return new Run().result();
    return await this.#applyChanges(batch.changes, routes.mapOf, steps, {
      write: end || spool.length > 0 ? write : null,
      committed: end ? committed : null,
    });
  }

  async #applyChanges(
    changes: readonly Change[],
    mapOf: (relation: StreamRelation) => RowMap | null,
    steps: readonly ReadyStep[],
    ending: Ending,
  ): Promise<Applied> {
    if (!steps.some((step) => step.kind === 'set')) return await this.#transaction.applyInOrder(steps, ending, 'in order');
    const applied = await this.#transaction.applyFolded(steps, ending);
    if (!applied) return await this.#transaction.applyInOrder(planInOrder(changes, mapOf), ending, 'replayed');
    for (const step of steps) if (step.kind === 'set') this.#refusals.taken(step.map);
    return applied;
  }

  async #ready(changes: readonly Change[], mapOf: (relation: StreamRelation) => RowMap | null): Promise<ReadyStep[]> {
    const ready: ReadyStep[] = [];
    for (const step of await plan(changes, {
      mapOf,
      canStage: (map, rows) => !this.#refusals.inOrder(map) && this.#transaction.setsOf(map).canStage(map, rows),
    })) {
      if (step.kind === 'set')
        ready.push({ ...step, staged: await this.#transaction.setsOf(step.map).stage(step.map, step.net) });
      else ready.push(step);
    }
    return ready;
  }
}
