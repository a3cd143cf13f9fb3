import { share } from '../../observe/copy-progress.ts';
import type { CopyProgress, TableStatus } from '../../observe/status.ts';
import { clock, duration, plural } from './format.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';
import { dotted, tableLink } from './pieces.ts';
import type { PageView } from './view.ts';

/** Tables that are being copied, and with those that are done before them. */
const RUNNING_SHOWN = 8;
const SHOWN = 12;
/** How wide the time since the begin is drawn; it is stretched to what there is. */
const WIDTH = 1000;

/** Each table's time in the copy that is under way: a bar from its begin to its end, a bounded number of them. */
export function renderTimeline({ tables, nowMs }: PageView, { startedAt }: CopyProgress): Html {
  const fromMs = Date.parse(startedAt);
  const begun = tables.filter(({ snapshot }) => snapshot.startedAt !== null);
  const running = begun.filter(({ state }) => state === 'copying' || state === 'indexing');
  const done = begun
    .filter(({ state, snapshot }) => state !== 'copying' && state !== 'indexing' && endOf(snapshot) >= fromMs)
    .sort((a, b) => endOf(b.snapshot) - endOf(a.snapshot));
  const first = running.slice(0, RUNNING_SHOWN);
  const shown = [...first, ...done.slice(0, SHOWN - first.length)].sort((a, b) => beginOf(a.snapshot) - beginOf(b.snapshot));
  const more = running.length - first.length;
  return html`<ul class="copying" aria-label="Tables, and when they are copied">
      ${shown.map((table) => row(table, { fromMs, nowMs }))}
    </ul>
    ${shown.length > 0 && html`<p class="axis"><span>${clock(startedAt, nowMs)}</span><span>${clock(new Date(nowMs).toISOString(), nowMs)} UTC</span></p>`}
    ${more > 0 && html`<p class="more">And ${plural(more, 'more table')} at the same time.</p>`}`;
}

interface Window {
  readonly fromMs: number;
  readonly nowMs: number;
}

function row({ source, state, snapshot }: Readonly<TableStatus>, window: Window): Html {
  const begin = beginOf(snapshot);
  const end = state === 'copying' ? window.nowMs : endOf(snapshot);
  const part = state === 'copying' ? share(snapshot.rowsCopied, snapshot.rowsEstimated) : 1;
  const took = said((state === 'indexing' ? window.nowMs : end) - begin);
  const rows = state === 'indexing' ? 'building indexes' : rowsText(snapshot.rowsCopied, state === 'copying' ? part : null);
  return html`<li data-key="${source}" ${state !== 'copying' && state !== 'indexing' && html` class="done"`}>
    <span class="copying-name">${tableLink(source)}</span>
    <svg class="span" viewBox="0 0 ${WIDTH} 10" preserveAspectRatio="none" aria-hidden="true" focusable="false">
      ${bar('rest', begin, end, window)} ${bar('copied', begin, begin + (end - begin) * (part ?? 0), window)}
      ${state === 'indexing' && bar('indexed', end, window.nowMs, window)}
    </svg>
    <span class="copying-rows">${dotted(rows, took)}</span>
  </li>`;
}

function bar(kind: 'rest' | 'copied' | 'indexed', beginMs: number, endMs: number, { fromMs, nowMs }: Window): Html {
  const at = (ms: number): number => Math.round((WIDTH * Math.max(0, ms - fromMs)) / Math.max(1, nowMs - fromMs));
  const x = Math.min(at(beginMs), WIDTH - 4);
  // What took no time is seen all the same; of nothing there is nothing.
  const width = endMs > beginMs ? Math.max(4, at(endMs) - x) : 0;
  return html`<rect class="${kind}" x="${x}" width="${width}" height="10" />`;
}

function rowsText(rows: number, part: number | null): string {
  return part === null ? plural(rows, 'row') : `${plural(rows, 'row')} (${Math.floor(part * 100)} %)`;
}

function beginOf({ startedAt }: TableStatus['snapshot']): number {
  return startedAt === null ? 0 : Date.parse(startedAt);
}

function endOf({ finishedAt }: TableStatus['snapshot']): number {
  return finishedAt === null ? 0 : Date.parse(finishedAt);
}

function said(ms: number): string {
  const { value, unit } = duration(Math.max(0, ms) / 1000);
  return `${value} ${unit}`;
}
