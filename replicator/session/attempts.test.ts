import { expect, it } from 'vitest';
import { Problem, type ProblemCode } from '../problem.ts';
import { Attempts } from './attempts.ts';

const problem = (code: ProblemCode, retry: 'transient' | 'permanent' = 'transient'): Problem =>
  new Problem(code, 'It failed.', { retry, remedy: 'Nothing to do.' });

it('counts sessions that got no further; one that did begins anew', () => {
  const attempts = new Attempts();
  expect(attempts.failures).toBe(0);
  for (const gotFurther of [false, false, false]) attempts.failed(problem('TARGET_UNREACHABLE'), gotFurther);
  expect(attempts.failures).toBe(3);
  attempts.failed(problem('TARGET_UNREACHABLE'), true);
  expect(attempts.failures).toBe(1);
});

it('leaves transactions in progress to the source only after a session that could not go on with them', () => {
  const attempts = new Attempts();
  const after = (code: ProblemCode): boolean => {
    attempts.failed(problem(code), false);
    return attempts.unstreamed;
  };
  expect(attempts.unstreamed).toBe(false);
  expect(after('SPILL_FAILED')).toBe(true);
  expect(after('SOURCE_UNREACHABLE')).toBe(false);
  expect(after('SOURCE_UNSUITABLE')).toBe(true);
});

it.each([
  { retry: 'transient', least: 200, most: 250 },
  { retry: 'permanent', least: 15_000, most: 15_000 },
] as const)('a $retry problem: says when the next session is due, and waits no longer than it is told to', async (waits) => {
  const attempts = new Attempts();
  const stop = new AbortController();
  const failed = problem('APPLY_FAILED', waits.retry);
  attempts.failed(failed, false);
  expect(attempts.nextMs).toBeNull();
  const before = Date.now();
  const pause = attempts.pause(failed, stop.signal);
  const after = Date.now();
  expect(attempts.nextMs).toBeGreaterThanOrEqual(before + waits.least);
  expect(attempts.nextMs).toBeLessThanOrEqual(after + waits.most);
  stop.abort();
  await pause;
  expect(attempts.nextMs).toBeNull();
});
