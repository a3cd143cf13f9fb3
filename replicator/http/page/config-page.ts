import { html } from './html.ts';
import type { PageBody } from './view.ts';

/** The configuration in effect as a file, each value with where it came from; secrets are not in it. */
export function configPage(yaml: string): PageBody {
  const main = html`<section id="config">
    <h1 id="config-title" class="page-title">Configuration</h1>
    <p class="lead">What is in effect since the start, and where each value came from. Secrets are not shown.</p>
    <div class="card code" role="region" aria-labelledby="config-title" tabindex="0">
      <pre>${yaml}</pre>
    </div>
  </section>`;
  return { title: 'Configuration', place: 'other', main, live: false };
}
