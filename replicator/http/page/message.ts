import { FAVICON, LOGIN_STYLE } from './assets.ts';
import { Html, html } from './html.ts';

const STYLE = new Html(`<style>${LOGIN_STYLE}</style>`);
const ICON = `data:image/svg+xml,${encodeURIComponent(FAVICON)}`;

function card(title: string, body: Html): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title} – pgfollow</title>
        <link rel="icon" href="${ICON}" />
        ${STYLE}
      </head>
      <body>
        <main>${body}</main>
      </body>
    </html> `.text;
}

/** The form that asks for the token. Nothing about the pipeline is on it. */
export function renderLogin({ failed }: { failed: boolean }): string {
  return card(
    'Log in',
    html`<h1>pgfollow</h1>
      <form method="post" action="/login">
        <label for="token">API token</label>
        <input
          id="token"
          name="token"
          type="password"
          autocomplete="current-password"
          required
          autofocus${failed ? html` aria-invalid="true" aria-describedby="failed"` : ''}
        />
        ${failed && html`<p id="failed" class="failed" role="alert">That is not the token.</p>`}
        <button type="submit">Log in</button>
      </form>
      <p class="hint">The token is <code>http.token</code> of the configuration, or <code>PGFOLLOW_API_TOKEN</code>.</p>`,
  );
}

/** What a browser shows when a form of the page could not be done. */
export function renderMessage(problem: { title: string; detail: string; remedy: string; code: string }): string {
  return card(
    problem.title,
    html`<h1>${problem.title}</h1>
      <p>${problem.detail}</p>
      <p class="hint">${problem.remedy}</p>
      <p class="hint"><code>${problem.code}</code></p>
      <p><a href="/">Back to the status page</a></p>`,
  );
}
