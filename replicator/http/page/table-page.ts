import { share } from '../../observe/copy-progress.ts';
import type { TableStatus } from '../../observe/status.ts';
import type { ProblemCode } from '../../problem.ts';
import { eventList } from './events-section.ts';
import { ago, bytesText, clock, count, duration, plural, rate, until } from './format.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';
import { tableHref } from './page-query.ts';
import { actionForm, dotted, factList, remedy, type Fact } from './pieces.ts';
import { bar } from './snapshot-section.ts';
import { IDENTITIES } from './table-row.ts';
import { TABLE_TONES, icon, pill, words } from './tone.ts';
import { validationButton, validationExamples, validationFacts } from './validation-card.ts';
import type { PageBody, PageView } from './view.ts';

const EVENTS_SHOWN = 50;
/** Problems of tables that are in no error. */
const OF_TABLES: ReadonlySet<ProblemCode> = new Set(['ROWS_DIFFER', 'FOREIGN_KEY_NOT_CREATED'] as const);

/** One table: where it stands, what came and what did not, what went wrong, what can be done. */
export function tablePage(view: PageView, table: Readonly<TableStatus>): PageBody {
  const { source, target, state } = table;
  const { sinceMs } = view.factsOf(source);
  const since = new Date(sinceMs).toISOString();
  const main = html`<section id="table" aria-labelledby="table-title">
      <p class="crumbs"><a href="/#tables">Tables</a></p>
      <div class="section-head table-head">
        <h1 id="table-title" class="page-title">${source}</h1>
        ${pill(TABLE_TONES[state], words(state))} <span class="tally">since ${clock(since, view.nowMs)} UTC</span>
        <div class="actions end">
          ${(state === 'error' || isUnlinked(view, source)) && actionForm(view, { action: 'retry', label: 'Retry', look: 'primary', table: source })}
          ${validationButton(view, table)}
          <a class="button plain" href="${tableHref(source, 'resync')}" data-dialog>Copy again…</a>
          <a class="button plain" href="${tableHref(source, 'remove')}" data-dialog>Remove…</a>
        </div>
      </div>
      ${target !== source && html`<p class="lead">Goes to <strong>${target}</strong> on the target.</p>`}
    </section>
    ${waitOf(view, table)} ${errorOf(view, table)} ${cards(view, table)}
    <section id="events" aria-labelledby="events-title">
      <div class="section-head">
        <h2 id="events-title">Events of this table</h2>
        <span class="tally">times in UTC</span>
      </div>
      ${eventList(
        view.events
          .filter((event) => event.table === source)
          .slice(-EVENTS_SHOWN)
          .toReversed(),
        view,
        'Nothing is remembered of this table.',
      )}
    </section>`;
  return { title: source, place: 'other', main, live: true };
}

function waitOf({ nowMs }: PageView, { waiting }: Readonly<TableStatus>): Html {
  if (waiting === null) return html`<section id="waiting" hidden></section>`;
  return html`<section id="waiting" aria-label="What it waits for">
    <div class="problem mild">
      ${icon('warn')}
      <div>
        <p class="problem-message">${waiting.message}</p>
        <p class="meta">since <time datetime="${waiting.since}">${clock(waiting.since, nowMs)} UTC</time></p>
        ${remedy(waiting.remedy)}
      </div>
    </div>
  </section>`;
}

function isUnlinked({ status }: PageView, source: string): boolean {
  return status.problems.some(({ code, table }) => code === 'FOREIGN_KEY_NOT_CREATED' && table === source);
}

function errorOf({ status, nowMs }: PageView, table: Readonly<TableStatus>): Html {
  const { source } = table;
  const error = table.error ?? status.problems.find((problem) => OF_TABLES.has(problem.code) && problem.table === source) ?? null;
  if (error === null) return html`<section id="problems" hidden></section>`;
  const problem = status.problems.find(({ table }) => table === source);
  const retryAt = problem?.retryAt ?? null;
  return html`<section id="problems" aria-label="What is wrong">
    <div class="problem">
      ${icon('bad')}
      <div>
        <p class="problem-message">${error.message}</p>
        <p class="meta">
          ${dotted(
            html`<code>${error.code}</code>`,
            problem && problem.occurrences > 1 && `${plural(problem.occurrences, 'time')} so far`,
            retryAt !== null && `tried again ${until(retryAt, nowMs)}`,
          )}
        </p>
        ${remedy(error.remedy)}
      </div>
    </div>
  </section>`;
}

function cards(view: PageView, table: Readonly<TableStatus>): Html {
  const { applied, conflicts, snapshot } = table;
  const missed = conflicts.insertExists + conflicts.updateMissing + conflicts.deleteMissing;
  const rowsPerSecond = view.factsOf(table.source).rowsPerSecond;
  const changed =
    table.lastChangeAt === null
      ? 'none yet'
      : html`<time datetime="${table.lastChangeAt}">${ago(table.lastChangeAt, view.nowMs)}</time>`;
  return html`<section id="facts" class="cards" aria-label="Numbers">
    ${card('Changes since the start', [
      ['Inserts', count(applied.insert)],
      ['Updates', count(applied.update)],
      ['Deletes', count(applied.delete)],
      ['Truncates', count(applied.truncate)],
      ['Now', `${rate(rowsPerSecond < 0.05 ? 0 : rowsPerSecond)} rows/s`],
      ['Last change', changed],
      ['Rows are found by', IDENTITIES[table.identity]],
    ])}
    ${card('Copy', copyFacts(snapshot, view.nowMs), table.state === 'copying' ? bar(share(snapshot.rowsCopied, snapshot.rowsEstimated), table.source) : null)}
    ${card(
      'Not applied as sent',
      [
        ['Inserts whose key was taken', count(conflicts.insertExists)],
        ['Updates that found no row', count(conflicts.updateMissing)],
        ['Deletes that found no row', count(conflicts.deleteMissing)],
        ['Kept on the target for later', bytesText(table.spooledBytes)],
      ],
      missed > 0 ? html`<p class="note-line">Somebody else writes to the target. The events name the keys.</p>` : null,
    )}
    ${card('Both sides compared', validationFacts(view, table), validationExamples(table))}
  </section>`;
}

function copyFacts(snapshot: TableStatus['snapshot'], nowMs: number): Fact[] {
  const { startedAt, finishedAt, rowsEstimated } = snapshot;
  const seconds =
    startedAt === null ? null : ((finishedAt === null ? nowMs : Date.parse(finishedAt)) - Date.parse(startedAt)) / 1000;
  const took = duration(seconds === null ? null : Math.max(0, seconds));
  return [
    ['Rows', count(snapshot.rowsCopied)],
    ['Estimated before', rowsEstimated === null ? '–' : plural(rowsEstimated, 'row')],
    ['Size', bytesText(snapshot.bytesCopied)],
    ['Began', startedAt === null ? '–' : `${clock(startedAt, nowMs)} UTC`],
    ['Complete', finishedAt === null ? '–' : `${clock(finishedAt, nowMs)} UTC`],
    [finishedAt === null ? 'Takes so far' : 'Took', took.unit ? `${took.value} ${took.unit}` : took.value],
  ];
}

function card(title: string, facts: readonly Fact[], more: Html | null = null): Html {
  return html`<div class="card facts">
    <h2>${title}</h2>
    ${factList(facts)} ${more}
  </div>`;
}
