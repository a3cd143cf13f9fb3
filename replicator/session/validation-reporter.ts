import type { StatusModel } from '../observe/model.ts';
import { mismatches, waiting, type TableValidation } from '../observe/validation.ts';
import type { Found } from '../validate/comparison.ts';
import type { TableFound } from '../validate/validate-table.ts';
import type { Teller } from './teller.ts';
import type { ValidationObserver } from './validator.ts';

/** Examples in a message; the API gives more. */
const EXAMPLES = 3;

/** Turns comparisons of tables into status, problems and events. */
export class ValidationReporter implements ValidationObserver {
  readonly #model: StatusModel;
  readonly #teller: Teller;
  readonly #tables = new Map<string, TableValidation>();
  /** Tables whose rows differed when they were compared last. */
  readonly #differing = new Set<string>();

  constructor({ model, teller }: { model: StatusModel; teller: Teller }) {
    this.#model = model;
    this.#teller = teller;
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

  found(table: string, found: TableFound): void {
    const differ = mismatches(found) > 0;
    const validation: TableValidation = {
      ...this.#known(table),
      ...counts(found),
      state: differ ? 'different' : found.unsettled > 0 ? 'unsettled' : 'equal',
      finishedAt: now(),
      columnsNotCompared: found.columnsNotCompared,
    };
    this.#put(table, validation);
    if (differ) return this.#differ(table, validation);
    // Rows that were in motion say nothing about those that differed before.
    if (validation.state === 'unsettled' && this.#differing.has(table)) return;
    this.#model.validated(table, validation);
    this.#over(table, `Both sides of ${table} are equal now.`);
  }

  failed(table: string, reason: string): void {
    this.#put(table, { ...this.#known(table), state: 'failed', finishedAt: now(), reason });
    this.#teller.tell({ level: 'warn', table, code: 'VALIDATION_FAILED', message: `${table} could not be compared: ${reason}` });
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
    this.#model.validated(table, null);
    this.#over(table, `What was found of ${table} is over: it was copied again, or is no longer followed.`);
  }

  #differ(table: string, validation: TableValidation): void {
    this.#model.validated(table, validation);
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
    this.#teller.tell({ level: 'error', ...problem });
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
