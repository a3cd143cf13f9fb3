import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { isInsecure, passwordFile, passwordFromFile } from './password-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'pgfollow-pgpass-'));
afterAll(() => rmSync(folder, { recursive: true }));

const LOGIN = { host: 'db', port: 5432, database: 'shop', user: 'app' };
const path = join(folder, 'pgpass');

function look(text: string, login: Partial<typeof LOGIN> = {}): string | undefined {
  writeFileSync(path, text, { mode: 0o600 });
  return passwordFromFile({ ...LOGIN, ...login }, path);
}

it.each<[string, string | undefined, Partial<typeof LOGIN>?]>([
  ['db:5432:shop:app:secret', 'secret'],
  ['*:*:*:*:secret', 'secret'],
  ['db:5433:shop:app:other\n# db:5432:shop:app:comment\ndb:5432:*:app:first\ndb:5432:shop:app:second', 'first'],
  ['db:5432:shop:somebody:secret', undefined],
  ['db:5432:shop', undefined],
  ['', undefined],
  [String.raw`db:5432:shop:app:a\:b\\c`, String.raw`a:b\c`],
  ['db:5432:shop:app:a:b', 'a:b'],
  [String.raw`\:\:1:5432:shop:app:secret`, 'secret', { host: '::1' }],
  ['localhost:5432:shop:app:secret', 'secret', { host: '/run/postgresql' }],
  ['db:5432:shop:app:secret\r\n', 'secret'],
])('%j holds %j', (text, password, login) => {
  expect(look(text, login)).toBe(password);
});

it('is ignored where others may read it, and where it is not there', () => {
  expect(look('*:*:*:*:secret')).toBe('secret');
  chmodSync(path, 0o644);
  expect(isInsecure(path)).toBe(true);
  expect(passwordFromFile(LOGIN, path)).toBeUndefined();
  expect(passwordFromFile(LOGIN, join(folder, 'nothing'))).toBeUndefined();
  expect(passwordFromFile(LOGIN, null)).toBeUndefined();
});

it('is where libpq looks', () => {
  expect(passwordFile({ PGPASSFILE: '/a', HOME: '/home/b' })).toBe('/a');
  expect(passwordFile({ HOME: '/home/b' })).toBe('/home/b/.pgpass');
  expect(passwordFile({})).toBeNull();
});
