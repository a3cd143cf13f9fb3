import type { TablePlan } from '../../table-plan.ts';
import { confirm } from './confirm-page.ts';
import { bytesText, plural } from './format.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';
import { dotted, remedy } from './pieces.ts';
import { IDENTITIES } from './table-row.ts';
import { icon } from './tone.ts';
import type { PageBody, PageView } from './view.ts';

/** What following one more table comes down to, before it is done. */
export function planPage(view: PageView, plan: TablePlan): PageBody {
  const { table, target, possible, rows, bytes, identity } = plan;
  return confirm(view, {
    title: `Follow ${table}?`,
    plan: plan.steps,
    more: html`<p class="meta">
        ${dotted(
          target !== table && `goes to ${target}`,
          rows === null ? 'number of rows not known' : `about ${plural(rows, 'row')}`,
          bytesText(bytes),
          `rows are found by: ${IDENTITIES[identity]}`,
        )}
      </p>
      ${findings(plan)}`,
    action: 'add',
    button: possible ? 'Add' : 'Add all the same',
    ready: possible,
    field: null,
    hidden: html`<input type="hidden" name="table" value="${table}" />`,
    back: '/#tables',
    done: '/#tables',
  });
}

function findings({ findings: found }: TablePlan): Html | null {
  if (found.length === 0) return null;
  return html`<ul class="problems">
    ${found.map(
      ({ level, message, remedy: what }) =>
        html`<li class="problem ${level === 'warning' && 'mild'}">
          ${icon(level === 'error' ? 'bad' : 'warn')}
          <div>
            <p class="problem-message">${message}</p>
            ${what !== null && remedy(what)}
          </div>
        </li>`,
    )}
  </ul>`;
}
