import { expect, it } from 'vitest';
import { hrefOf, parseQuery, tableHref } from './page-query.ts';

it('is at its defaults without an address, and leaves out what is there', () => {
  expect(parseQuery('')).toEqual({
    q: '',
    state: null,
    sort: 'attention',
    desc: false,
    page: 1,
    level: 'info',
    find: '',
    range: '15m',
    still: false,
  });
  expect(hrefOf('/', parseQuery(''))).toBe('/');
});

it('survives the way through an address', () => {
  const query = {
    q: 'a&b=ü',
    state: 'error',
    sort: 'rate',
    desc: true,
    page: 7,
    level: 'warn',
    find: 'x y',
    range: '24h',
    still: true,
  } as const;
  expect(parseQuery(hrefOf('/', query).split('?')[1] ?? '')).toEqual(query);
  expect(
    hrefOf('/', query, {
      q: '',
      state: null,
      sort: 'attention',
      desc: false,
      page: 1,
      find: '',
      level: 'info',
      range: '15m',
      still: false,
    }),
  ).toBe('/');
});

it.each([
  'state=nothing',
  'sort=__proto__',
  'page=-1',
  'page=1.5',
  'page=1e99',
  'page=x',
  'level=fatal',
  'desc=2',
  'range=1y',
  '%',
  '&&=&',
])('takes %s for nothing', (search) => {
  expect(parseQuery(search)).toEqual(parseQuery(''));
});

it('cuts what is too long', () => {
  expect(parseQuery(`q=${'x'.repeat(5000)}`).q).toHaveLength(200);
});

it.each([
  ['public.orders', '', '/tables/public/orders'],
  ['my schema.ta/ble?', 'resync', '/tables/my%20schema/ta%2Fble%3F/resync'],
])('leads to the page of %s', (source, action, href) => {
  expect(tableHref(source, action)).toBe(href);
});
