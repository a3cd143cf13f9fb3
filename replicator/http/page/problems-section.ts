import { ago, clock, plural, until } from './format.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';
import { actionForm, dotted, remedy, tableLink } from './pieces.ts';
import { icon } from './tone.ts';
import type { PageView } from './view.ts';

/** More of them are for the list of tables, where those in error come first. */
export const PROBLEMS_SHOWN = 10;

/** What is wrong, since when, and what to do; nothing where all is well. */
export function renderProblems(view: PageView): Html {
  const { status, nowMs } = view;
  const { problems } = status;
  if (problems.length === 0) return html`<section id="problems" hidden></section>`;
  const inError = new Set(view.tables.filter(({ state }) => state === 'error').map(({ source }) => source));
  const items = problems.slice(0, PROBLEMS_SHOWN).map(
    (problem) =>
      html`<li class="problem" data-key="${problem.code} ${problem.table}">
        ${icon('bad')}
        <div>
          <p class="problem-message">${problem.message}</p>
          <p class="meta">
            ${dotted(
              html`<code>${problem.code}</code>`,
              problem.table !== null && tableLink(problem.table),
              html`since <time datetime="${problem.since}">${clock(problem.since, nowMs)} UTC</time>, ${ago(problem.since, nowMs)}`,
              problem.occurrences > 1 && `${plural(problem.occurrences, 'time')} so far`,
              problem.retryAt !== null && `tried again ${until(problem.retryAt, nowMs)}`,
            )}
          </p>
          ${remedy(problem.remedy)}
        </div>
        ${problem.table !== null && (problem.code === 'FOREIGN_KEY_NOT_CREATED' || inError.has(problem.table)) && actionForm(view, { action: 'retry', label: 'Retry', look: 'plain', table: problem.table })}
      </li>`,
  );
  const more = problems.length - PROBLEMS_SHOWN;
  return html`<section id="problems" aria-labelledby="problems-title">
    <h2 id="problems-title">Needs attention</h2>
    <ul class="problems">
      ${items}
    </ul>
    ${more > 0 && html`<p class="more">And ${plural(more, 'more problem')}: <a href="/?state=error#tables">all tables in error</a>.</p>`}
  </section>`;
}
