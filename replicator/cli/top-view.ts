import type { Status, TableStatus } from '../observe/status.ts';
import { renderStatus } from './status-view.ts';
import { align, formatCount, printable, style } from './style.ts';

/** What `status --watch` shows at one moment. */
export interface TopSample {
  readonly status: Status;
  readonly tables: readonly TableStatus[];
  /** ms of any clock. */
  readonly at: number;
}

export interface TopOptions {
  readonly color: boolean;
  /** ms since 1970. */
  readonly now: number;
  readonly columns: number | undefined;
  readonly rows: number;
  /** Why there is nothing newer; null while answers come. */
  readonly stale: string | null;
}

const ORDER: readonly TableStatus['state'][] = ['error', 'copying', 'indexing', 'catching_up', 'pending', 'streaming'];

/** The status, and below it the tables that matter most, as many as fit: failing ones, then what moves. */
export function renderTop(sample: TopSample, before: TopSample | null, options: TopOptions): string {
  const paint = style(options.color);
  const head = renderStatus(sample.status, options).split('\n');
  const lines = options.stale === null ? head : [paint.red(printable(options.stale)), ...head.map((each) => paint.dim(each))];
  const room = options.rows - lines.length - 4;
  const footer = paint.dim('q ends this');
  if (room < 1 || sample.tables.length === 0) return [...lines, '', footer].join('\n');
  const ranked = rank(sample, before);
  const shown = ranked.slice(0, room);
  const cells = shown.map(({ table, perSecond }) => [
    printable(table.source),
    table.state,
    formatCount(changes(table)),
    perSecond === null ? '-' : formatCount(perSecond),
    table.error === null ? copied(table) : printable(`${table.error.code}: ${table.error.message}`.replaceAll(/\s+/g, ' ')),
  ]);
  const [heading = '', ...rows] = align([['TABLE', 'STATE', 'APPLIED', 'PER SECOND', ''], ...cells], [2, 3]);
  const hidden = ranked.length - shown.length;
  return [
    ...lines,
    '',
    paint.bold(heading),
    ...rows.map((row, at) => (shown[at]?.table.state === 'error' ? paint.red(row) : row)),
    hidden > 0 ? paint.dim(`and ${formatCount(hidden)} more; q ends this`) : footer,
  ].join('\n');
}

/** Failing first, then those on their way, then by how much they change, then by name. */
function rank({ tables, at }: TopSample, before: TopSample | null): { table: TableStatus; perSecond: number | null }[] {
  const earlier = new Map((before?.tables ?? []).map((table) => [table.source, changes(table)]));
  const seconds = before === null ? 0 : (at - before.at) / 1000;
  const rated = tables.map((table) => {
    const known = earlier.get(table.source);
    // Counters begin anew with the process.
    const grown = known === undefined ? null : changes(table) - known;
    return { table, perSecond: grown === null || grown < 0 || seconds <= 0 ? null : grown / seconds };
  });
  return rated.sort(
    (a, b) =>
      ORDER.indexOf(a.table.state) - ORDER.indexOf(b.table.state) ||
      (b.perSecond ?? 0) - (a.perSecond ?? 0) ||
      changes(b.table) - changes(a.table) ||
      (a.table.source < b.table.source ? -1 : 1),
  );
}

function changes({ applied }: TableStatus): number {
  return applied.insert + applied.update + applied.delete + applied.truncate;
}

function copied({ state, snapshot }: TableStatus): string {
  if (state !== 'copying' && state !== 'indexing') return '';
  const of = snapshot.rowsEstimated === null ? '' : ` of about ${formatCount(snapshot.rowsEstimated)}`;
  return `${formatCount(snapshot.rowsCopied)}${of} rows copied`;
}
