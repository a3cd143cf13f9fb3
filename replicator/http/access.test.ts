import { describe, expect, it } from 'vitest';
import { Access, SESSION_SECONDS, isLoopback } from './access.ts';

const NOW = Date.parse('2026-01-02T03:04:05Z');
const open = new Access({ token: null, host: 'db-host' });
const closed = new Access({ token: 'secret', host: '0.0.0.0' });
const basic = (pair: string): string => `Basic ${Buffer.from(pair).toString('base64')}`;

describe('who may come in', () => {
  it.each<[string, string | undefined, string | undefined, string, boolean]>([
    ['nothing', undefined, undefined, '/api/v1/status', false],
    ['the token', 'Bearer secret', undefined, '/api/v1/status', true],
    ['the token, scheme in lower case', 'bearer secret', undefined, '/', true],
    ['another token', 'Bearer secrets', undefined, '/api/v1/status', false],
    ['an empty token', 'Bearer ', undefined, '/api/v1/status', false],
    ['basic auth for metrics', basic('prometheus:secret'), undefined, '/metrics', true],
    ['basic auth with another password', basic('prometheus:no'), undefined, '/metrics', false],
    ['basic auth elsewhere', basic('prometheus:secret'), undefined, '/api/v1/status', false],
    ['a session', undefined, closed.newSession(NOW), '/', true],
    ['a session of another token', undefined, new Access({ token: 'old', host: 'h' }).newSession(NOW), '/', false],
    ['the token as session', undefined, 'secret', '/', false],
    ['a session that is over', undefined, closed.newSession(NOW - SESSION_SECONDS * 1000), '/', false],
    ['a session made longer', undefined, closed.newSession(NOW).replace(/^\d+/, '99999999999'), '/', false],
  ])('%s', (_, authorization, sessionCookie, path, allowed) => {
    expect(closed.allows({ authorization, sessionCookie, path }, NOW)).toBe(allowed);
  });

  it('is everybody without a token, and no token is then the right one', () => {
    expect(open.allows({ authorization: undefined, sessionCookie: undefined, path: '/' }, NOW)).toBe(true);
    expect(open.isToken('')).toBe(false);
  });

  it('keeps the token out of the session', () => {
    expect(closed.newSession(NOW)).not.toContain('secret');
  });
});

describe('what may change something', () => {
  it.each<[string, Record<string, string>, 'origin' | 'host' | null]>([
    ['a program', { host: '127.0.0.1:5884' }, null],
    ['a program by name', { host: 'localhost:5884' }, null],
    ['IPv6', { host: '[::1]:5884' }, null],
    ['another address of this machine', { host: '10.0.0.7:5884' }, null],
    ['the bound host', { host: 'DB-host:5884' }, null],
    ['a name that was made to point here', { host: 'attacker.example:5884' }, 'host'],
    ['a name that begins like one of ours', { host: 'localhost.attacker.example' }, 'host'],
    ['an address as part of a name', { host: '127.0.0.1.attacker.example' }, 'host'],
    ['no host', {}, 'host'],
    ['our page', { host: 'localhost:5884', origin: 'http://localhost:5884', 'sec-fetch-site': 'same-origin' }, null],
    ['typed by hand', { host: 'localhost:5884', 'sec-fetch-site': 'none' }, null],
    ['a page of another site', { host: 'localhost:5884', origin: 'https://attacker.example' }, 'origin'],
    ['another port of this machine', { host: 'localhost:5884', origin: 'http://localhost:3000' }, 'origin'],
    ['a sandboxed frame', { host: 'localhost:5884', origin: 'null' }, 'origin'],
    ['a page of another site that hides its origin', { host: 'localhost:5884', 'sec-fetch-site': 'cross-site' }, 'origin'],
    ['a page of a sister site', { host: 'localhost:5884', 'sec-fetch-site': 'same-site' }, 'origin'],
  ])('%s', (_, headers, refusal) => {
    expect(open.refusal(headers)).toBe(refusal);
  });

  it('is any host name with a token, but no other origin', () => {
    expect(closed.refusal({ host: 'pgfollow.internal', origin: 'https://pgfollow.internal' })).toBeNull();
    expect(closed.refusal({ host: 'pgfollow.internal', origin: 'https://attacker.example' })).toBe('origin');
  });
});

it.each<[string, Access, string, boolean]>([
  ['a loopback server', new Access({ token: null, host: '127.0.0.1' }), 'attacker.example', true],
  ['a loopback server by its address', new Access({ token: null, host: '127.0.0.1' }), '127.0.0.1:5884', false],
  ['a loopback server by name', new Access({ token: null, host: '127.0.0.1' }), 'localhost:5884', false],
  ['a server with a token', new Access({ token: 'secret', host: '127.0.0.1' }), 'pgfollow.internal', false],
  ['a server that all may ask', new Access({ token: null, host: '0.0.0.0' }), 'pgfollow.internal', false],
])('%s hides from names that were made to point at it', (_, access, host, hidden) => {
  expect(access.hidesFrom(host)).toBe(hidden);
});

it.each([
  ['127.0.0.1', true],
  ['127.8.8.8', true],
  ['::1', true],
  ['localhost', true],
  ['0.0.0.0', false],
  ['::', false],
  ['10.0.0.7', false],
  ['127.example.org', false],
])('%s is loopback: %s', (host, loopback) => {
  expect(isLoopback(host)).toBe(loopback);
});
