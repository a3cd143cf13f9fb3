import { share } from '../../observe/copy-progress.ts';
import type { TableStatus } from '../../observe/status.ts';
import { bytesText, count, duration, plural, rate } from './format.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';
import { dotted, tableLink } from './pieces.ts';
import type { PageView } from './view.ts';

const SHOWN = 8;

/** Tables that are being copied, while there are any. */
export function renderSnapshot({ status: { copy }, tables, nowMs }: PageView): Html {
  if (copy === null) return html`<section id="snapshot" hidden></section>`;
  const running = tables.filter(({ state }) => state === 'copying' || state === 'indexing');
  const elapsed = said(Math.max(0, nowMs - Date.parse(copy.startedAt)) / 1000);
  const facts = dotted(
    copy.share !== null && plural(copy.rows, 'row'),
    bytesText(copy.bytes),
    copy.bytesPerSecond > 0 && `${bytesText(copy.bytesPerSecond)}/s, ${rate(copy.rowsPerSecond)} rows/s`,
    `${elapsed} so far`,
    `${count(copy.tablesDone)} of ${plural(copy.tables, 'table')} done`,
  );
  const part = copy.share === null ? plural(copy.rows, 'row') : `about ${Math.floor(copy.share * 100)} %`;
  const left = copy.secondsLeft === null ? '' : `, ${said(copy.secondsLeft)} to go`;
  return html`<section id="snapshot" aria-labelledby="snapshot-title">
    <h2 id="snapshot-title">Copy</h2>
    <div class="card snapshot">
      <p class="snapshot-line"><strong>${part}${left}</strong> <span>${facts}</span></p>
      ${bar(copy.share, 'Copy')}
      <ul class="copying">
        ${running.slice(0, SHOWN).map((table) => copyingRow(table, nowMs))}
      </ul>
      ${running.length > SHOWN && html`<p class="more">And ${plural(running.length - SHOWN, 'more table')} at the same time.</p>`}
    </div>
  </section>`;
}

function copyingRow({ source, state, snapshot }: Readonly<TableStatus>, nowMs: number): Html {
  const indexing = state === 'indexing';
  const part = indexing ? 1 : share(snapshot.rowsCopied, snapshot.rowsEstimated);
  const since = snapshot.startedAt === null ? null : said(Math.max(0, nowMs - Date.parse(snapshot.startedAt)) / 1000);
  const rows = indexing
    ? 'building indexes'
    : `${plural(snapshot.rowsCopied, 'row')}${part === null ? '' : ` (${Math.floor(part * 100)} %)`}`;
  return html`<li data-key="${source}">
    <span class="copying-name">${tableLink(source)}</span>
    ${bar(part, source)}
    <span class="copying-rows">${dotted(rows, since)}</span>
  </li>`;
}

/** How far something is; running without a share where that is not known. */
export function bar(part: number | null, label: string): Html {
  if (part === null) return html`<progress aria-label="${label}"></progress>`;
  return html`<progress aria-label="${label}" max="1" value="${Math.round(part * 1000) / 1000}"></progress>`;
}

function said(seconds: number): string {
  const { value, unit } = duration(seconds);
  return `${value} ${unit}`;
}
