import type { PipelineState, TableState } from '../../observe/status.ts';
import { html } from './html.ts';
import type { Html } from './html.ts';

/** What a colour means on the page. Each has a shape of its own too, so that colour is never alone. */
export type Tone = 'good' | 'busy' | 'idle' | 'wait' | 'warn' | 'bad';

const SHAPES: Readonly<Record<Tone, Html>> = {
  good: html`<circle cx="8" cy="8" r="7" class="fill" /><path d="M4.8 8.3l2.2 2.2 4.3-4.7" class="mark" />`,
  busy: html`<circle cx="8" cy="8" r="7" class="fill" /><path d="M8 4.2v6.6M5.2 8.2L8 11l2.8-2.8" class="mark" />`,
  idle: html`<circle cx="8" cy="8" r="7" class="fill" /><path d="M6.2 5.4v5.2M9.8 5.4v5.2" class="mark" />`,
  wait: html`<circle cx="8" cy="8" r="7" class="fill" /><path d="M4.6 8v.1M8 8v.1M11.4 8v.1" class="mark" />`,
  warn: html`<path d="M8 1.2L15.4 14.4H.6z" class="fill" /><path d="M8 6v3.6M8 11.9v.1" class="mark" />`,
  bad: html`<path d="M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1z" class="fill" /><path
      d="M5.6 5.6l4.8 4.8M10.4 5.6l-4.8 4.8"
      class="mark"
    />`,
};

export function icon(tone: Tone): Html {
  return html`<svg class="icon tone-${tone}" viewBox="0 0 16 16" aria-hidden="true" focusable="false">${SHAPES[tone]}</svg>`;
}

export function pill(tone: Tone, word: string): Html {
  return html`<span class="pill tone-${tone}">${icon(tone)}${word}</span>`;
}

export const PIPELINE_TONES: Readonly<Record<PipelineState, Tone>> = {
  starting: 'wait',
  copying: 'busy',
  catching_up: 'busy',
  streaming: 'good',
  paused: 'idle',
  retrying: 'warn',
  failed: 'bad',
};

export const TABLE_TONES: Readonly<Record<TableState, Tone>> = {
  pending: 'wait',
  copying: 'busy',
  indexing: 'busy',
  catching_up: 'busy',
  streaming: 'good',
  error: 'bad',
};

/** `catching_up` -> `catching up`. */
export function words(state: string): string {
  return state.replaceAll('_', ' ');
}
