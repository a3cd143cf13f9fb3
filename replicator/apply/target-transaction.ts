import type { Client } from 'pg';
import { CLOCK_SQL } from '../metadata/checkpoint.ts';
import { isOfAnotherServer, isTransient, sqlState } from '../postgres/sqlstate.ts';
import { PipeError, StatementPipe } from '../postgres/statement-pipe.ts';
import type { ArrayTypes } from './array-types.ts';
import { explain } from './failures.ts';
import { OrderedReplay } from './ordered-replay.ts';
import type { Step } from './plan.ts';
import { PlannerSettings } from './planner-settings.ts';
import { PreparedStatements, type Preparable } from './prepared-statements.ts';
import type { RowMap } from './row-map.ts';
import { Run, SetMismatch, type Applied } from './run.ts';
import { SetApply, type StagedStatement } from './set-apply.ts';
import { truncateSql, type OnConflict, type OnMissing, type Statement } from './statements.ts';

export interface TargetTransactionOptions {
  /** The connection that writes; see openTargetSession(). */
  readonly client: Client;
  readonly arrays: ArrayTypes;
  readonly onConflict: OnConflict;
  readonly onMissing: OnMissing;
  /** This table did not take its net effect. */
  readonly refused?: (map: RowMap) => void;
}

/** A step that is ready to be sent. */
export type ReadyStep =
  | Exclude<Step, { kind: 'set' }>
  | (Extract<Step, { kind: 'set' }> & { readonly staged: readonly StagedStatement[] });

/** How the transaction of some rows goes on after them. */
export interface Ending {
  /** Further statements; null for none. */
  readonly write: ((pipe: StatementPipe, run: Run) => Promise<void>) | null;
  /** Called after the commit; null leaves the transaction open. */
  readonly committed: (() => void) | null;
}

/**
 * One transaction after the other on a connection to the target: steps become statements, and their answers are looked at
 * before the commit. What the steps are and where the checkpoint is, Applier knows.
 */
export class TargetTransaction {
  readonly #options: TargetTransactionOptions;
  readonly #planner = new PlannerSettings();
  readonly #prepared = { rows: new PreparedStatements<Statement>('r'), sets: new PreparedStatements<Preparable>('s') };
  readonly #replay: OrderedReplay;
  readonly #sets: { readonly binary: SetApply; readonly text: SetApply };
  #open = false;

  constructor(options: TargetTransactionOptions) {
    const { arrays } = options;
    const planner = this.#planner;
    const { rows, sets: prepared } = this.#prepared;
    this.#options = options;
    this.#replay = new OrderedReplay({ ...options, planner, prepared: rows });
    this.#sets = {
      binary: new SetApply({ arrays, planner, prepared, binary: true }),
      text: new SetApply({ arrays, planner, prepared, binary: false }),
    };
  }

  /** A piece of a large transaction has been written, its commit is still to come. */
  get isOpen(): boolean {
    return this.#open;
  }

  /** What brings a table's net effect here. */
  setsOf(map: RowMap): SetApply {
    return map.binary ? this.#sets.binary : this.#sets.text;
  }

  /** Forgets the statements that are prepared: tables may be others than they were. */
  forget(): void {
    this.#prepared.rows.forget();
    this.#prepared.sets.forget();
  }

  async rollback(): Promise<void> {
    if (this.#open) await this.#options.client.query('ROLLBACK');
    this.#open = false;
  }

  /** Many changes at a time, as their net effect. Null when the target did not take that: then nothing of these steps is left there. */
  async applyFolded(steps: readonly ReadyStep[], ending: Ending): Promise<Applied | null> {
    const run = new Run();
    run.way = 'folded';
    // A piece must not take the pieces before it down with it.
    const inTransaction = this.#open;
    try {
      await this.#pipe(run, async (pipe) => {
        if (inTransaction) pipe.run('SAVEPOINT batch');
        for (const step of steps) await this.#write(pipe, step, run);
      });
      run.refuseMismatch();
      if (this.#options.onMissing === 'error') run.refuseMisses();
    } catch (error) {
      const refused =
        error instanceof SetMismatch ||
        (error instanceof PipeError &&
          sqlState(error.cause) !== null &&
          (!isTransient(error.cause) || isOfAnotherServer(error.cause)));
      if (!refused) throw error instanceof PipeError ? error.cause : error;
      const by = error instanceof SetMismatch ? error.map : run.setOf(error.statement);
      if (by) this.#options.refused?.(by);
      await this.#options.client.query(inTransaction ? 'ROLLBACK TO SAVEPOINT batch' : 'ROLLBACK');
      this.#open = inTransaction;
      this.#planner.partUndone();
      return null;
    }
    // Only now: what the answers say may have been a reason to go back.
    await this.#commit(ending, run, async (pipe) => {
      if (inTransaction) pipe.run('RELEASE SAVEPOINT batch');
    });
    return run.result();
  }

  /** One row after the other. Throws APPLY_FAILED with the row, or the connection's error. */
  async applyInOrder(steps: readonly ReadyStep[], ending: Ending, way: Applied['way']): Promise<Applied> {
    const run = new Run();
    run.way = way;
    const rows = async (pipe: StatementPipe): Promise<void> => {
      for (const step of steps) await this.#write(pipe, step, run);
    };
    if (this.#options.onMissing === 'error' && steps.length > 0) {
      // Whether a row was missing is known only from the answers, and must be before the commit.
      await this.#explained(run, this.#pipe(run, rows));
      run.refuseMisses();
      await this.#commit(ending, run);
    } else {
      await this.#commit(ending, run, rows);
    }
    return run.result();
  }

  // One round trip: rows, if there are any to come, what goes with them, COMMIT, and where the target's WAL is after it.
  async #commit(ending: Ending, run: Run, rows: (pipe: StatementPipe) => Promise<void> = async () => {}): Promise<void> {
    const { committed } = ending;
    const work = this.#pipe(run, async (pipe) => {
      await rows(pipe);
      await ending.write?.(pipe, run);
      if (!committed) return;
      pipe.run('COMMIT');
      run.walStatement = pipe.nextStatement;
      pipe.run(`SELECT pg_catalog.pg_current_wal_insert_lsn(), ${CLOCK_SQL}`);
    });
    await this.#explained(run, work);
    if (!committed) return;
    this.#open = false;
    committed();
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
        this.#planner.begin();
      }
      this.#open = true;
      await write(pipe);
      await pipe.end();
    } catch (error) {
      this.forget();
      throw error;
    }
  }

  async #explained(run: Run, work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      throw error instanceof PipeError ? explain(error, run, run.checkpointStatement) : error;
    }
  }

  async #write(pipe: StatementPipe, step: ReadyStep, run: Run): Promise<void> {
    if (step.kind === 'truncate') {
      run.expectTruncate(pipe.nextStatement, step.maps);
      pipe.run(truncateSql(step.maps, step.restartIdentity));
      return;
    }
    if (step.kind === 'set') {
      const { map, staged, net } = step;
      await this.setsOf(map).write(pipe, { map, staged, inserts: net.inserts }, (statement, rows) =>
        run.expectRows(statement, map, rows),
      );
      run.folded(step.map, step.changes);
      return;
    }
    for (const planned of step.changes) {
      const statement = this.#replay.write(pipe, planned);
      // What is set for the planner may have gone before it.
      run.expect(pipe.nextStatement - 1, planned, statement);
      if (pipe.full) await pipe.drain();
    }
  }
}
