import type { Range } from '../../observe/history.ts';
import { TABLE_STATES } from '../../observe/status.ts';
import type { TableState } from '../../observe/status.ts';

const SORTS = ['attention', 'name', 'state', 'copied', 'inserts', 'updates', 'deletes', 'rate', 'changed'] as const;
export type Sort = (typeof SORTS)[number];

export const LEVELS = ['info', 'warn', 'error'] as const;
export type Level = (typeof LEVELS)[number];

/** What a page shows and how, all of it in its address: so it works without JavaScript, and can be passed on. */
export interface PageQuery {
  /** Part of a table's name, as it was typed. */
  readonly q: string;
  readonly state: TableState | null;
  readonly sort: Sort;
  readonly desc: boolean;
  /** From 1. */
  readonly page: number;
  /** Events of at least this level. */
  readonly level: Level;
  /** Part of an event, as it was typed. */
  readonly find: string;
  /** How far back the curves go. */
  readonly range: Range;
  /** Not to be loaded again by itself: for who reads slowly, without JavaScript. */
  readonly still: boolean;
}

const LONGEST = 200;
const NEUTRAL: PageQuery = {
  q: '',
  state: null,
  sort: 'attention',
  desc: false,
  page: 1,
  level: 'info',
  find: '',
  range: '15m',
  still: false,
};

/** From an address; what it does not know or understand is left at its default. */
export function parseQuery(search: string): PageQuery {
  const given = new URLSearchParams(search);
  const text = (name: string): string => (given.get(name) ?? '').trim().slice(0, LONGEST);
  const page = Number(given.get('page'));
  return {
    q: text('q'),
    state: TABLE_STATES.find((state) => state === given.get('state')) ?? null,
    sort: SORTS.find((sort) => sort === given.get('sort')) ?? NEUTRAL.sort,
    desc: given.get('desc') === '1',
    page: Number.isInteger(page) && page > 0 && page < 1e6 ? page : 1,
    level: LEVELS.find((level) => level === given.get('level')) ?? NEUTRAL.level,
    find: text('find'),
    range: given.get('range') === '24h' ? '24h' : NEUTRAL.range,
    still: given.get('still') === '1',
  };
}

/** The address that shows this query with something changed; defaults are left out. */
export function hrefOf(path: string, query: PageQuery, change: Partial<PageQuery> = {}): string {
  const wanted = { ...query, ...change };
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(wanted)) {
    if (value === NEUTRAL[name as keyof PageQuery]) continue;
    parameters.set(name, typeof value === 'boolean' ? '1' : String(value));
  }
  const search = parameters.toString();
  return search ? `${path}?${search}` : path;
}

/** The page of a table, by its name on the source. */
export function tableHref(source: string, action = ''): string {
  const dot = source.indexOf('.');
  const path = `/tables/${encodeURIComponent(source.slice(0, dot))}/${encodeURIComponent(source.slice(dot + 1))}`;
  return action ? `${path}/${action}` : path;
}
