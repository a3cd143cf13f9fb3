import { html } from './html.ts';
import type { Html } from './html.ts';
import { backField, formField } from './pieces.ts';
import type { PageView } from './view.ts';

const THEMES = ['auto', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];
export const THEME_COOKIE = 'pgfollow_theme';

/** What a cookie or a form says; what it does not know is auto: as the browser has it. */
export function parseTheme(value: unknown): Theme {
  return THEMES.find((theme) => theme === value) ?? 'auto';
}

const NAMES: Readonly<Record<Theme, string>> = {
  auto: 'Colours as the system has them',
  light: 'Light colours',
  dark: 'Dark colours',
};

const SHAPES: Readonly<Record<Theme, Html>> = {
  auto: html`<circle cx="8" cy="8" r="6" /><path d="M8 2a6 6 0 0 1 0 12z" class="solid" />`,
  light: html`<circle cx="8" cy="8" r="3" /><path
      d="M8 1v1.6M8 13.4V15M1 8h1.6M13.4 8H15M3 3l1.1 1.1M11.9 11.9L13 13M3 13l1.1-1.1M11.9 4.1L13 3"
    />`,
  dark: html`<path d="M13.5 9.6A6 6 0 0 1 6.4 2.5a6 6 0 1 0 7.1 7.1z" />`,
};

/** Three buttons, one of them pressed; the choice is kept in a cookie. */
export function themeSwitch(view: PageView): Html {
  return html`<form class="themes" method="post" action="/actions/theme" data-theme-switch>
    ${formField(view)} ${backField(view)}
    ${THEMES.map(
      (theme) =>
        html`<button
          type="submit"
          name="theme"
          value="${theme}"
          aria-pressed="${theme === view.theme ? 'true' : 'false'}"
          aria-label="${NAMES[theme]}"
          title="${NAMES[theme]}"
        >
          <svg viewBox="0 0 16 16" aria-hidden="true" focusable="false">${SHAPES[theme]}</svg>
        </button>`,
    )}
  </form>`;
}
