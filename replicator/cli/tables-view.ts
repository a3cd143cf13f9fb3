import type { TableStatus } from '../observe/status.ts';
import { mismatches } from '../observe/validation.ts';
import { formatSeconds } from '../observe/summary.ts';
import { align, formatBytes, formatCount, printable, style } from './style.ts';

const HEADING = ['TABLE', 'STATE', 'COPIED', 'APPLIED', 'LAG', 'ERROR'];
const NUMBERS = [2, 3, 4];

/** One line a table. `lagSeconds` is that of the pipeline, which a streaming table shares. */
export function renderTables(
  tables: readonly TableStatus[],
  options: { lagSeconds: number | null; heading: boolean; color: boolean },
): string[] {
  const rows = tables.map((table) => [
    name(table),
    table.state,
    formatCount(table.snapshot.rowsCopied),
    formatCount(applied(table)),
    lag(table, options.lagSeconds),
    trouble(table),
  ]);
  const lines = align(options.heading ? [HEADING, ...rows] : rows, NUMBERS);
  const paint = style(options.color);
  return lines.map((line, at) => {
    const table = tables[options.heading ? at - 1 : at];
    if (table === undefined) return paint.bold(line);
    return table.state === 'error' ? paint.red(line) : line;
  });
}

function name({ source, target }: TableStatus): string {
  return printable(source === target ? source : `${source} -> ${target}`);
}

function applied({ applied }: TableStatus): number {
  return applied.insert + applied.update + applied.delete + applied.truncate;
}

/** Seconds while streaming; otherwise what waits in the spool. */
function lag({ state, spooledBytes }: TableStatus, lagSeconds: number | null): string {
  if (spooledBytes > 0) return `${formatBytes(spooledBytes)} spooled`;
  return state === 'streaming' && lagSeconds !== null ? formatSeconds(lagSeconds) : '-';
}

/** On one line, whatever the server said. */
function trouble({ error, conflicts, validation, waiting }: TableStatus): string {
  if (error !== null) return printable(`${error.code}: ${error.message} ${error.remedy}`.replaceAll(/\s+/g, ' '));
  const differing = validation ? mismatches(validation) : 0;
  return [
    ...(waiting ? [printable(`${waiting.message} ${waiting.remedy}`)] : []),
    ...(differing > 0 ? [`rows differ ${formatCount(differing)}`] : []),
    ...Object.entries(conflicts)
      .filter(([, count]) => count > 0)
      .map(([kind, count]) => `${kind} ${formatCount(count)}`),
  ].join(', ');
}
