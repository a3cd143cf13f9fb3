import type { Status } from '../../observe/status.ts';
import { clock } from './format.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';
import { hrefOf } from './page-query.ts';
import { backField, dotted, formField } from './pieces.ts';
import { themeSwitch } from './theme.ts';
import { words } from './tone.ts';
import type { PageBody, PageView } from './view.ts';

/** A whole page; complete and usable without JavaScript. */
export function renderDocument(view: PageView, body: PageBody): string {
  const { status, query, path, theme } = view;
  const refreshes = body.live && !query.still;
  return html`<!doctype html>
    <html lang="en" ${theme !== 'auto' && html` data-theme="${theme}"`}>
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${titleOf(view, body)}</title>
        <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
        <link rel="stylesheet" href="/assets/style.css" />
        ${refreshes && html`<noscript><meta http-equiv="refresh" content="5" /></noscript>`}
        <script type="module" src="/assets/app.js"></script>
      </head>
      <body>
        <a class="skip" href="#main">Skip to the content</a>
        <header class="top">
          <a class="brand" href="/"><img src="/favicon.svg" alt="" width="26" height="26" />pgfollow</a>
          <span class="name">${status.name}</span>
          <nav class="places" aria-label="Pages">
            <a href="/" ${body.place === 'overview' && html` aria-current="page"`}>Overview</a
            ><a href="/events" ${body.place === 'events' && html` aria-current="page"`}>Events</a>
          </nav>
          <span id="freshness" class="freshness">as of ${clock(new Date(view.nowMs).toISOString(), view.nowMs)} UTC</span>
          ${body.live && html`<noscript><a class="hold" href="${hrefOf(path, query, { still: !query.still })}">${query.still ? 'Renew it' : 'Hold it still'}</a></noscript>`}
          ${themeSwitch(view)}
          ${view.canLogOut && html`<form method="post" action="/logout">${formField(view)}${backField(view)}<button class="quiet" type="submit">Log out</button></form>`}
        </header>
        ${main(view, body)}
        <footer class="bottom">
          <span>${versions(status)}</span>
          <nav aria-label="Interfaces">
            <a href="/metrics">Metrics</a><a href="/api/v1/status">Status</a><a href="/api/v1/tables">Tables</a
            ><a href="/api/v1/history">History</a><a href="/api/v1/openapi.json">API</a><a href="/config">Configuration</a
            ><a href="/api/v1/diagnostics" download>Diagnostics</a>
          </nav>
        </footer>
      </body>
    </html> `.text;
}

/** The part that changes; the script asks for it alone. */
export function renderPart(view: PageView, body: PageBody): string {
  return main(view, body).text;
}

function main(view: PageView, body: PageBody): Html {
  return html`<main id="main" tabindex="-1" data-title="${titleOf(view, body)}" ${body.live && html` data-live-page`}>
    ${body.main}
  </main>`;
}

function versions({ version, source, target }: Status): Html {
  const server = ({ database, serverVersion }: Status['target']): string | false =>
    serverVersion !== null && `${database} on PostgreSQL ${serverVersion}`;
  return dotted(`pgfollow ${version}`, `Node.js ${process.versions.node}`, server(source), server(target));
}

function titleOf({ status }: PageView, { title, place }: PageBody): string {
  return place === 'overview' ? `${words(status.state)} – ${status.name} – pgfollow` : `${title} – ${status.name} – pgfollow`;
}
