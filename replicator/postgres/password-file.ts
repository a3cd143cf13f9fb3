import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

/** Where a login goes to, as the lines of a password file name it. */
export interface Login {
  /** A folder for a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/**
 * The password of the first line that fits, or undefined. A file that its group or others may read is ignored, as by
 * libpq. https://www.postgresql.org/docs/current/libpq-pgpass.html
 */
export function passwordFromFile(login: Login, path: string | null): string | undefined {
  if (path === null || !existsSync(path) || isInsecure(path)) return undefined;
  const host = login.host.startsWith('/') ? 'localhost' : login.host;
  const wanted = [host, String(login.port), login.database, login.user];
  for (const line of readFileSync(path, 'utf8').split(/\r?\n/)) {
    if (line.startsWith('#')) continue;
    // Fields are parted by colons; a colon or backslash of their own stands behind a backslash.
    const fields = [...`${line}:`.matchAll(/((?:\\.|[^\\:])*):/g)].map(([, field = '']) => field);
    if (fields.length < 5 || !wanted.every((text, i) => fields[i] === '*' || unescape(fields[i] ?? '') === text)) continue;
    return unescape(fields.slice(4).join(':'));
  }
  return undefined;
}

/** PGPASSFILE, else ~/.pgpass; null where there is no home. */
export function passwordFile({ PGPASSFILE, HOME }: Environment = process.env): string | null {
  return PGPASSFILE || (HOME ? join(HOME, '.pgpass') : null);
}

/** Whether others than its owner may read it. */
export function isInsecure(path: string): boolean {
  if (process.platform === 'win32') return false;
  return ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & 0o077) !== 0;
}

function unescape(field: string): string {
  return field.replaceAll(/\\(.)/g, '$1');
}
