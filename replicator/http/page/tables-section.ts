import { TABLE_STATES } from '../../observe/status.ts';
import { count, plural } from './format.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';
import { hrefOf } from './page-query.ts';
import type { Sort } from './page-query.ts';
import { PROBLEMS_SHOWN } from './problems-section.ts';
import { renderTableRow } from './table-row.ts';
import { selectTables } from './table-query.ts';
import type { TableSelection } from './table-query.ts';
import { words } from './tone.ts';
import type { PageView } from './view.ts';

/** Fewer need no filter. */
const FILTER_FROM = 10;

interface Column {
  readonly title: string;
  readonly sort: Sort | null;
  /** Sorted by it the first time, the largest come first. */
  readonly number?: true;
}

const COLUMNS: readonly Column[] = [
  { title: 'Table', sort: 'name' },
  { title: 'State', sort: 'state' },
  { title: 'Identity', sort: null },
  { title: 'Copied', sort: 'copied', number: true },
  { title: 'Inserts', sort: 'inserts', number: true },
  { title: 'Updates', sort: 'updates', number: true },
  { title: 'Deletes', sort: 'deletes', number: true },
  { title: 'Rows/s', sort: 'rate', number: true },
  { title: 'Last change', sort: 'changed', number: true },
];

/** All tables, a page at a time, those that need somebody first. */
export function renderTables(view: PageView): Html {
  const { tables, query, factsOf } = view;
  const selection = selectTables(tables, query, factsOf);
  return html`<section id="tables" aria-labelledby="tables-title">
    <div class="section-head">
      <h2 id="tables-title">Tables <span class="tally">${count(tables.length)}</span></h2>
      ${tables.length >= FILTER_FROM && filterForm(view)}
      <a class="button plain" href="/add" data-dialog>Add a table</a>
    </div>
    ${tables.length > 1 && stateLinks(view)} ${list(view, selection)} ${pager(view, selection)}
  </section>`;
}

function filterForm({ query }: PageView): Html {
  const others = [...new URLSearchParams(hrefOf('', query, { q: '', page: 1 }))];
  return html`<form class="filter" method="get" action="/#tables" role="search" data-live>
    <input
      id="filter"
      name="q"
      type="search"
      value="${query.q}"
      placeholder="Filter by name"
      aria-label="Filter tables by name"
      autocomplete="off"
      spellcheck="false"
      data-keep
    />${others.map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`)}
    <button type="submit" class="plain no-js">Filter</button>
  </form>`;
}

function stateLinks({ status, query, path }: PageView): Html {
  const there = TABLE_STATES.filter((state) => status.tables[state] > 0 || query.state === state).toReversed();
  const link = (state: typeof query.state, word: string, number: number): Html =>
    html`<a
      class="chip"
      href="${hrefOf(path, query, { state, page: 1 })}#tables"
      data-live
      ${query.state === state && html` aria-current="true"`}
      >${word} <span class="tally">${count(number)}</span></a
    >`;
  return html`<nav class="chips" aria-label="Tables by state">
    ${link(null, 'all', status.tables.total)} ${there.map((state) => link(state, words(state), status.tables[state]))}
  </nav>`;
}

function list(view: PageView, { rows }: TableSelection): Html {
  const { tables, status, query } = view;
  if (tables.length === 0) return html`<p class="card empty">No table is followed yet.</p>`;
  if (rows.length === 0)
    return html`<p class="card empty">
      No table fits. <a href="${hrefOf('/', query, { q: '', state: null, page: 1 })}" data-live>Show all</a>
    </p>`;
  // What stands among the problems above need not be told twice.
  const remedied = new Set(status.problems.slice(0, PROBLEMS_SHOWN).map((problem) => problem.table));
  return html`<div class="card scroll">
    <table role="table">
      <caption class="sr-only">
        Followed tables${query.sort === 'attention' && ', those in error first'}
      </caption>
      <thead role="rowgroup">
        <tr role="row">
          ${COLUMNS.map((column) => heading(view, column))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        ${rows.map((table) => renderTableRow(view, table, remedied))}
      </tbody>
    </table>
  </div>`;
}

function heading({ query, path }: PageView, { title, sort, number }: Column): Html {
  const css = number ? html` class="num"` : null;
  if (sort === null) return html`<th scope="col" role="columnheader" ${css}>${title}</th>`;
  const sorted = query.sort === sort;
  const desc = sorted ? !query.desc : number === true;
  const direction = query.desc ? 'descending' : 'ascending';
  return html`<th scope="col" role="columnheader" ${css} ${sorted && html` aria-sort="${direction}"`}>
    <a href="${hrefOf(path, query, { sort, desc, page: 1 })}#tables" data-live
      >${title}<span class="sort" aria-hidden="true">${sorted ? (query.desc ? '↓' : '↑') : '↕'}</span></a
    >
  </th>`;
}

function pager({ query, path, tables }: PageView, { page, pages, matched }: TableSelection): Html | null {
  if (pages === 1)
    return matched < tables.length ? html`<p class="more">${plural(matched, 'table')} of ${count(tables.length)}.</p>` : null;
  const step = (to: number, label: string): Html =>
    to < 1 || to > pages
      ? html`<span class="button plain" aria-disabled="true">${label}</span>`
      : html`<a class="button plain" href="${hrefOf(path, query, { page: to })}#tables" data-live>${label}</a>`;
  return html`<nav class="pager" aria-label="Pages of tables">
    ${step(page - 1, 'Previous')} <span>Page ${count(page)} of ${count(pages)}, ${plural(matched, 'table')}</span>
    ${step(page + 1, 'Next')}
  </nav>`;
}
