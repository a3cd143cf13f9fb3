import { expect, it } from 'vitest';
import { Sampler } from './sampler.ts';

const MOMENT = { lagSeconds: null, lagBytes: null, queueBytes: 0, retainedBytes: null, walEnd: null };
const totals = (insert: number, transactions = 0) => ({ insert, update: 0, delete: 0, truncate: 0, transactions });

it('tells what came since the last look, a second', () => {
  const sampler = new Sampler();
  expect(sampler.sample({ ...MOMENT, totals: totals(1000) }, 0).insertsPerSecond).toBeNull();
  expect(sampler.sample({ ...MOMENT, totals: totals(1500) }, 2000).insertsPerSecond).toBe(250);
  expect(sampler.sample({ ...MOMENT, totals: totals(1500) }, 3000).insertsPerSecond).toBe(0);
});

it('tells how fast the source writes, over ten seconds', () => {
  const sampler = new Sampler();
  const at = (seconds: number, walEnd: bigint | null) =>
    sampler.sample({ ...MOMENT, totals: totals(0), walEnd }, seconds * 1000).walBytesPerSecond;
  expect([at(0, 1000n), at(5, 9000n), at(10, 11_000n), at(15, 11_000n), at(20, 11_000n)]).toEqual([null, null, 1000, 1000, 0]);
  // Another server.
  expect([at(21, 5n), at(31, 25n), at(32, null)]).toEqual([null, 2, null]);
});
