import { readFileSync } from 'node:fs';

/** From package.json, which lies two folders up from here in dist/ as well as in the sources. */
export const VERSION: string = (
  JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;
