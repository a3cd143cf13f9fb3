// No secret gets out: everything that the program says anywhere, with everything that can go wrong, is searched for them.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { openApi } from '../http/openapi.ts';
import { makeAuthority, makeClientCertificate } from '../testing/certificates.ts';
import { testIo, type TestIo } from '../testing/cli-io.ts';
import { sql, testDatabases, type TestDatabase, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { main } from './main.ts';

const folder = mkdtempSync(join(tmpdir(), 'pgfollow-secrets-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Distinctive, with signs that are written in other ways in URLs, JSON and HTML. */
const SECRETS = {
  source: `hush-source-<&"'@/%`,
  target: `hush-target-?#\\ "`,
  key: 'hush-key-<>',
  token: 'hush-token-0123456789',
};
/** Any way to write any part of them; their first letters stand nowhere else. */
const ANY = /hush(?:-|%2d|&#45;|=2d|\\u002d)/i;
const ENCODED = Object.values(SECRETS).map((secret) => Buffer.from(secret).toString('base64').slice(0, 8));

function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text, { mode: 0o600 });
  return join(folder, name);
}

function urlOf(side: TestDatabase, role: string, password: string): string {
  const { host } = new URL(side.url);
  const client = makeClientCertificate(role, { name: 'ours', ...makeAuthority('ours') });
  const tls = `sslcert=${file('client.crt', client.cert)}&sslkey=${file('client.key', client.key)}&sslpassword=${encodeURIComponent(SECRETS.key)}`;
  return `postgresql://${role}:${encodeURIComponent(password)}@${host}/${side.name}?${tls}`;
}

const PATHS = Object.entries(openApi('0')['paths'] as Record<string, object>)
  .flatMap(([path, verbs]) => ('get' in verbs && path !== '/api/v1/stream' ? [path] : []))
  .map((path) => path.replace('{schema}', 'public').replace('{table}', 't'));
const OTHER_PATHS = [
  '/config',
  '/events',
  '/tables/public/t',
  '/add?table=public.none',
  '/fragments/main',
  '/assets/app.js',
  '/readyz?verbose',
  '/nothing',
  '/api/v1/tables/no/thing',
  '/api/v1/events?after=x',
];

/** What every path says, with the token and without. */
async function everything(address: string): Promise<string> {
  const said: string[] = [];
  for (const path of [...PATHS, ...OTHER_PATHS])
    for (const headers of [{ authorization: `Bearer ${SECRETS.token}` }, {}, { authorization: 'Bearer no' }]) {
      const response = await fetch(`${address}${path}`, { headers });
      said.push(path, JSON.stringify([...response.headers]), await response.text());
    }
  const login = (token: string): Promise<Response> =>
    fetch(`${address}/login`, { method: 'POST', body: new URLSearchParams({ token }), redirect: 'manual' });
  for (const response of [await login(SECRETS.token), await login('no')])
    said.push(JSON.stringify([...response.headers]), await response.text());
  return said.join('\n');
}

async function commands(env: Record<string, string>): Promise<string> {
  const said: string[] = [];
  for (const args of [
    ['config'],
    ['config', '--json'],
    ['doctor'],
    ['doctor', '--json'],
    ['status'],
    ['tables', '--json'],
    ['pause'],
    ['resume'],
  ]) {
    const io = testIo({ env });
    await main(args, io);
    said.push(io.out(), io.err());
  }
  return said.join('\n');
}

function expectNoSecret(where: string, text: string): void {
  const line = text.split('\n').find((each) => ANY.test(each) || ENCODED.some((secret) => each.includes(secret)));
  expect([where, line]).toEqual([where, undefined]);
  // That it was said at all.
  expect([where, text.length > 1000]).toEqual([where, true]);
}

async function roles(
  db: TestDatabases,
  change: 'CREATE' | 'ALTER',
  passwords: { source: string; target: string },
): Promise<void> {
  for (const side of ['source', 'target'] as const)
    await sql(db[side], `${change} ROLE ${db.name} LOGIN SUPERUSER PASSWORD '${passwords[side].replaceAll("'", "''")}'`);
}

function listening(io: TestIo): string {
  return /"address":"([^"]+)"/.exec(io.out() + io.err())?.[1] ?? '';
}

test(
  'no secret in log, page, API, metrics, commands, events or sessions: while all is well, and while nothing is',
  { timeout: 120_000 },
  async () => {
    await using db = await testDatabases();
    for (const side of [db.source, db.target]) await sql(side, 'CREATE TABLE t (id int PRIMARY KEY)');
    await roles(db, 'CREATE', SECRETS);
    try {
      const env = {
        PGFOLLOW_NAME: db.name,
        PGFOLLOW_SOURCE_URL_FILE: file('source', `${urlOf(db.source, db.name, SECRETS.source)}\n`),
        PGFOLLOW_TARGET_URL: urlOf(db.target, db.name, SECRETS.target),
        PGFOLLOW_API_TOKEN_FILE: file('token', `${SECRETS.token}\n`),
        PGFOLLOW_LOG_LEVEL: 'trace',
        PGFOLLOW_HTTP_PORT: '0',
      };
      const io = testIo({ env });
      const running = main(['run'], io);
      const address = await eventually(() => listening(io) || Promise.reject(new Error(io.out() + io.err())));
      const asked = { ...env, PGFOLLOW_HTTP_PORT: new URL(address).port };
      const status = async (): Promise<{ state: string }> =>
        (await (await fetch(`${address}/api/v1/status`, { headers: { authorization: `Bearer ${SECRETS.token}` } })).json()) as {
          state: string;
        };
      await eventually(async () => (await status()).state === 'streaming');
      expectNoSecret('HTTP', await everything(address));
      expectNoSecret('commands', await commands(asked));
      const sessions = await sql(db.source, `SELECT application_name, query FROM pg_stat_activity WHERE usename = $1`, [db.name]);
      expect(sessions.length).toBeGreaterThan(0);
      expect(JSON.stringify(sessions)).not.toMatch(ANY);

      await roles(db, 'ALTER', { source: 'another', target: 'another' });
      for (const side of [db.source, db.target])
        await sql(side, 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1', [db.name]);
      await eventually(async () => JSON.stringify(await status()).includes('28P01'), { timeout: 30_000 });
      expectNoSecret('HTTP, refused', await everything(address));
      expectNoSecret('commands, refused', await commands(asked));
      io.signal('SIGTERM');
      expect(await running).toBe(0);
      expectNoSecret('log', io.out() + io.err());
      const events = await sql(db.target, 'SELECT * FROM pgfollow.event');
      expect(events.length).toBeGreaterThan(0);
      expect(JSON.stringify(events)).not.toMatch(ANY);
    } finally {
      await dropRole(db);
    }
  },
);

test.each([
  ['a password that is written wrongly', `postgresql://app:hush-100%@db/shop`],
  ['a password with an @', `postgresql://app:hush-@x@db/shop`],
  ['no URL at all', 'host=db password=hush-secret'],
  ['a parameter that does not exist', 'postgresql://app:hush-secret@db/shop?sslmode=hmm&sslpassword=hush-key'],
])('nor in what is said of a URL with %s', async (_, url) => {
  for (const args of [['run'], ['config'], ['doctor']]) {
    const io = testIo({ env: { PGFOLLOW_SOURCE_URL: url, PGFOLLOW_TARGET_URL: url, PGFOLLOW_API_TOKEN: '' } });
    expect(await main(args, io)).toBe(2);
    expect(io.out() + io.err()).not.toMatch(ANY);
    expect(io.err()).toContain('source.url');
  }
});

/** What it made stays with postgres until the databases go. */
async function dropRole(db: TestDatabases): Promise<void> {
  for (const side of [db.source, db.target])
    await sql(side, `REASSIGN OWNED BY ${db.name} TO postgres; DROP OWNED BY ${db.name}; DROP ROLE ${db.name}`);
}
