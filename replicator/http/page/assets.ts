import { readFileSync } from 'node:fs';

/** The page's own files, beside this one in the sources as in the build; read once. */
function asset(path: string): string {
  return readFileSync(new URL(path, import.meta.url), 'utf8');
}

const SHEETS = ['base', 'controls', 'verdict', 'flow', 'tiles', 'tables', 'details', 'events', 'small'];

export const STYLE = SHEETS.map((name) => asset(`./style/${name}.css`)).join('');
/** Stands in the login form itself: before the login nothing else can be fetched. */
export const LOGIN_STYLE = asset('./login.css');
/** By name, as the page and they themselves ask for them. */
export const SCRIPTS: ReadonlyMap<string, string> = new Map(
  ['app.js', 'live.js', 'morph.js', 'forms.js', 'spark.js'].map((name) => [name, asset(`./client/${name}`)]),
);
export const FAVICON = asset('./favicon.svg');
