import type { Client } from 'pg';
import { readRelations } from '../catalog/read-relations.ts';
import type { TableMapping } from '../catalog/relation.ts';
import type { Batch } from '../change/batcher.ts';
import { moveCheckpointSql } from '../metadata/checkpoint.ts';
import type { Lsn } from '../postgres/lsn.ts';
import { isTransient, SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { PipeError, StatementPipe } from '../postgres/statement-pipe.ts';
import type { Change, StreamRelation } from '../pgoutput/messages.ts';
import { checkpointLost, explain } from './failures.ts';
import { OrderedReplay } from './ordered-replay.ts';
import { plan, planInOrder, type Step } from './plan.ts';
import { mapRows, type RowMap } from './row-map.ts';
import { Run, SetMismatch, type Applied } from './run.ts';
import { ArrayTypes, SetApply } from './set-apply.ts';
import { truncateSql, type OnConflict, type OnMissing } from './statements.ts';

export interface ApplierOptions {
  readonly client: Client;
  readonly pipeline: string;
  /** The checkpoint on the target, read on this connection under the pipeline's lock. */
  readonly checkpoint: Lsn;
  /** The stream sends binary values. */
  readonly binary: boolean;
  readonly onConflict: OnConflict;
  readonly onMissing: OnMissing;
  /** The mapping of a relation of the stream, or null when its changes are not taken. */
  readonly mappingOf: (relation: StreamRelation) => TableMapping | null;
}

/**
 * Applies batches to the target: rows and checkpoint in one transaction (invariant 1). Many changes of a table go as
 * their net effect; when the target does not take that as it should, the batch is rolled back and replayed in source
 * order, and only what fails there is an error. After any rejection this applier is spent: its transaction is rolled
 * back with its connection, and a new one starts from the checkpoint.
 */
export class Applier {
  readonly #options: ApplierOptions;
  readonly #replay: OrderedReplay;
  readonly #sets: SetApply;
  readonly #arrays = new ArrayTypes();
  readonly #maps = new Map<StreamRelation, RowMap | null>();
  #checkpoint: Lsn;
  /** A piece of a large transaction has been written, its commit is still to come. */
  #open = false;

  constructor(options: ApplierOptions) {
    this.#options = options;
    this.#replay = new OrderedReplay(options);
    this.#sets = new SetApply({ arrays: this.#arrays, binary: options.binary });
    this.#checkpoint = options.checkpoint;
  }

  /** Where the checkpoint on the target is. */
  get checkpoint(): Lsn {
    return this.#checkpoint;
  }

  /**
   * Applies one batch, or one piece. A batch that holds nothing for the target writes nothing, not even the checkpoint
   * (see moveCheckpoint). Throws APPLY_FAILED with the row, ROW_MISSING, CHECKPOINT_LOST, or the connection's error.
   */
  async apply(batch: Batch): Promise<Applied> {
    await this.#learn(batch.changes);
    const mapOf = (relation: StreamRelation): RowMap | null => this.#maps.get(relation) ?? null;
    const steps = await plan(batch.changes, { mapOf, canStage: (map) => this.#sets.canStage(map) });
    if (steps.length === 0 && !this.#open) return new Run().result();
    if (!steps.some((step) => step.kind === 'set')) return await this.#applyInOrder(steps, batch, 'in order');
    return (
      (await this.#applyFolded(steps, batch)) ?? (await this.#applyInOrder(planInOrder(batch.changes, mapOf), batch, 'replayed'))
    );
  }

  /** Moves the checkpoint past transactions that brought nothing here, durably. */
  async moveCheckpoint(to: Lsn): Promise<void> {
    if (to <= this.#checkpoint || this.#open) return;
    const sql = moveCheckpointSql({ pipeline: this.#options.pipeline, from: this.#checkpoint, to, sourceCommittedAtMs: null });
    await this.#options.client.query(`SET LOCAL synchronous_commit = on; ${sql}`).catch((error: unknown) => {
      throw sqlState(error) === SQLSTATE.division_by_zero ? checkpointLost(error) : error;
    });
    this.#checkpoint = to;
  }

  // Null when the target did not take the net effect: then nothing of this batch is left there.
  async #applyFolded(steps: readonly Step[], batch: Batch): Promise<Applied | null> {
    const run = new Run();
    run.way = 'folded';
    // A piece must not take the pieces before it down with it.
    const inTransaction = this.#open;
    try {
      await this.#pipe(run, async (pipe) => {
        if (inTransaction) pipe.run('SAVEPOINT batch');
        for (const step of steps) await this.#write(pipe, step, run);
        if (inTransaction) pipe.run('RELEASE SAVEPOINT batch');
      });
      run.refuseMismatch();
      if (this.#options.onMissing === 'error') run.refuseMisses();
    } catch (error) {
      const refused =
        error instanceof SetMismatch ||
        (error instanceof PipeError && sqlState(error.cause) !== null && !isTransient(error.cause));
      if (!refused) throw error instanceof PipeError ? error.cause : error;
      await this.#options.client.query(inTransaction ? 'ROLLBACK TO SAVEPOINT batch' : 'ROLLBACK');
      this.#open = inTransaction;
      return null;
    }
    await this.#commit(batch, run);
    return run.result();
  }

  async #applyInOrder(steps: readonly Step[], batch: Batch, way: Applied['way']): Promise<Applied> {
    const run = new Run();
    run.way = way;
    const rows = async (pipe: StatementPipe): Promise<void> => {
      for (const step of steps) await this.#write(pipe, step, run);
    };
    if (this.#options.onMissing === 'error' && steps.length > 0) {
      // Whether a row was missing is known only from the answers, and must be before the commit.
      await this.#explained(run, -1, this.#pipe(run, rows));
      run.refuseMisses();
      await this.#commit(batch, run);
    } else {
      await this.#commit(batch, run, rows);
    }
    return run.result();
  }

  // One round trip: rows, if there are any to come, the checkpoint, COMMIT, and where the target's WAL is after it.
  async #commit(batch: Batch, run: Run, rows: (pipe: StatementPipe) => Promise<void> = async () => {}): Promise<void> {
    const { end } = batch;
    let checkpointStatement = -1;
    const work = this.#pipe(run, async (pipe) => {
      await rows(pipe);
      if (!end) return;
      checkpointStatement = pipe.nextStatement;
      const { pipeline } = this.#options;
      pipe.run(moveCheckpointSql({ pipeline, from: this.#checkpoint, to: end.endLsn, sourceCommittedAtMs: end.committedAtMs }));
      pipe.run('COMMIT');
      run.walStatement = pipe.nextStatement;
      pipe.run('SELECT pg_catalog.pg_current_wal_insert_lsn()');
    });
    await this.#explained(run, () => checkpointStatement, work);
    if (!end) return;
    this.#open = false;
    this.#checkpoint = end.endLsn;
  }

  async #pipe(run: Run, write: (pipe: StatementPipe) => Promise<void>): Promise<void> {
    run.begin();
    const pipe = new StatementPipe(
      this.#options.client,
      (statement, rows) => run.completed(statement, rows),
      (statement, fields) => run.returned(statement, fields),
    );
    try {
      if (!this.#open) {
        pipe.run('BEGIN');
        this.#sets.begin();
      }
      this.#open = true;
      await write(pipe);
      await pipe.end();
    } catch (error) {
      this.#replay.reset();
      this.#sets.begin();
      throw error;
    }
  }

  async #explained(run: Run, checkpointStatement: number | (() => number), work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      const index = typeof checkpointStatement === 'number' ? checkpointStatement : checkpointStatement();
      throw error instanceof PipeError ? explain(error, run, index) : error;
    }
  }

  async #write(pipe: StatementPipe, step: Step, run: Run): Promise<void> {
    if (step.kind === 'truncate') {
      run.expectTruncate(pipe.nextStatement, step.maps);
      pipe.run(truncateSql(step.maps, step.restartIdentity));
      return;
    }
    if (step.kind === 'set') {
      await this.#sets.write(pipe, step.map, step.net, (statement, rows) => run.expectRows(statement, step.map, rows));
      run.folded(step.map, step.changes);
      return;
    }
    for (const planned of step.changes) {
      const index = pipe.nextStatement;
      const statement = this.#replay.write(pipe, planned);
      if (statement) run.expect(index, planned, statement);
      if (pipe.full) await pipe.drain();
    }
  }

  // Relations that are new in the stream, or have changed, are matched with the target as it is now: a column that was
  // added there in time counts.
  async #learn(changes: readonly Change[]): Promise<void> {
    for (const change of changes) {
      if (change.kind === 'truncate') for (const relation of change.relations) await this.#mapOnce(relation);
      else if (!this.#maps.has(change.relation)) await this.#mapOnce(change.relation);
    }
  }

  async #mapOnce(relation: StreamRelation): Promise<void> {
    if (this.#maps.has(relation)) return;
    const mapping = this.#options.mappingOf(relation);
    if (!mapping) {
      this.#maps.set(relation, null);
      return;
    }
    const { client, binary } = this.#options;
    const [target] = await readRelations(client, { names: [mapping.target] });
    const map = mapRows(relation, mapping, target, binary);
    await this.#arrays.learn(
      client,
      [...map.columns, ...map.find.columns].map((column) => column.parameterType),
    );
    this.#maps.set(relation, map);
  }
}
