/** HTML that needs no escaping any more. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  toString(): string {
    return this.text;
  }
}

export type HtmlValue = Html | string | number | false | null | undefined | readonly HtmlValue[];

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** For text and for attribute values in quotes. */
function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}

/** Template tag: everything put in is escaped unless it is Html; null, undefined and false are nothing. */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  const parts = unindented(strings);
  let text = parts[0] ?? '';
  for (const [i, value] of values.entries()) text += render(value) + (parts[i + 1] ?? '');
  return new Html(text);
}

const UNINDENTED = new WeakMap<TemplateStringsArray, readonly string[]>();

/** Indentation is for the reader of the source; the page goes out every second without it. */
function unindented(strings: TemplateStringsArray): readonly string[] {
  const known = UNINDENTED.get(strings);
  if (known) return known;
  const parts = strings.map((part) => part.replace(/\n\s+/g, '\n'));
  UNINDENTED.set(strings, parts);
  return parts;
}

function render(value: HtmlValue): string {
  if (value === null || value === undefined || value === false) return '';
  if (value instanceof Html) return value.text;
  if (typeof value === 'string') return escapeHtml(value);
  if (typeof value === 'number') return String(value);
  return value.map(render).join('');
}
