import { describe, expect, it } from 'vitest';
import { matchTables, parseRelationName, patternFault, splitOutsideQuotes } from './table-pattern.ts';

describe('parseRelationName', () => {
  it.each([
    ['public.orders', 'public', 'orders'],
    ['Shop.Orders', 'Shop', 'Orders'],
    ['"We.ird"."Tab le"', 'We.ird', 'Tab le'],
    ['"say ""hi"""."a*b"', 'say "hi"', 'a*b'],
    ['"mixed"tail.x', 'mixedtail', 'x'],
    ['schéma.naïve table', 'schéma', 'naïve table'],
  ])('%s', (text, schema, name) => {
    expect(parseRelationName(text)).toEqual({ schema, name });
  });

  it.each([
    ['orders', 'schema is missing'],
    ['a.b.c', 'too many dots'],
    ['public.', 'a name is empty'],
    ['.orders', 'a name is empty'],
    ['"".x', 'a name is empty'],
    ['public.*', 'asterisk'],
    ['public.a*', 'asterisk'],
    ['"public.orders', 'closing double quote'],
    ['public. orders', 'blank'],
    [`public.${'é'.repeat(32)}`, 'longer than 63 bytes'],
  ])('refuses %s', (text, reason) => {
    expect(() => parseRelationName(text)).toThrow(reason);
    expect(patternFault(text, 'concrete')).toContain(reason);
  });
});

describe('matchTables', () => {
  it.each<[patterns: string[], schema: string, name: string, matches: boolean]>([
    [['*.*'], 'public', 'orders', true],
    [['*.*'], 'pg_catalog', 'pg_class', false],
    [['*.*'], 'information_schema', 'tables', false],
    [['*.*'], 'pg_toast', 'pg_toast_1', false],
    [['pgfollow.*', '*.*'], 'pgfollow', 'checkpoint', false],
    [['public.audit_*'], 'public', 'audit_log', true],
    [['public.audit_*'], 'public', 'audit', false],
    [['public.*_log'], 'public', 'a.b_log', true],
    [['public.a*c'], 'public', 'abcbc', true],
    [['public.a*c'], 'publicx', 'abc', false],
    [['public.Orders'], 'public', 'orders', false],
    [['public.a+'], 'public', 'aa', false],
    [['public.a+'], 'public', 'a+', true],
    [['"We.ird".*'], 'We.ird', 'Tab le', true],
    [['"We.ird".*'], 'WeXird', 'Tab le', false],
    [['public."a*"'], 'public', 'ab', false],
    [['public."a*"'], 'public', 'a*', true],
    [['public.*'], 'public', 'two\nlines', true],
    [[], 'public', 'orders', false],
  ])('%j on %s.%s: %s', (patterns, schema, name, matches) => {
    expect(matchTables(patterns)({ schema, name })).toBe(matches);
  });

  it('refuses what is no pattern', () => {
    expect(() => matchTables(['public.*', 'orders'])).toThrow('schema is missing');
    expect(patternFault('public.*', 'pattern')).toBeNull();
  });
});

it('splits a list outside quotes only', () => {
  expect(splitOutsideQuotes(' public.*, "a,b".c ,,"x""y,".z', ',')).toEqual(['public.*', '"a,b".c', '"x""y,".z']);
});
