import type { Client } from 'pg';
import type { Logger } from 'pino';
import { displayName, type RelationName } from '../catalog/relation.ts';
import type { StatusModel } from '../observe/model.ts';
import { mismatches, waiting, type TableValidation } from '../observe/validation.ts';
import type { Found } from '../validate/comparison.ts';
import type { TableFound } from '../validate/validate-table.ts';
import type { CommitWait } from './commit-waits.ts';
import { KeptValidations } from './kept-validations.ts';
import type { Teller } from './teller.ts';
import type { ValidationObserver } from './validator.ts';
import { WaitTeller } from './wait-teller.ts';

/** Examples in a message; the API gives more. */
const EXAMPLES = 3;

/** Turns comparisons of tables into status, problems and events, and keeps what they have found. */
export class ValidationReporter implements ValidationObserver {
  readonly #model: StatusModel;
  readonly #teller: Teller;
  readonly #kept: KeptValidations;
  readonly #waits: WaitTeller;
  readonly #tables = new Map<string, TableValidation>();
  /** Tables whose rows differed when they were compared last. */
  readonly #differing = new Set<string>();

  constructor({ model, teller, log }: { model: StatusModel; teller: Teller; log: Logger }) {
    this.#model = model;
    this.#teller = teller;
    this.#waits = new WaitTeller({ model, teller });
    this.#kept = new KeptValidations(log);
  }

  /**
   * The tables are known to the model: what earlier processes have found of them is shown again. Gives when they compared last, ms
   * since 1970; null where that is not known, or was told before.
   */
  async connected(target: Client, pipeline: string): Promise<number | null> {
    const recalled = await this.#kept.connected(target, pipeline);
    for (const { source, found } of recalled) {
      const table = displayName(source);
      // No longer wished for: it is about to be forgotten.
      if (!this.#model.table(table)) continue;
      const validation: TableValidation = { ...waiting(), ...found };
      this.#model.followed.validated(table, validation, found.equalAt);
      if (mismatches(validation) > 0) this.#showDiffering(table, validation);
    }
    return recalled.length === 0 ? null : Math.max(...recalled.map(({ found }) => Date.parse(found.finishedAt)));
  }

  disconnected(): void {
    this.#kept.disconnected();
  }

  begins(tables: readonly string[], by: string): void {
    this.#tables.clear();
    for (const table of tables) this.#tables.set(table, waiting());
    this.#model.validations.begin(tables, by, now());
    const what = tables.length === 1 ? tables[0] : `${tables.length} tables`;
    this.#teller.tell({
      level: 'info',
      code: 'VALIDATION_STARTED',
      message: `Both sides of ${what} are compared, asked for by ${by}.`,
    });
  }

  starts(table: string): void {
    this.#put(table, { ...waiting(), state: 'running', startedAt: now() });
  }

  progress(table: string, found: Found): void {
    this.#put(table, { ...this.#known(table), ...counts(found) });
  }

  found(source: RelationName, found: TableFound): void {
    const table = displayName(source);
    const differ = mismatches(found) > 0;
    const state = differ ? 'different' : found.unsettled > 0 ? 'unsettled' : 'equal';
    const finishedAt = now();
    const validation: TableValidation = {
      ...this.#known(table),
      ...counts(found),
      state,
      finishedAt,
      columnsNotCompared: found.columnsNotCompared,
    };
    this.#put(table, validation);
    // Rows that were in motion say nothing about those that differed before.
    if (state === 'unsettled' && this.#differing.has(table)) return;
    this.#model.followed.validated(table, validation);
    const equalAt = this.#model.table(table)?.validation?.equalAt ?? null;
    this.#kept.keep(source, { ...validation, state, finishedAt, equalAt });
    if (differ) this.#teller.tell({ level: 'error', ...this.#showDiffering(table, validation) });
    else this.#over(table, `Both sides of ${table} are equal now.`);
  }

  failed(table: string, reason: string): void {
    this.#put(table, { ...this.#known(table), state: 'failed', finishedAt: now(), reason });
    this.#teller.tell({ level: 'warn', table, code: 'VALIDATION_FAILED', message: `${table} could not be compared: ${reason}` });
  }

  waits(table: string, wait: CommitWait | null): void {
    this.#waits.tell([table], wait);
  }

  ends(cancelledBy: string | null): void {
    for (const [table, known] of this.#tables)
      if (known.finishedAt === null) this.#put(table, { ...known, state: 'cancelled', finishedAt: now() });
    this.#model.validations.end(now());
    const states = [...this.#tables.values()].map(({ state }) => state);
    this.#teller.tell({
      level: 'info',
      code: 'VALIDATION_FINISHED',
      message: cancelledBy ? `The comparison was cancelled by ${cancelledBy}.` : summary(states),
    });
  }

  /** The table's rows were copied again, or it is no longer followed: what was found is over. */
  replaced(table: string): void {
    this.#kept.drop(table);
    this.#model.followed.validated(table, null);
    this.#over(table, `What was found of ${table} is over: it was copied again, or is no longer followed.`);
  }

  #showDiffering(table: string, validation: TableValidation) {
    this.#differing.add(table);
    const rows = mismatches(validation);
    const kinds = (['missing', 'extra', 'different'] as const).filter((kind) => validation[kind] > 0);
    const shown = validation.examples.slice(0, EXAMPLES).map(({ kind, key }) => `${key} (${kind})`);
    const problem = {
      code: 'ROWS_DIFFER' as const,
      table,
      message:
        `${validation.complete ? '' : 'At least '}${rows} ${rows === 1 ? 'row' : 'rows'} of ${table} ${rows === 1 ? 'differs' : 'differ'} on the target ` +
        `(${kinds.map((kind) => `${validation[kind]} ${kind}`).join(', ')}), such as ${shown.join('; ')}.`,
      remedy: `pgfollow resync ${table}: the rows that differ become those of the source. Find out first who wrote to the target.`,
    };
    this.#model.problem(problem);
    return problem;
  }

  #over(table: string, message: string): void {
    if (!this.#differing.delete(table)) return;
    this.#model.clearProblem('ROWS_DIFFER', table);
    this.#teller.tell({ level: 'info', table, code: 'ROWS_EQUAL', message });
  }

  #known(table: string): TableValidation {
    return this.#tables.get(table) ?? waiting();
  }

  #put(table: string, validation: TableValidation): void {
    this.#tables.set(table, validation);
    this.#model.validations.table(table, validation);
  }
}

function counts({ rows, missing, extra, different, unsettled, examples, stopped }: Found) {
  return { rows, missing, extra, different, unsettled, examples, complete: !stopped };
}

function now(): string {
  return new Date().toISOString();
}

function summary(states: readonly TableValidation['state'][]): string {
  const of = (state: TableValidation['state']): number => states.filter((each) => each === state).length;
  const parts = [
    [of('equal'), 'equal'],
    [of('different'), 'different'],
    [of('unsettled') + of('failed'), 'not to be told'],
  ] as const;
  const found = parts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  return `${states.length} ${states.length === 1 ? 'table' : 'tables'} compared: ${found.join(', ')}.`;
}
