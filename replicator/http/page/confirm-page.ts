import type { TableStatus } from '../../observe/status.ts';
import { bytesText, plural } from './format.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';
import { formField } from './pieces.ts';
import { tableHref } from './page-query.ts';
import type { PageBody, PageView } from './view.ts';

interface Question {
  readonly title: string;
  /** What will happen, a sentence each. */
  readonly plan: readonly string[];
  /** Whatever else should be known before. */
  readonly more?: Html;
  readonly action: string;
  readonly button: string;
  /** Nothing speaks against it, so Enter is enough. */
  readonly ready?: boolean;
  /** What is to be typed; null where a click is enough. */
  readonly field: Html | null;
  readonly hidden: Html | null;
  /** Where to go when it is left, and once it is done. */
  readonly back: string;
  readonly done: string;
}

/** Asks before a table is copied again; its name has to be typed. */
export function resyncPage(view: PageView, { source, target, snapshot, spooledBytes }: Readonly<TableStatus>): PageBody {
  const size = snapshot.bytesCopied > 0 ? `, ${bytesText(snapshot.bytesCopied)} last time` : '';
  return confirm(view, {
    title: `Copy ${source} again?`,
    plan: [
      `All rows are read from the source again: ${plural(snapshot.rowsEstimated ?? snapshot.rowsCopied, 'row')} or so${size}.`,
      `They are copied beside ${target}; then one transaction deletes, updates and inserts there what differs, and leaves the rest as it is.`,
      'Rows that only the target has are deleted. Readers see the old rows until then, and nobody is locked out.',
      'Meanwhile the target needs room for the rows once more.',
      'The other tables go on meanwhile.',
      ...(spooledBytes > 0 ? [`${bytesText(spooledBytes)} of kept changes are not needed any more.`] : []),
    ],
    action: 'resync',
    button: 'Copy again',
    ...typed(source),
    back: tableHref(source),
    done: tableHref(source),
  });
}

/** Asks before a table is followed no longer; its name has to be typed. */
export function removePage(view: PageView, { source, target, spooledBytes }: Readonly<TableStatus>): PageBody {
  return confirm(view, {
    title: `Stop following ${source}?`,
    plan: [
      `Changes of ${source} no longer reach the target.`,
      `${target} and its rows stay as they are on the target.`,
      ...(spooledBytes > 0 ? [`${bytesText(spooledBytes)} of changes that were kept for it are dropped.`] : []),
      'Added again, it is copied again.',
    ],
    action: 'remove',
    button: 'Stop following',
    ...typed(source),
    back: tableHref(source),
    done: '/#tables',
  });
}

/** Asks which table to follow too; then its plan is shown (planPage). */
export function addPage(): PageBody {
  const main = html`<section id="confirm-box" class="card confirm" aria-labelledby="confirm-title">
    <h1 id="confirm-title" class="page-title">Follow one more table</h1>
    <ul class="plan">
      <li>It is copied while the others go on, then follows with them.</li>
      <li>It has to be there on the source. On the target it is created where it is missing, unless schema.create is never.</li>
    </ul>
    <form method="get" action="/add" data-ask>
      <label for="table">Name on the source</label>
      <input
        id="table"
        name="table"
        required
        pattern="[^.]+\\.[^.]+"
        placeholder="schema.table"
        autocomplete="off"
        autocapitalize="off"
        spellcheck="false"
        autofocus
      />
      <div class="actions">
        <button type="submit" class="primary">See what would happen</button
        ><a class="button plain" href="/#tables" data-close>Leave it</a>
      </div>
    </form>
  </section>`;
  return { title: 'Follow one more table', place: 'other', main, live: false };
}

function typed(source: string): Pick<Question, 'field' | 'hidden'> {
  return {
    field: html`<label for="confirm">Type <code>${source}</code> to go on</label>
      <input
        id="confirm"
        name="confirm"
        required
        autocomplete="off"
        autocapitalize="off"
        spellcheck="false"
        data-expected="${source}"
        autofocus
      />`,
    hidden: html`<input type="hidden" name="table" value="${source}" />`,
  };
}

/** A question that is asked before something is done. */
export function confirm(
  view: PageView,
  { title, plan, more, action, button, ready, field, hidden, back, done }: Question,
): PageBody {
  const main = html`<section id="confirm-box" class="card confirm" aria-labelledby="confirm-title">
    <h1 id="confirm-title" class="page-title">${title}</h1>
    <ul class="plan">
      ${plan.map((sentence) => html`<li>${sentence}</li>`)}
    </ul>
    ${more}
    <form method="post" action="/actions/${action}" data-action>
      ${formField(view)} ${hidden}<input type="hidden" name="back" value="${done}" />
      ${field}
      <p class="action-error" data-error></p>
      <div class="actions">
        <button type="submit" class="primary" ${ready && html`autofocus`}>${button}</button
        ><a class="button plain" href="${back}" data-close>Leave it</a>
      </div>
    </form>
  </section>`;
  return { title, place: 'other', main, live: false };
}
