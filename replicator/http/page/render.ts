import type { Status } from '../../observe/status.ts';
import { renderEvents } from './events-section.ts';
import { renderFindings } from './findings-section.ts';
import { renderFlow } from './flow-section.ts';
import { clock, count, plural } from './format.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';
import { dotted, formField, remedy } from './pieces.ts';
import { renderSnapshot } from './snapshot-section.ts';
import { renderTables } from './tables-section.ts';
import { renderTiles } from './tiles-section.ts';
import { PIPELINE_TONES, icon, words } from './tone.ts';
import type { Tone } from './tone.ts';
import type { PageView } from './view.ts';

/** The whole status page; complete and usable without JavaScript. */
export function renderPage(view: PageView): string {
  const { status } = view;
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${titleOf(view)}</title>
        <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
        <link rel="stylesheet" href="/assets/style.css" />
        <noscript><meta http-equiv="refresh" content="5" /></noscript>
        <script type="module" src="/assets/app.js"></script>
      </head>
      <body>
        <a class="skip" href="#tables">Skip to the tables</a>
        <header class="top">
          <a class="brand" href="/"><img src="/favicon.svg" alt="" width="26" height="26" />pgfollow</a>
          <span class="name">${status.name}</span>
          <span id="freshness" class="freshness">as of ${clock(new Date(view.nowMs).toISOString(), view.nowMs)} UTC</span>
          ${view.canLogOut && html`<form method="post" action="/logout">${formField(view)}<button class="quiet" type="submit">Log out</button></form>`}
        </header>
        ${main(view)}
        <footer class="bottom">
          <span>pgfollow ${status.version}</span>
          <nav aria-label="Interfaces">
            <a href="/metrics">Metrics</a><a href="/api/v1/status">Status</a><a href="/api/v1/events">Events</a
            ><a href="/api/v1/openapi.json">API</a>
          </nav>
        </footer>
      </body>
    </html> `.text;
}

/** The part that changes; the page swaps it in place as it lives. */
export function renderMain(view: PageView): string {
  return main(view).text;
}

function main(view: PageView): Html {
  return html`<main id="main" data-title="${titleOf(view)}">
    ${renderVerdict(view)} ${renderProblems(view)} ${renderFlow(view)} ${renderSnapshot(view)} ${renderTiles(view)}
    ${renderTables(view)} ${renderFindings(view)} ${renderEvents(view)}
  </main>`;
}

function titleOf({ status }: PageView): string {
  return `${words(status.state)} – ${status.name} – pgfollow`;
}

function renderVerdict(view: PageView): Html {
  const { status } = view;
  const tone = verdictTone(status);
  const { total, streaming } = status.tables;
  const problems = plural(status.problems.length, 'problem');
  const any = status.problems.length > 0;
  const since = html`<strong class="state">${words(status.state)}</strong> since ${clock(status.since, view.nowMs)} UTC`;
  const tables = total > 0 && `${count(streaming)} of ${plural(total, 'table')} streaming`;
  return html`<section id="verdict" class="verdict tone-${tone}" aria-label="Verdict">
    <span class="badge">${icon(tone)}</span>
    <div class="verdict-text">
      <h1>${status.summary}</h1>
      <p>${dotted(since, tables, any && html`<a href="#problems">${problems}</a>`)}</p>
    </div>
    <p class="sr-only" aria-live="polite">${words(status.state)}, ${any ? problems : 'no problems'}</p>
    ${control(view)}
  </section>`;
}

/** A pipeline that streams while something needs attention is not shown in green. */
function verdictTone({ state, tables, problems }: Status): Tone {
  const tone = PIPELINE_TONES[state];
  return tone !== 'bad' && (tables.error > 0 || problems.length > 0) ? 'warn' : tone;
}

/** A plain form, so that it works without JavaScript; the script sends it without leaving the page. */
function control(view: PageView): Html | null {
  const { status } = view;
  if (status.state === 'failed') return null;
  const action = status.state === 'paused' ? 'resume' : 'pause';
  const label = action === 'pause' ? 'Pause' : 'Resume';
  return html`<form id="control" class="control" method="post" action="/actions/${action}">
    ${formField(view)}
    <button type="submit" class="${action === 'resume' ? 'primary' : 'plain'}">${label}</button>
    <p class="control-error" data-error data-keep></p>
  </form>`;
}

function renderProblems({ status, nowMs }: PageView): Html {
  if (status.problems.length === 0) return html`<section id="problems" hidden></section>`;
  const items = status.problems.map(
    (problem) =>
      html`<li class="problem" data-key="${problem.code} ${problem.table}">
        ${icon('bad')}
        <div>
          <p class="problem-message">${problem.message}</p>
          <p class="meta">
            ${dotted(html`<code>${problem.code}</code>`, problem.table, `since ${clock(problem.since, nowMs)} UTC`)}
          </p>
          ${remedy(problem.remedy)}
        </div>
      </li>`,
  );
  return html`<section id="problems" aria-labelledby="problems-title">
    <h2 id="problems-title">Needs attention</h2>
    <ul class="problems">
      ${items}
    </ul>
  </section>`;
}
