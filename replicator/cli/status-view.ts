import type { PipelineState, Status, StatusProblem, TableState } from '../observe/status.ts';
import { TABLE_STATES } from '../observe/status.ts';
import { formatSeconds } from '../observe/summary.ts';
import { unreachable } from '../problem.ts';
import { describeCopy } from './copy-view.ts';
import { align, formatBytes, formatCount, printable, style, wrap, type Style } from './style.ts';

/** GET /api/v1/status as one screen of text, without a newline at its end. `now`: ms since 1970; sentences break at `columns`. */
export function renderStatus(status: Status, options: { color: boolean; now: number; columns?: number | undefined }): string {
  const columns = options.columns ?? Infinity;
  const paint = style(options.color);
  const since = Math.max(0, (options.now - Date.parse(status.since)) / 1000);
  const lines = [
    `${paint.bold(printable(status.name))}  ${paintState(paint, status.state)} for ${formatSeconds(since)}  ${paint.dim(`pgfollow ${printable(status.version)}`)}`,
    ...wrap(printable(status.summary), columns),
    '',
    ...facts(columns, [
      ['source', database(status.source)],
      ['target', database(status.target)],
      ['slot', slot(status.slot)],
      ['position', position(status)],
      ['lag', lag(status.lag)],
      [
        'rate',
        `${formatCount(status.rates.rowsPerSecond)} rows/s, ${formatCount(status.rates.transactionsPerSecond)} transactions/s`,
      ],
      ['applied', totals(status.totals)],
      ['tables', tables(status.tables)],
      ...(status.copy === null ? [] : [['copy', describeCopy(status.copy)] as const]),
      ...(status.work.bottleneck === null ? [] : [['why', printable(status.work.summary)] as const]),
    ]),
  ];
  if (status.problems.length > 0) {
    lines.push('', paint.bold('Problems'));
    for (const problem of status.problems) lines.push(...renderProblem(paint, problem, columns));
  }
  return lines.join('\n');
}

/** What and how it is, the latter below itself where a line has no room. */
function facts(columns: number, all: readonly (readonly [name: string, value: string])[]): string[] {
  const indent = Math.max(...all.map(([name]) => name.length)) + 2;
  return align(
    all.flatMap(([name, value]) => wrap(value, Math.max(20, columns - indent)).map((line, at) => [at === 0 ? name : '', line])),
  );
}

function paintState(paint: Style, state: PipelineState): string {
  switch (state) {
    case 'streaming':
      return paint.green(state);
    case 'starting':
    case 'copying':
    case 'catching_up':
      return paint.cyan(state);
    case 'paused':
    case 'retrying':
      return paint.yellow(state);
    case 'failed':
      return paint.red(state);
    default:
      return unreachable(state);
  }
}

function database({ connected, serverVersion, database }: Status['target']): string {
  const name = database === null ? '' : `database ${printable(database)}, `;
  const version = serverVersion === null ? '' : `PostgreSQL ${printable(serverVersion)}, `;
  return `${version}${name}${connected ? 'connected' : 'NOT CONNECTED'}`;
}

function slot(slot: Status['slot']): string {
  if (slot === null) return 'none yet';
  const limit = slot.limitBytes === null ? '' : ` of ${formatBytes(slot.limitBytes)}`;
  const retained = slot.retainedBytes === null ? '' : `, keeps ${formatBytes(slot.retainedBytes)}${limit} of WAL`;
  return `${printable(slot.name)}, ${slot.active ? 'active' : 'not active'}${slot.walStatus === null ? '' : `, ${printable(slot.walStatus)}`}${retained}`;
}

function position({ position, source }: Status): string {
  const at = (lsn: string | null): string => printable(lsn ?? '-');
  return `applied ${at(position.applied)}, received ${at(position.received)}, acknowledged ${at(position.acknowledged)}, source at ${at(source.walEnd)}`;
}

function lag({ seconds, bytes }: Status['lag']): string {
  const parts = [seconds === null ? null : formatSeconds(seconds), bytes === null ? null : formatBytes(bytes)];
  return parts.filter((part) => part !== null).join(', ') || 'not known';
}

function totals(totals: Status['totals']): string {
  const { insert, update, delete: removed, truncate, transactions } = totals;
  const counts = `insert ${formatCount(insert)}, update ${formatCount(update)}, delete ${formatCount(removed)}, truncate ${formatCount(truncate)}`;
  return `${counts} in ${formatCount(transactions)} ${transactions === 1 ? 'transaction' : 'transactions'}`;
}

function tables(tables: Status['tables']): string {
  const states = TABLE_STATES.filter((state: TableState) => tables[state] > 0).map(
    (state) => `${formatCount(tables[state])} ${state}`,
  );
  return states.length === 0 ? formatCount(tables.total) : `${formatCount(tables.total)}: ${states.join(', ')}`;
}

function renderProblem(paint: Style, problem: StatusProblem, columns: number): string[] {
  const table = problem.table === null ? '' : ` ${printable(problem.table)}`;
  const indented = (text: string): string[] => wrap(printable(text), columns - 2).map((line) => `  ${line}`);
  const times = problem.occurrences > 1 ? `, ${formatCount(problem.occurrences)} times so far` : '';
  const heading = `${paint.red(problem.code)}${table}  ${paint.dim(`since ${printable(problem.since)}${times}`)}`;
  return [heading, ...indented(problem.message), ...indented(problem.remedy)];
}
