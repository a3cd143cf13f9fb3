import { renderEvents } from './events-section.ts';
import { renderFindings } from './findings-section.ts';
import { renderFlow } from './flow-section.ts';
import { html } from './html.ts';
import { renderProblems } from './problems-section.ts';
import { renderSnapshot } from './snapshot-section.ts';
import { renderTables } from './tables-section.ts';
import { renderTiles } from './tiles-section.ts';
import { renderVerdict } from './verdict-section.ts';
import type { PageBody, PageView } from './view.ts';
import { renderWork } from './work-section.ts';

/** The first page: everything there is to see, the most important first. */
export function overviewPage(view: PageView): PageBody {
  const main = html`${renderVerdict(view)} ${renderProblems(view)} ${renderFlow(view)} ${renderWork(view)} ${renderSnapshot(view)}
  ${renderTiles(view)} ${renderTables(view)} ${renderFindings(view)} ${renderEvents(view)}`;
  return { title: 'Overview', place: 'overview', main, live: true };
}
