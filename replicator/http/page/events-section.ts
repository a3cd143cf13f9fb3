import type { PipelineEvent } from '../../observe/status.ts';
import { clock } from './format.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';
import { dotted } from './pieces.ts';
import { icon } from './tone.ts';
import type { PageView } from './view.ts';

const SHOWN = 40;

/** What happened, newest first. */
export function renderEvents({ events, nowMs }: PageView): Html {
  const newest = events.slice(-SHOWN).toReversed();
  return html`<section id="events" aria-labelledby="events-title">
    <div class="section-head">
      <h2 id="events-title">Events</h2>
      <span class="tally">times in UTC</span>
    </div>
    ${
      newest.length === 0
        ? html`<p class="card empty">Nothing has happened yet.</p>`
        : html`<ol class="card events">
            ${newest.map((event) => renderEvent(event, nowMs))}
          </ol>`
    }
    ${events.length > SHOWN && html`<p class="more">The last ${SHOWN} of ${events.length}; <a href="/api/v1/events">all of them</a>.</p>`}
  </section>`;
}

function renderEvent(event: PipelineEvent, nowMs: number): Html {
  const mark = event.level === 'info' ? html`<span class="event-dot"></span>` : icon(event.level === 'warn' ? 'warn' : 'bad');
  const level = event.level === 'info' ? null : event.level === 'warn' ? 'Warning: ' : 'Error: ';
  return html`<li data-key="${event.id}">
    <time datetime="${event.at}">${clock(event.at, nowMs)}</time><span class="event-mark">${mark}</span>
    <div>
      <p>${level && html`<span class="sr-only">${level}</span>`}${event.message}</p>
      <p class="meta">${dotted(html`<code>${event.code}</code>`, event.table, event.remedy)}</p>
    </div>
  </li>`;
}
