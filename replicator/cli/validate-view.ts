import type { TableValidation, Validations } from '../observe/validation.ts';
import { formatCount, printable, style } from './style.ts';

type Validated = Validations['tables'][number];

const KINDS = { missing: 'missing on the target', extra: 'only on the target', different: 'different' } as const;

/** What all of them together say. */
export function verdictOf(tables: readonly Pick<TableValidation, 'state'>[]): 'equal' | 'not equal' {
  return tables.every(({ state }) => state === 'equal' || state === 'unsettled') ? 'equal' : 'not equal';
}

/** A line for a table that is done, and one for each example. */
export function renderValidated(found: Validated, color: boolean): string {
  const { table, state, rows, unsettled, complete, examples, columnsNotCompared, reason } = found;
  const paint = style(color);
  const counts = Object.entries(KINDS).flatMap(([kind, says]) => {
    const count = found[kind as keyof typeof KINDS];
    return count === 0 ? [] : [`${formatCount(count)} ${says}`];
  });
  const parts = [
    `${formatCount(rows)} rows compared`,
    ...counts,
    ...(complete ? [] : ['and more']),
    ...(unsettled > 0 ? [`${formatCount(unsettled)} changed too often to tell`] : []),
    ...(columnsNotCompared.length > 0 ? [`without ${columnsNotCompared.join(', ')}`] : []),
    ...(reason === null ? [] : [reason]),
  ];
  const line = printable(`${table}  ${state}  ${parts.join(', ')}`);
  const painted =
    state === 'equal' ? line : state === 'unsettled' || state === 'cancelled' ? paint.yellow(line) : paint.red(line);
  return [painted, ...examples.map(({ kind, key }) => printable(`  ${KINDS[kind]}: ${key}`))].join('\n');
}

/** What is being done, for the bottom of a terminal. */
export function renderRunning(tables: readonly Validated[]): string[] {
  const done = tables.filter(({ finishedAt }) => finishedAt !== null).length;
  const running = tables.find(({ state }) => state === 'running');
  return [
    `${done} of ${tables.length} tables compared`,
    ...(running ? [printable(`${running.table}  ${formatCount(running.rows)} rows so far`)] : []),
  ];
}
