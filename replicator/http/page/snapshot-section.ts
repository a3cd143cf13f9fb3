import type { TableStatus } from '../../observe/status.ts';
import { bytesText, count, duration, plural } from './format.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';
import { dotted } from './pieces.ts';
import type { PageView } from './view.ts';

const SHOWN = 8;

/** The initial copy, while there is one. */
export function renderSnapshot({ status, tables, nowMs }: PageView): Html {
  const unfinished = tables.filter(({ state }) => state === 'pending' || state === 'copying' || state === 'indexing');
  if (unfinished.length === 0) return html`<section id="snapshot" hidden></section>`;
  // A table that is copied later, while the others stream, is counted alone.
  const wave = status.state === 'copying' ? tables : unfinished;
  const rows = sum(wave.map((table) => table.snapshot.rowsCopied));
  const estimates = wave.flatMap(({ snapshot }) => snapshot.rowsEstimated ?? []);
  const part = share(rows, estimates.length === wave.length ? sum(estimates) : null);
  const starts = wave.flatMap(({ snapshot }) => (snapshot.startedAt === null ? [] : Date.parse(snapshot.startedAt)));
  const seconds = starts.length === 0 ? null : Math.max(0, nowMs - Math.min(...starts)) / 1000;
  const facts = dotted(
    part !== null && plural(rows, 'row'),
    bytesText(sum(wave.map((table) => table.snapshot.bytesCopied))),
    seconds !== null && timing(part, seconds),
    `${count(wave.length - unfinished.length)} of ${plural(wave.length, 'table')} done`,
  );
  const running = unfinished.filter((table) => table.state !== 'pending').slice(0, SHOWN);
  return html`<section id="snapshot" aria-labelledby="snapshot-title">
    <h2 id="snapshot-title">Initial copy</h2>
    <div class="card snapshot">
      <p class="snapshot-line">
        <strong>${part === null ? plural(rows, 'row') : `about ${Math.floor(part * 100)} %`}</strong> <span>${facts}</span>
      </p>
      ${bar(part, 'Initial copy')}
      <ul class="copying">
        ${running.map(copyingRow)}
      </ul>
    </div>
  </section>`;
}

function copyingRow({ source, state, snapshot }: TableStatus): Html {
  const indexing = state === 'indexing';
  return html`<li data-key="${source}">
    <span class="copying-name">${source}</span>
    ${bar(indexing ? 1 : share(snapshot.rowsCopied, snapshot.rowsEstimated), source)}
    <span class="copying-rows">${indexing ? 'building indexes' : plural(snapshot.rowsCopied, 'row')}</span>
  </li>`;
}

/** How much is done, or null where the estimate is missing or already proved wrong: better no number than a false one. */
export function share(done: number, estimated: number | null): number | null {
  return estimated !== null && estimated > 0 && done <= estimated ? done / estimated : null;
}

/** What is left is only guessed once enough is done. */
function timing(part: number | null, seconds: number): string {
  const so = duration(seconds);
  const elapsed = `${so.value} ${so.unit}`;
  if (part === null || part === 0 || part === 1 || (part < 0.05 && seconds < 30)) return elapsed;
  const rest = duration((seconds * (1 - part)) / part);
  return `${elapsed}, about ${rest.value} ${rest.unit} to go`;
}

/** How far something is; running without a share where that is not known. */
export function bar(part: number | null, label: string): Html {
  if (part === null) return html`<progress aria-label="${label}"></progress>`;
  return html`<progress aria-label="${label}" max="1" value="${Math.round(part * 1000) / 1000}"></progress>`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
