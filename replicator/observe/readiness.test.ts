import { expect, it } from 'vitest';
import { readiness } from './readiness.ts';
import { PIPELINE_STATES } from './status.ts';
import type { PipelineState } from './status.ts';

const up = { connected: true, serverVersion: '18.4', database: 'app' };
const status = (state: PipelineState, source = true, target = true) => ({
  state,
  summary: 'Sentence.',
  source: { ...up, connected: source, walEnd: null },
  target: { ...up, connected: target },
});

it.each(PIPELINE_STATES)('%s with both databases there', (state) => {
  const ready = ['copying', 'catching_up', 'streaming', 'paused'].includes(state);
  expect(readiness(status(state)).ready).toBe(ready);
});

it('says what is in the way', () => {
  expect(readiness(status('streaming', false, true))).toEqual({ ready: false, reasons: ['the source does not answer'] });
  expect(readiness(status('retrying', true, false)).reasons).toEqual(['the target does not answer', 'Sentence.']);
});
