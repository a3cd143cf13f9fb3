import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { inOrder, noteRefusal } from './tls-or-plain.ts';

const NO_TLS = new Error('The server does not support SSL connections');

beforeEach(() => vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => vi.useRealTimers());

test('a server that has said that it has no TLS is not asked again for a moment, where sslmode leaves the choice', () => {
  expect(inOrder('a:5432', ['tls', 'plain'])).toEqual(['tls', 'plain']);
  noteRefusal('a:5432', NO_TLS);
  expect(inOrder('a:5432', ['tls', 'plain'])).toEqual(['plain', 'tls']);
  expect(inOrder('b:5432', ['tls', 'plain'])).toEqual(['tls', 'plain']);
  expect(inOrder('a:5432', ['tls'])).toEqual(['tls']);
  vi.advanceTimersByTime(5000);
  expect(inOrder('a:5432', ['tls', 'plain'])).toEqual(['tls', 'plain']);
});

test('any other failure says nothing about TLS', () => {
  noteRefusal('c:5432', new Error('connect ECONNREFUSED'));
  expect(inOrder('c:5432', ['tls', 'plain'])).toEqual(['tls', 'plain']);
});
