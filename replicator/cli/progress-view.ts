import type { Status, TableStatus } from '../observe/status.ts';
import { formatSeconds } from '../observe/summary.ts';
import { describeCopy } from './copy-view.ts';
import { align, formatBytes, formatCount, printable, style, wrap } from './style.ts';

/** So many tables are shown at once; the others are counted. */
const MAX_BARS = 5;
const BAR_WIDTH = 24;
/** Before so long a copy has no speed worth a forecast, in seconds. */
const FORECAST_AFTER_S = 5;

/** What `run` shows on a terminal: a verdict line, and a bar for each table that is being copied. `now`: ms since 1970. */
export function renderProgress(
  status: Status,
  tables: readonly TableStatus[],
  options: { color: boolean; now: number; columns: number },
): string[] {
  const paint = style(options.color);
  const bad = status.problems.length > 0 || status.state === 'failed' || status.state === 'retrying';
  const mark = bad ? paint.red('!') : status.state === 'streaming' ? paint.green('*') : paint.cyan('>');
  const { rowsPerSecond, transactionsPerSecond } = status.rates;
  const rates =
    rowsPerSecond > 0
      ? paint.dim(`  ${formatCount(rowsPerSecond)} rows/s, ${formatCount(transactionsPerSecond)} transactions/s`)
      : '';
  const lines = wrap(printable(status.summary), options.columns - 2).map((line, at) => `${at === 0 ? mark : ' '} ${line}`);
  if (rates !== '') lines.push(rates);
  if (status.copy !== null) lines.push(paint.dim(`  ${describeCopy(status.copy)}`));
  const active = tables.filter(({ state }) => state === 'copying' || state === 'indexing');
  const rows = active.slice(0, MAX_BARS).map((table) => bar(table, options.now));
  lines.push(...align(rows, [2]));
  if (active.length > MAX_BARS) lines.push(paint.dim(`  and ${active.length - MAX_BARS} more`));
  const [problem] = status.problems;
  if (problem) {
    const indented = (text: string): string[] => wrap(printable(text), options.columns - 2).map((line) => `  ${line}`);
    lines.push(...indented(problem.message).map((line) => paint.red(line)), ...indented(problem.remedy));
  }
  return lines;
}

/**
 * The estimate is the planner's and may be off: a share is shown only while fewer rows than estimated have been copied,
 * and never as finished before it is.
 */
function bar({ source, state, snapshot }: TableStatus, now: number): string[] {
  const { rowsCopied, rowsEstimated, bytesCopied, startedAt } = snapshot;
  const name = `  ${printable(source)}`;
  if (state === 'indexing')
    return [name, `[${'#'.repeat(BAR_WIDTH)}]`, '', `building indexes, ${formatCount(rowsCopied)} rows copied`];
  const copied = `${formatCount(rowsCopied)} rows, ${formatBytes(bytesCopied)}`;
  if (rowsEstimated === null || rowsEstimated <= 0 || rowsCopied > rowsEstimated)
    return [name, `[${'.'.repeat(BAR_WIDTH)}]`, '', copied];
  const share = Math.min(0.99, rowsCopied / rowsEstimated);
  const filled = Math.floor(share * BAR_WIDTH);
  const seconds = startedAt === null ? 0 : (now - Date.parse(startedAt)) / 1000;
  const left =
    seconds < FORECAST_AFTER_S || rowsCopied === 0
      ? ''
      : `, ${formatSeconds(((rowsEstimated - rowsCopied) * seconds) / rowsCopied)} left`;
  return [name, `[${'#'.repeat(filled)}${'-'.repeat(BAR_WIDTH - filled)}]`, `${Math.floor(share * 100)} %`, `${copied}${left}`];
}
