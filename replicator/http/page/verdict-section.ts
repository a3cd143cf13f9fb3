import type { Status } from '../../observe/status.ts';
import { clock, count, plural } from './format.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';
import { actionForm, dotted } from './pieces.ts';
import { PIPELINE_TONES, icon, words } from './tone.ts';
import type { Tone } from './tone.ts';
import type { PageView } from './view.ts';

/** Whether the target is right and how far behind it is, in one sentence; and the one button for all. */
export function renderVerdict(view: PageView): Html {
  const { status } = view;
  const tone = verdictTone(status);
  const { total, streaming } = status.tables;
  const problems = plural(status.problems.length, 'problem');
  const any = status.problems.length > 0;
  const since = html`<strong class="state">${words(status.state)}</strong> since ${clock(status.since, view.nowMs)} UTC`;
  const tables = total > 0 && `${count(streaming)} of ${plural(total, 'table')} streaming`;
  return html`<section id="verdict" class="verdict tone-${tone}" aria-label="Verdict">
    <span class="badge">${icon(tone)}</span>
    <div class="verdict-text">
      <h1>${status.summary}</h1>
      <p>${dotted(since, tables, any && html`<a href="#problems">${problems}</a>`)}</p>
    </div>
    <p class="sr-only" aria-live="polite">${words(status.state)}, ${any ? problems : 'no problems'}</p>
    ${control(view)}
  </section>`;
}

/** A pipeline that streams while something needs attention is not shown in green. */
function verdictTone({ state, tables, problems }: Status): Tone {
  const tone = PIPELINE_TONES[state];
  return tone !== 'bad' && (tables.error > 0 || problems.length > 0) ? 'warn' : tone;
}

function control(view: PageView): Html | null {
  const { state } = view.status;
  if (state === 'failed') return null;
  if (state === 'paused') return actionForm(view, { action: 'resume', label: 'Resume', look: 'primary' });
  return actionForm(view, { action: 'pause', label: 'Pause', look: 'plain' });
}
