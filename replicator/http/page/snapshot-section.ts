import { renderTimeline } from './copy-timeline.ts';
import { bytesText, count, duration, plural, rate } from './format.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';
import { dotted } from './pieces.ts';
import type { PageView } from './view.ts';

/** Tables that are being copied, while there are any. */
export function renderSnapshot(view: PageView): Html {
  const { copy } = view.status;
  if (copy === null) return html`<section id="snapshot" hidden></section>`;
  const elapsed = said(Math.max(0, view.nowMs - Date.parse(copy.startedAt)) / 1000);
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
      ${bar(copy.share, 'Copy')} ${renderTimeline(view, copy)}
    </div>
  </section>`;
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
