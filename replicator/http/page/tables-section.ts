import type { TableStatus } from '../../observe/status.ts';
import { ago, bytesText, count, plural } from './format.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';
import { remedy } from './pieces.ts';
import { TABLE_TONES, pill, words } from './tone.ts';
import type { PageView } from './view.ts';

/** More would make the page heavy; the API has them all. */
const MAX_ROWS = 500;
const FILTER_FROM = 10;
const ORDER: Readonly<Record<TableStatus['state'], number>> = {
  error: 0,
  copying: 1,
  indexing: 2,
  catching_up: 3,
  pending: 4,
  streaming: 5,
};
const IDENTITIES: Readonly<Record<TableStatus['identity'], string>> = {
  primary_key: 'primary key',
  index: 'unique index',
  full: 'full row',
  nothing: 'nothing',
};

/** All tables, those that need somebody first. */
export function renderTables({ tables, status, nowMs }: PageView): Html {
  const sorted = [...tables].sort((a, b) => ORDER[a.state] - ORDER[b.state] || (a.source < b.source ? -1 : 1));
  const shown = sorted.slice(0, MAX_ROWS);
  // What stands among the problems above need not be told twice.
  const remedied = new Set(status.problems.map((problem) => problem.table));
  const body =
    shown.length === 0
      ? html`<p class="card empty">No table is followed yet.</p>`
      : html`<div class="card scroll">
          <table role="table">
            <caption class="sr-only">
              Followed tables, those in error first
            </caption>
            <thead role="rowgroup">
              <tr role="row">
                <th scope="col" role="columnheader">Table</th>
                <th scope="col" role="columnheader">State</th>
                <th scope="col" role="columnheader">Identity</th>
                <th scope="col" role="columnheader" class="num">Copied</th>
                <th scope="col" role="columnheader" class="num">Inserts</th>
                <th scope="col" role="columnheader" class="num">Updates</th>
                <th scope="col" role="columnheader" class="num">Deletes</th>
                <th scope="col" role="columnheader" class="num">Last change</th>
              </tr>
            </thead>
            <tbody role="rowgroup">
              ${shown.map((table) => tableRows(table, nowMs, remedied))}
            </tbody>
          </table>
        </div>`;
  return html`<section id="tables" aria-labelledby="tables-title">
    <div class="section-head">
      <h2 id="tables-title">Tables <span class="tally">${count(tables.length)}</span></h2>
      ${tables.length >= FILTER_FROM && html`<input id="filter" class="filter" type="search" placeholder="Filter" aria-label="Filter tables by name" data-keep />`}
    </div>
    ${body}
    ${tables.length > MAX_ROWS && html`<p class="more">The first ${count(MAX_ROWS)} of ${count(tables.length)}; <a href="/api/v1/tables">all of them</a>.</p>`}
  </section>`;
}

function tableRows(table: TableStatus, nowMs: number, remedied: ReadonlySet<string | null>): Html {
  const { source, target, snapshot, applied, error } = table;
  const cell = (label: string, value: Html | string): Html =>
    html`<td role="cell" class="num" data-label="${label}">${value}</td>`;
  const notes = notesOf(table);
  const row = html`<tr role="row" data-key="${source}" data-name="${source}" ${error && html` class="has-detail"`}>
    <th scope="row" role="rowheader">
      <span class="table-name">${source}</span
      >${target !== source && html`<span class="table-target"><span aria-hidden="true">→ </span><span class="sr-only">to </span>${target}</span>`}${notes.map((note) => html`<span class="table-note">${note}</span>`)}
    </th>
    <td role="cell" class="state-cell">${pill(TABLE_TONES[table.state], words(table.state))}</td>
    <td role="cell" data-label="Identity">${IDENTITIES[table.identity]}</td>
    ${cell('Copied', count(snapshot.rowsCopied))} ${cell('Inserts', count(applied.insert))}
    ${cell('Updates', count(applied.update))} ${cell('Deletes', count(applied.delete))}
    ${cell('Last change', table.lastChangeAt === null ? '–' : html`<time datetime="${table.lastChangeAt}">${ago(table.lastChangeAt, nowMs)}</time>`)}
  </tr>`;
  if (error === null) return row;
  return html`${row}
    <tr role="row" class="detail" data-key="${source} error" data-name="${source}">
      <td role="cell" colspan="8">
        <p class="problem-message">${error.message} <code>${error.code}</code></p>
        ${!remedied.has(source) && remedy(error.remedy)}
      </td>
    </tr>`;
}

function notesOf({ applied, conflicts, spooledBytes }: TableStatus): string[] {
  const notes: string[] = [];
  if (applied.truncate > 0) notes.push(plural(applied.truncate, 'truncate'));
  if (conflicts.insertExists > 0) notes.push(`${plural(conflicts.insertExists, 'insert')} found the key taken`);
  if (conflicts.updateMissing > 0) notes.push(`${plural(conflicts.updateMissing, 'update')} found no row`);
  if (conflicts.deleteMissing > 0) notes.push(`${plural(conflicts.deleteMissing, 'delete')} found no row`);
  if (spooledBytes > 0) notes.push(`${bytesText(spooledBytes)} of changes kept for later`);
  return notes;
}
