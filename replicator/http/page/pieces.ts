import { FORM_FIELD } from '../access.ts';
import { html } from './html.ts';
import type { Html, HtmlValue } from './html.ts';

/** What to do, to be read and to be copied. */
export function remedy(text: string): Html {
  return html`<div class="remedy"><code>${text}</code><button type="button" class="copy" data-copy>Copy</button></div>`;
}

/** `a · b · c`, without what is null or false; a line may break at each dot. */
export function dotted(...pieces: readonly HtmlValue[]): Html {
  const there = pieces.filter((piece) => piece !== null && piece !== undefined && piece !== false && piece !== '');
  return html`${there.map((piece, i) => (i === 0 ? piece : html` <span class="dot">·</span> ${piece}`))}`;
}

/** What every form of the page needs to be taken: proof that whoever sends it could read the page. */
export function formField(view: { readonly formToken: string }): Html {
  return html`<input type="hidden" name="${FORM_FIELD}" value="${view.formToken}" />`;
}
