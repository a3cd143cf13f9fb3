import { FORM_FIELD } from '../access.ts';
import { html } from './html.ts';
import type { Html, HtmlValue } from './html.ts';
import { hrefOf, tableHref } from './page-query.ts';
import type { PageView } from './view.ts';

/** What to do, to be read and to be copied. */
export function remedy(text: string): Html {
  return html`<div class="remedy"><code>${text}</code><button type="button" class="copy" data-copy>Copy</button></div>`;
}

/** `a · b · c`, without what is null or false; a line may break at each dot. */
export function dotted(...pieces: readonly HtmlValue[]): Html {
  const there = pieces.filter((piece) => piece !== null && piece !== undefined && piece !== false && piece !== '');
  return html`${there.map((piece, i) => (i === 0 ? piece : html` <span class="dot">·</span> ${piece}`))}`;
}

/** A table's name that leads to its page, while it is followed. */
export function tableLink(source: string): Html {
  return html`<a href="${tableHref(source)}">${source}</a>`;
}

/** What every form of the page needs to be taken: proof that whoever sends it could read the page. */
export function formField(view: { readonly formToken: string }): Html {
  return html`<input type="hidden" name="${FORM_FIELD}" value="${view.formToken}" />`;
}

/** Where a form leads back to, once it is done. */
export function backField({ path, query }: Pick<PageView, 'path' | 'query'>): Html {
  return html`<input type="hidden" name="back" value="${hrefOf(path, query)}" />`;
}

/** One button that does one thing; the script sends it without leaving the page. */
export function actionForm(
  view: PageView,
  { action, label, look, table }: { action: string; label: string; look: 'primary' | 'plain'; table?: string },
): Html {
  return html`<form class="action" method="post" action="/actions/${action}" data-action>
    ${formField(view)} ${backField(view)} ${table !== undefined && html`<input type="hidden" name="table" value="${table}" />`}
    <button type="submit" class="${look}">${label}</button>
    <p class="action-error" data-error data-keep></p>
  </form>`;
}

export type Fact = readonly [term: string, value: Html | string];

/** Terms with what they stand at. */
export function factList(facts: readonly Fact[]): Html {
  return html`<dl>
    ${facts.map(
      ([term, value]) =>
        html`<div>
          <dt>${term}</dt>
          <dd>${value}</dd>
        </div>`,
    )}
  </dl>`;
}
