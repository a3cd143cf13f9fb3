import { expect, it } from 'vitest';
import { sampleTable } from '../../testing/cli-io.ts';
import { parseQuery } from './page-query.ts';
import { selectTables } from './table-query.ts';

const TABLES = [
  sampleTable({ source: 'a.busy', state: 'streaming', applied: { insert: 9, update: 1, delete: 0, truncate: 0 } }),
  sampleTable({ source: 'a.broken', state: 'error', target: 'b.Elsewhere' }),
  sampleTable({ source: 'a.copying', state: 'copying' }),
  sampleTable({ source: 'c.idle', state: 'streaming', applied: { insert: 0, update: 5, delete: 0, truncate: 0 } }),
];
const factsOf = (source: string) => ({ sinceMs: 0, rowsPerSecond: source === 'c.idle' ? 3 : source === 'a.copying' ? 2 : 1 });
const select = (search: string): string[] => selectTables(TABLES, parseQuery(search), factsOf).rows.map(({ source }) => source);

it.each([
  ['', ['a.broken', 'a.copying', 'a.busy', 'c.idle']],
  ['q=A.B', ['a.broken', 'a.busy']],
  ['q=elsewhere', ['a.broken']],
  ['state=streaming', ['a.busy', 'c.idle']],
  ['sort=name&desc=1', ['c.idle', 'a.copying', 'a.busy', 'a.broken']],
  ['sort=updates&desc=1&state=streaming', ['c.idle', 'a.busy']],
  ['sort=inserts&desc=1&q=busy', ['a.busy']],
  ['sort=rate', ['a.broken', 'a.busy', 'a.copying', 'c.idle']],
  ['q=nothing', []],
])('%s', (search, expected) => {
  expect(select(search)).toEqual(expected);
});

it('gives a page of fifty, the last one where there is none further', () => {
  const many = Array.from({ length: 120 }, (_, i) => sampleTable({ source: `s.t${String(i).padStart(3, '0')}` }));
  const at = (page: number) => selectTables(many, { ...parseQuery(''), page }, factsOf);
  expect(at(1)).toMatchObject({ matched: 120, page: 1, pages: 3 });
  expect(at(2).rows[0]?.source).toBe('s.t050');
  expect(at(99)).toMatchObject({ page: 3, rows: { length: 20 } });
});

it('leaves the tables in the order they were in', () => {
  select('sort=name&desc=1');
  expect(TABLES[0]?.source).toBe('a.busy');
});
