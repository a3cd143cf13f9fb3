import type { PipelineEvent } from '../../observe/status.ts';
import { clock, count, plural } from './format.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';
import { hrefOf, LEVELS } from './page-query.ts';
import type { Level } from './page-query.ts';
import { dotted, tableLink } from './pieces.ts';
import { icon } from './tone.ts';
import type { PageBody, PageView } from './view.ts';

const SHOWN = 20;
const SHOWN_ON_OWN_PAGE = 200;

const LEVEL_NAMES: Readonly<Record<Level, string>> = {
  info: 'Everything',
  warn: 'Warnings and errors',
  error: 'Errors',
};

/** What happened, newest first, on the overview. */
export function renderEvents(view: PageView): Html {
  const { events } = view;
  return html`<section id="events" aria-labelledby="events-title">
    <div class="section-head">
      <h2 id="events-title">Events</h2>
      <span class="tally">times in UTC</span>
      ${events.length > 0 && html`<a class="button plain end" href="/events">All events</a>`}
    </div>
    ${eventList(events.slice(-SHOWN).toReversed(), view, 'Nothing has happened yet.')}
  </section>`;
}

/** All that is remembered, with filters. */
export function eventsPage(view: PageView): PageBody {
  const { events, query } = view;
  const matching = selectEvents(events, query);
  const shown = matching.slice(-SHOWN_ON_OWN_PAGE).toReversed();
  const main = html`<section id="events" aria-labelledby="events-title">
    <div class="section-head">
      <h1 id="events-title" class="page-title">Events</h1>
      <span class="tally">times in UTC</span>
      ${filterForm(view)}
    </div>
    ${eventList(shown, view, events.length === 0 ? 'Nothing has happened yet.' : 'No event fits.')}
    <p class="more">
      ${dotted(
        matching.length > shown.length && `The last ${shown.length} of ${count(matching.length)}`,
        matching.length < events.length && `${plural(matching.length, 'event')} of ${count(events.length)} fit`,
        html`<a href="/api/v1/events">all of them as JSON</a>`,
      )}
    </p>
  </section>`;
  return { title: 'Events', place: 'events', main, live: true };
}

/** Those of at least a level, with a text in message, code or table. */
function selectEvents(
  events: readonly PipelineEvent[],
  { level, find }: { level: Level; find: string },
): readonly PipelineEvent[] {
  const least = LEVELS.indexOf(level);
  const wanted = find.toLowerCase();
  return events.filter(
    (event) =>
      LEVELS.indexOf(event.level) >= least &&
      (wanted === '' || `${event.message}\n${event.code}\n${event.table ?? ''}`.toLowerCase().includes(wanted)),
  );
}

/** A list of events, in the order given. */
export function eventList(events: readonly PipelineEvent[], { nowMs, tables }: PageView, nothing: string): Html {
  if (events.length === 0) return html`<p class="card empty">${nothing}</p>`;
  const followed = new Set(events.flatMap(({ table }) => table ?? []));
  const known = new Set(tables.filter(({ source }) => followed.has(source)).map(({ source }) => source));
  return html`<ol class="card events">
    ${events.map((event) => renderEvent(event, nowMs, known))}
  </ol>`;
}

function filterForm({ query }: PageView): Html {
  return html`<form class="filter" method="get" action="/events" role="search" data-live>
    <select name="level" aria-label="Which events" data-keep>
      ${LEVELS.map((level) => html`<option value="${level}" ${query.level === level && html` selected`}>${LEVEL_NAMES[level]}</option>`)}
    </select>
    <input
      id="find"
      name="find"
      type="search"
      value="${query.find}"
      placeholder="Table, code or text"
      aria-label="Filter events by table, code or text"
      autocomplete="off"
      spellcheck="false"
      data-keep
    />
    <button type="submit" class="plain no-js">Filter</button>
    ${(query.level !== 'info' || query.find !== '') && html`<a class="no-js" href="${hrefOf('/events', query, { level: 'info', find: '' })}">Show all</a>`}
  </form>`;
}

function renderEvent(event: PipelineEvent, nowMs: number, known: ReadonlySet<string>): Html {
  const mark = event.level === 'info' ? html`<span class="event-dot"></span>` : icon(event.level === 'warn' ? 'warn' : 'bad');
  const level = event.level === 'info' ? null : event.level === 'warn' ? 'Warning: ' : 'Error: ';
  const table = event.table !== undefined && (known.has(event.table) ? tableLink(event.table) : event.table);
  return html`<li data-key="${event.id}">
    <time datetime="${event.at}">${clock(event.at, nowMs)}</time><span class="event-mark">${mark}</span>
    <div>
      <p>${level && html`<span class="sr-only">${level}</span>`}${event.message}</p>
      <p class="meta">${dotted(html`<code>${event.code}</code>`, table, event.remedy)}</p>
    </div>
  </li>`;
}
