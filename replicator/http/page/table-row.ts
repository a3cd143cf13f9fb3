import type { TableStatus } from '../../observe/status.ts';
import { mismatches } from '../../observe/validation.ts';
import { ago, bytesText, count, plural, rate } from './format.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';
import { actionForm, remedy } from './pieces.ts';
import { tableHref } from './page-query.ts';
import { share } from '../../observe/copy-progress.ts';
import { TABLE_TONES, pill, words } from './tone.ts';
import type { PageView } from './view.ts';

export const IDENTITIES: Readonly<Record<TableStatus['identity'], string>> = {
  primary_key: 'primary key',
  index: 'unique index',
  full: 'full row',
  nothing: 'nothing',
};

/** One table, and a second row where it is in error. `remedied`: tables whose remedy stands elsewhere on the page. */
export function renderTableRow(view: PageView, table: Readonly<TableStatus>, remedied: ReadonlySet<string | null>): Html {
  const { source, target, applied, error } = table;
  const { nowMs } = view;
  const { rowsPerSecond } = view.factsOf(source);
  const cell = (label: string, value: Html | string): Html =>
    html`<td role="cell" class="num" data-label="${label}">${value}</td>`;
  const row = html`<tr role="row" data-key="${source}" ${error && html` class="has-detail"`}>
    <th scope="row" role="rowheader">
      <a class="table-name" href="${tableHref(source)}">${source}</a
      >${target !== source && html`<span class="table-target"><span aria-hidden="true">→ </span><span class="sr-only">to </span>${target}</span>`}${notesOf(table).map((note) => html`<span class="table-note">${note}</span>`)}
    </th>
    <td role="cell" class="state-cell">${pill(TABLE_TONES[table.state], words(table.state))}</td>
    <td role="cell" data-label="Identity">${IDENTITIES[table.identity]}</td>
    ${cell('Copied', copied(table))} ${cell('Inserts', count(applied.insert))} ${cell('Updates', count(applied.update))}
    ${cell('Deletes', count(applied.delete))} ${cell('Rows/s', rowsPerSecond < 0.05 ? '–' : rate(rowsPerSecond))}
    ${cell('Last change', table.lastChangeAt === null ? '–' : html`<time datetime="${table.lastChangeAt}">${ago(table.lastChangeAt, nowMs)}</time>`)}
  </tr>`;
  if (error === null) return row;
  return html`${row}
    <tr role="row" class="detail" data-key="${source} error">
      <td role="cell" colspan="9">
        <div class="detail-text">
          <p class="problem-message">${error.message} <code>${error.code}</code></p>
          ${!remedied.has(source) && actionForm(view, { action: 'retry', label: 'Retry', look: 'plain', table: source })}
        </div>
        ${!remedied.has(source) && remedy(error.remedy)}
      </td>
    </tr>`;
}

/** While it is copied, how far: only where the estimate holds. */
function copied({ state, snapshot }: Readonly<TableStatus>): string {
  const part = state === 'copying' ? share(snapshot.rowsCopied, snapshot.rowsEstimated) : null;
  return part === null ? count(snapshot.rowsCopied) : `${count(snapshot.rowsCopied)} (${Math.floor(part * 100)} %)`;
}

/** What is out of the ordinary about a table, in a few words each. */
function notesOf({ applied, conflicts, spooledBytes, validation, waiting }: Readonly<TableStatus>): string[] {
  const notes: string[] = [];
  if (waiting) notes.push(waiting.message);
  const differing = validation === null ? 0 : mismatches(validation);
  if (differing > 0) notes.push(`${plural(differing, 'row')} ${differing === 1 ? 'differs' : 'differ'} on the target`);
  if (applied.truncate > 0) notes.push(plural(applied.truncate, 'truncate'));
  if (conflicts.insertExists > 0) notes.push(`${plural(conflicts.insertExists, 'insert')} found the key taken`);
  if (conflicts.updateMissing > 0) notes.push(`${plural(conflicts.updateMissing, 'update')} found no row`);
  if (conflicts.deleteMissing > 0) notes.push(`${plural(conflicts.deleteMissing, 'delete')} found no row`);
  if (spooledBytes > 0) notes.push(`${bytesText(spooledBytes)} of changes kept for later`);
  return notes;
}
