import { expect, it } from 'vitest';
import { attributeRounds, hostUrls, pinnedUrl, sessionAttributes } from './hosts.ts';

it.each([
  ['postgresql://u:p@a/d', ['postgresql://u:p@a/d']],
  [
    'postgresql://u:p@a:1,b:2/d?sslmode=require',
    ['postgresql://u:p@a:1/d?sslmode=require', 'postgresql://u:p@b:2/d?sslmode=require'],
  ],
  ['postgresql://a,[::1]:5433', ['postgresql://a', 'postgresql://[::1]:5433']],
  ['postgresql:///d?host=/run/postgresql', ['postgresql:///d?host=/run/postgresql']],
  ['postgres://u@a,b?user=x@y', ['postgres://u@a?user=x@y', 'postgres://u@b?user=x@y']],
])('%s has a URI for each host', (url, urls) => {
  expect(hostUrls(url)).toEqual(urls);
});

it.each([
  ['postgresql://u:p@a:1,b:2/d', { host: 'b', port: 2 }, 'postgresql://u:p@b:2/d'],
  ['postgresql://u:p@a,[::1]/d?x=y', { host: '::1', port: 5432 }, 'postgresql://u:p@[::1]:5432/d?x=y'],
  ['postgresql://u:p@a/d', { host: 'a', port: 5432 }, 'postgresql://u:p@a/d'],
])('%s, once %j was found', (url, client, pinned) => {
  expect(pinnedUrl(url, client)).toBe(pinned);
});

it('knows what libpq knows of target_session_attrs', () => {
  expect(sessionAttributes(new URLSearchParams(''))).toBe('any');
  expect(sessionAttributes(new URLSearchParams('target_session_attrs=read-write'))).toBe('read-write');
  expect(() => sessionAttributes(new URLSearchParams('target_session_attrs=master'))).toThrow('is not one of any, read-write');
  expect(attributeRounds('prefer-standby')).toEqual(['standby', 'any']);
});
