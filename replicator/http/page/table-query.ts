import type { TableFacts } from '../../observe/table-book.ts';
import type { TableState, TableStatus } from '../../observe/status.ts';
import type { PageQuery, Sort } from './page-query.ts';

const PAGE_ROWS = 50;

type Table = Readonly<TableStatus>;

export interface TableSelection {
  readonly rows: readonly Table[];
  /** How many there are that fit the filter. */
  readonly matched: number;
  /** Which page this is, of how many; from 1. */
  readonly page: number;
  readonly pages: number;
}

const ATTENTION: Readonly<Record<TableState, number>> = {
  error: 0,
  copying: 1,
  indexing: 2,
  catching_up: 3,
  pending: 4,
  streaming: 5,
};

/** One page of the tables that are asked for, in the order that is asked for: those that need somebody first, unless otherwise. */
export function selectTables(
  tables: readonly Table[],
  query: Pick<PageQuery, 'q' | 'state' | 'sort' | 'desc' | 'page'>,
  factsOf: (source: string) => TableFacts,
): TableSelection {
  const wanted = query.q.toLowerCase();
  const fits = ({ source, target, state }: Table): boolean =>
    (query.state === null || state === query.state) &&
    (wanted === '' || source.toLowerCase().includes(wanted) || (target !== source && target.toLowerCase().includes(wanted)));
  const matching = tables.filter(fits);
  const compare = comparison(query.sort, factsOf);
  const sign = query.desc ? -1 : 1;
  matching.sort((a, b) => sign * compare(a, b) || byName(a, b));
  const pages = Math.max(1, Math.ceil(matching.length / PAGE_ROWS));
  const page = Math.min(query.page, pages);
  return { rows: matching.slice((page - 1) * PAGE_ROWS, page * PAGE_ROWS), matched: matching.length, page, pages };
}

function comparison(sort: Sort, factsOf: (source: string) => TableFacts): (a: Table, b: Table) => number {
  switch (sort) {
    case 'attention':
    case 'state':
      return (a, b) => ATTENTION[a.state] - ATTENTION[b.state];
    case 'name':
      return byName;
    case 'copied':
      return (a, b) => a.snapshot.rowsCopied - b.snapshot.rowsCopied;
    case 'inserts':
      return (a, b) => a.applied.insert - b.applied.insert;
    case 'updates':
      return (a, b) => a.applied.update - b.applied.update;
    case 'deletes':
      return (a, b) => a.applied.delete - b.applied.delete;
    case 'rate': {
      // Asked once a table, not once a comparison.
      const rates = new Map<string, number>();
      const rate = ({ source }: Table): number => {
        let known = rates.get(source);
        if (known === undefined) rates.set(source, (known = factsOf(source).rowsPerSecond));
        return known;
      };
      return (a, b) => rate(a) - rate(b);
    }
    case 'changed':
      return (a, b) => compareText(a.lastChangeAt ?? '', b.lastChangeAt ?? '');
  }
}

function byName(a: Table, b: Table): number {
  return compareText(a.source, b.source);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
