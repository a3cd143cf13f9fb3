import type { Client } from 'pg';
import { readRelations } from '../catalog/read-relations.ts';
import type { TableMapping } from '../catalog/relation.ts';
import type { Batch } from '../change/batcher.ts';
import { moveCheckpointSql } from '../metadata/checkpoint.ts';
import { parseLsn, type Lsn } from '../postgres/lsn.ts';
import { describeError, SQLSTATE, sqlState, isTransient } from '../postgres/sqlstate.ts';
import { PipeError, StatementPipe } from '../postgres/statement-pipe.ts';
import type { Change, StreamRelation } from '../pgoutput/messages.ts';
import { Problem } from '../problem.ts';
import { OrderedReplay } from './ordered-replay.ts';
import { plan, type PlannedChange, type Step } from './plan.ts';
import { mapRows, type RowMap } from './row-map.ts';
import { truncateSql, type OnConflict, type OnMissing, type Statement } from './statements.ts';
import { describeKey } from './tuple.ts';

export interface RowCounts {
  insert: number;
  update: number;
  delete: number;
  truncate: number;
}

/** A row that was not applied as it was sent. */
export interface Conflict {
  readonly table: string;
  readonly kind: 'insertExists' | 'updateMissing' | 'deleteMissing';
  readonly key: string;
}

/** What one batch brought. */
export interface Applied {
  readonly rows: number;
  readonly perTable: ReadonlyMap<string, RowCounts>;
  readonly conflicts: readonly Conflict[];
  /** A position behind the commit in the target's WAL; null when nothing was committed. */
  readonly targetLsn: Lsn | null;
}

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
 * Applies batches to the target: rows and checkpoint in one transaction (invariant 1). After any rejection this
 * applier is spent: its transaction is rolled back with its connection, and a new one starts from the checkpoint.
 */
export class Applier {
  readonly #options: ApplierOptions;
  readonly #replay: OrderedReplay;
  readonly #maps = new Map<StreamRelation, RowMap | null>();
  #checkpoint: Lsn;
  /** A piece of a large transaction has been written, its commit is still to come. */
  #open = false;

  constructor(options: ApplierOptions) {
    this.#options = options;
    this.#replay = new OrderedReplay(options);
    this.#checkpoint = options.checkpoint;
  }

  /** Where the checkpoint on the target is. */
  get checkpoint(): Lsn {
    return this.#checkpoint;
  }

  /**
   * Applies one batch, or one piece. A batch that holds nothing for the target writes nothing, not even the checkpoint
   * (see moveCheckpoint). Throws APPLY_FAILED with the row, CHECKPOINT_LOST, or the connection's error.
   */
  async apply(batch: Batch): Promise<Applied> {
    const steps = await this.#plan(batch.changes);
    const run = new Run();
    if (steps.length === 0 && !this.#open) return run.result(null);
    if (this.#options.onMissing === 'error' && steps.length > 0) {
      // Whether a row was missing is known only from the answers, and must be before the commit.
      await this.#pipe(steps, null, run);
      run.refuseMisses();
      await this.#pipe([], batch, run);
    } else {
      await this.#pipe(steps, batch, run);
    }
    return run.result(run.targetLsn);
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

  async #plan(changes: readonly Change[]): Promise<Step[]> {
    for (const change of changes) {
      const relations = change.kind === 'truncate' ? change.relations : [change.relation];
      for (const relation of relations) if (!this.#maps.has(relation)) this.#maps.set(relation, await this.#mapRows(relation));
    }
    return plan(changes, (relation) => this.#maps.get(relation) ?? null);
  }

  // The target's table is read when the stream describes the relation, so a column that was added there in time counts.
  async #mapRows(relation: StreamRelation): Promise<RowMap | null> {
    for (const known of this.#maps.keys()) if (known.oid === relation.oid) this.#maps.delete(known);
    const mapping = this.#options.mappingOf(relation);
    if (!mapping) return null;
    const [target] = await readRelations(this.#options.client, { names: [mapping.target] });
    return mapRows(relation, mapping, target, this.#options.binary);
  }

  // One round trip: BEGIN, the rows, the checkpoint, COMMIT, and where the target's WAL is after it.
  async #pipe(steps: readonly Step[], batch: Batch | null, run: Run): Promise<void> {
    const pipe = new StatementPipe(
      this.#options.client,
      (statement, rows) => run.completed(statement, rows),
      (statement, fields) => run.returned(statement, fields),
    );
    run.begin();
    let checkpointStatement = -1;
    try {
      if (!this.#open) pipe.run('BEGIN');
      this.#open = true;
      for (const step of steps) await this.#write(pipe, step, run);
      if (batch?.end) {
        checkpointStatement = pipe.nextStatement;
        pipe.run(
          moveCheckpointSql({
            pipeline: this.#options.pipeline,
            from: this.#checkpoint,
            to: batch.end.endLsn,
            sourceCommittedAtMs: batch.end.committedAtMs,
          }),
        );
        pipe.run('COMMIT');
        run.walStatement = pipe.nextStatement;
        pipe.run('SELECT pg_catalog.pg_current_wal_insert_lsn()');
      }
      await pipe.end();
    } catch (error) {
      this.#replay.reset();
      throw error instanceof PipeError ? explain(error, run, checkpointStatement) : error;
    }
    if (batch?.end) {
      this.#open = false;
      this.#checkpoint = batch.end.endLsn;
    }
  }

  async #write(pipe: StatementPipe, step: Step, run: Run): Promise<void> {
    if (step.kind === 'truncate') {
      run.expectTruncate(pipe.nextStatement, step.maps);
      pipe.run(truncateSql(step.maps, step.restartIdentity));
      return;
    }
    for (const planned of step.changes) {
      const index = pipe.nextStatement;
      const statement = this.#replay.write(pipe, planned);
      if (statement) run.expect(index, planned, statement);
      if (pipe.full) await pipe.drain();
    }
  }
}

// What the answers of one batch say, matched with the changes they belong to.
class Run {
  #sent: ({ planned: PlannedChange; statement: Statement } | { truncated: readonly RowMap[] } | null)[] = [];
  readonly #perTable = new Map<string, RowCounts>();
  readonly #conflicts: Conflict[] = [];
  #rows = 0;
  walStatement = -1;
  targetLsn: Lsn | null = null;

  begin(): void {
    this.#sent = [];
  }

  expect(index: number, planned: PlannedChange, statement: Statement): void {
    this.#sent[index] = { planned, statement };
  }

  expectTruncate(index: number, maps: readonly RowMap[]): void {
    this.#sent[index] = { truncated: maps };
  }

  completed(index: number, rows: number): void {
    const sent = this.#sent[index];
    if (!sent) return;
    if ('truncated' in sent) {
      for (const map of sent.truncated) this.#count(map.table).truncate++;
      return;
    }
    const { change, map } = sent.planned;
    this.#count(map.table)[change.kind]++;
    this.#rows++;
    const { answer } = sent.statement;
    if (change.kind !== 'insert' && (answer === 'touched' ? rows === 0 : rows > 0 && answer === 'inserted')) {
      this.#conflict(sent.planned, change.kind === 'update' ? 'updateMissing' : 'deleteMissing');
    }
  }

  returned(index: number, fields: (string | null)[]): void {
    if (index === this.walStatement && fields[0]) this.targetLsn = parseLsn(fields[0]);
    const sent = this.#sent[index];
    if (sent && 'statement' in sent && sent.statement.answer === 'existed' && fields[0] !== '0') this.#conflict(sent.planned, 'insertExists');
  }

  /** The change whose statement has this index, if it is one. */
  change(index: number): PlannedChange | null {
    const sent = this.#sent[index];
    return sent && 'planned' in sent ? sent.planned : null;
  }

  truncated(index: number): readonly RowMap[] {
    const sent = this.#sent[index];
    return sent && 'truncated' in sent ? sent.truncated : [];
  }

  refuseMisses(): void {
    const miss = this.#conflicts.find((conflict) => conflict.kind !== 'insertExists');
    if (!miss) return;
    throw new Problem('ROW_MISSING', `${miss.kind === 'updateMissing' ? 'An UPDATE' : 'A DELETE'} of ${miss.table} found no row with ${miss.key} on the target.`, {
      table: miss.table,
      retry: 'transient',
      remedy: 'Put the row in on the target, or set apply.onMissing to skip or insert.',
    });
  }

  result(targetLsn: Lsn | null): Applied {
    return { rows: this.#rows, perTable: this.#perTable, conflicts: this.#conflicts, targetLsn };
  }

  #conflict({ change, map }: PlannedChange, kind: Conflict['kind']): void {
    const tuple = change.kind === 'delete' ? change.old.tuple : change.kind === 'update' ? (change.old?.tuple ?? change.row) : change.row;
    this.#conflicts.push({ table: map.table, kind, key: describeKey(map, tuple) });
  }

  #count(table: string): RowCounts {
    let counts = this.#perTable.get(table);
    if (!counts) this.#perTable.set(table, (counts = { insert: 0, update: 0, delete: 0, truncate: 0 }));
    return counts;
  }
}

function explain(error: PipeError, run: Run, checkpointStatement: number): unknown {
  const { cause } = error;
  if (error.statement === checkpointStatement && sqlState(cause) === SQLSTATE.division_by_zero) return checkpointLost(cause);
  if (isTransient(cause)) return cause;
  const planned = run.change(error.statement);
  const table = planned?.map.table ?? run.truncated(error.statement)[0]?.table;
  const tuple = planned && (planned.change.kind === 'delete' ? planned.change.old.tuple : planned.change.row);
  const what = planned && tuple ? `${planned.change.kind.toUpperCase()} of ${table} (${describeKey(planned.map, tuple)})` : `TRUNCATE of ${table ?? 'a table'}`;
  return new Problem('APPLY_FAILED', `The target refused the ${what}: ${describeError(cause)}`, {
    retry: 'transient',
    cause,
    remedy: remedyFor(sqlState(cause)),
    ...(table === undefined ? {} : { table }),
  });
}

function remedyFor(state: string | null): string {
  if (state === SQLSTATE.unique_violation) {
    return 'Delete the row that is in the way on the target, or set apply.onConflict: source_wins. It is tried again by itself.';
  }
  if (state === SQLSTATE.insufficient_privilege) return 'Grant the target role INSERT, UPDATE, DELETE and TRUNCATE on the table. It is tried again by itself.';
  return 'Make the target accept what the source has accepted (type, constraint, trigger of the target table). It is tried again by itself.';
}

function checkpointLost(cause: unknown): Problem {
  return new Problem('CHECKPOINT_LOST', 'The checkpoint on the target is not where this process left it; nothing was committed.', {
    cause,
    retry: 'transient',
    remedy: 'Make sure that only one pgfollow of this name writes to this target. It starts again from the checkpoint as it is now.',
  });
}
