import { ACTIVITIES } from '../../observe/work.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';
import type { PageView } from './view.ts';

/** Why the target is as far behind as it is: where the last minute went, as a bar and in words. */
export function renderWork({ status: { work } }: PageView): Html {
  if (work.seconds === 0) return html`<section id="work" hidden></section>`;
  let from = 0;
  const parts = ACTIVITIES.map((activity) => {
    const width = Math.round(work.shares[activity] * 1000) / 10;
    const part =
      width > 0 && html`<rect class="work-${activity}" x="${Math.round(from * 10) / 10}" width="${width}" height="4" />`;
    from += width;
    return part;
  });
  return html`<section id="work" class="card work" aria-labelledby="work-title">
    <h2 id="work-title">${work.bottleneck === null ? 'Pace' : 'Why it is behind'}</h2>
    <p>${work.summary.replaceAll(' %', '\u00a0%')}</p>
    <svg class="work-bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true" focusable="false">${parts}</svg>
  </section>`;
}
