import type { TableValidation } from '../observe/validation.ts';
import { eventually } from './eventually.ts';
import type { RunningPipeline } from './run-pipeline.ts';

/** Compares tables (all, where none are named) and gives what was found of each. */
export async function validated(
  running: RunningPipeline,
  tables: readonly string[] = [],
): Promise<Record<string, TableValidation>> {
  const { controls, model } = running.pipeline;
  await controls.validate(tables, 'a test');
  await eventually(() => !model.validations.read().running, { timeout: 120_000 });
  return Object.fromEntries(model.validations.read().tables.map(({ table, ...found }) => [table, found]));
}

/** What is found of a table, as one line: state, rows, then the counts that are not 0. */
export function inShort({ state, rows, missing, extra, different, unsettled, reason }: TableValidation): string {
  const counts = Object.entries({ missing, extra, different, unsettled }).filter(([, count]) => count > 0);
  return [state, rows, ...counts.map(([kind, count]) => `${kind} ${count}`), ...(reason === null ? [] : [reason])].join(' ');
}
