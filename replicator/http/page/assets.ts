import { readFileSync } from 'node:fs';

/** The page's own files, beside this one in the sources as in the build; read once. */
function asset(path: string): string {
  return readFileSync(new URL(path, import.meta.url), 'utf8');
}

export const STYLE = asset('./style.css');
/** Stands in the login form itself: before the login nothing else can be fetched. */
export const LOGIN_STYLE = asset('./login.css');
export const APP_SCRIPT = asset('./client/app.js');
export const FAVICON = asset('./favicon.svg');
