import { expect, it } from 'vitest';
import { PROBLEM_CODES, type ProblemCode } from '../problem.ts';
import { STAGES } from './readings.ts';
import { stageOf } from './stage.ts';

it('every problem happens somewhere that errors_total knows', () => {
  for (const code of Object.keys(PROBLEM_CODES) as ProblemCode[])
    expect([code, STAGES]).toEqual([code, expect.arrayContaining([stageOf(code)])]);
});

it.each([
  ['TARGET_COLUMN_MISSING', 'catalog'],
  ['ROW_FILTER_UNSUPPORTED', 'catalog'],
  ['APPLY_FAILED', 'apply'],
  ['COPY_FAILED', 'snapshot'],
  ['TARGET_UNREACHABLE', 'target'],
] as const)('%s: %s, whatever its name begins with', (code, stage) => {
  expect(stageOf(code)).toBe(stage);
});
