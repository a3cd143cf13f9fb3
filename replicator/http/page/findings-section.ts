import { clock, plural } from './format.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';
import { dotted } from './pieces.ts';
import { icon } from './tone.ts';
import type { PageView } from './view.ts';

const SHOWN = 10;

/** What is no problem now but may become one; `pgfollow doctor` finds the same. */
export function renderFindings({ findings: { findings, checkedAt }, nowMs }: PageView): Html {
  if (checkedAt === null || findings.length === 0) return html`<section id="findings" hidden></section>`;
  return html`<section id="findings" aria-labelledby="findings-title">
    <div class="section-head">
      <h2 id="findings-title">Worth knowing</h2>
      <span class="tally">${plural(findings.length, 'finding')}, looked at ${clock(checkedAt, nowMs)} UTC</span>
    </div>
    <ol class="card events">
      ${findings.slice(0, SHOWN).map(
        ({ code, level, where, table, message, remedy, since }) =>
          html`<li data-key="${code} ${where} ${table} ${since}">
            <time datetime="${since}">${clock(since, nowMs)}</time
            ><span class="event-mark">${icon(level === 'warning' ? 'warn' : 'bad')}</span>
            <div>
              <p>${message}</p>
              <p class="meta">${dotted(html`<code>${code}</code>`, where, table, remedy)}</p>
            </div>
          </li>`,
      )}
    </ol>
    ${findings.length > SHOWN && html`<p class="more">The first ${SHOWN} of ${findings.length}; <a href="/api/v1/findings">all of them</a>.</p>`}
  </section>`;
}
