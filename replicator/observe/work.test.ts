import { expect, it } from 'vitest';
import { findBottleneck } from './bottleneck.ts';
import { WorkLedger } from './work.ts';

const START = 1_700_000_000_000;

it('adds up the last minute and forgets the one before', () => {
  const ledger = new WorkLedger();
  ledger.spent('apply', 1000, START);
  for (let second = 61; second <= 120; second++) {
    ledger.spent('source', 750, START + second * 1000);
    ledger.spent('apply', 200, START + second * 1000);
    ledger.spent('apply', -50, START + second * 1000);
    ledger.spent('commit', 50, START + second * 1000);
    ledger.queueFull(95, START + second * 1000);
  }
  const { shares, queueFull } = ledger.read(START + 120_000);
  expect(shares.source).toBeCloseTo(750 / 950);
  expect(shares.apply).toBeCloseTo(150 / 950);
  expect(shares.commit).toBeCloseTo(50 / 950);
  expect(queueFull).toBeCloseTo(0.1);
  expect(ledger.read(START + 500_000)).toMatchObject({ seconds: 0, queueFull: 0, shares: { source: 0, apply: 0 } });
});

it('never shows less than nothing', () => {
  const ledger = new WorkLedger();
  ledger.spent('source', 1000, START);
  ledger.spent('apply', -3, START);
  expect(ledger.read(START).shares).toMatchObject({ source: 1, apply: 0 });
});

const NONE = { source: 0, decode: 0, apply: 0, lock: 0, commit: 0, tables: 0, paused: 0 };

it.each([
  [
    { source: 0.97, apply: 0.03 },
    0,
    0.1,
    null,
    'Nothing is in the way. In the last minute: 97 % waiting for the source, 3 % writing rows on the target.',
  ],
  [{ source: 0.9, apply: 0.1 }, 0, 30, 'source', /^The source is the slowest part/],
  [
    { apply: 0.7, commit: 0.2, source: 0.1 },
    0.5,
    30,
    'apply',
    /^The target is the slowest part: .* 70 % writing rows .* The queue was full 50 % of the time\.$/,
  ],
  [{ decode: 0.6, source: 0.4 }, 0, 30, 'decode', /^Decoding/],
  [{ lock: 0.6, source: 0.4 }, 0, 0.5, 'lock', /^A lock on the target is in the way/],
  [{ commit: 0.6, source: 0.4 }, 0, 9, 'commit', /^Committing/],
  [{ tables: 0.6, source: 0.4 }, 0, 9, 'tables', /^Tables that join/],
  [{ paused: 1 }, 0, 90, 'paused', /^It is paused\./],
])('names what is in the way: %j', (shares, queueFull, lag, stage, summary) => {
  const found = findBottleneck({ seconds: 60, shares: { ...NONE, ...shares }, queueFull }, lag);
  expect(found.stage).toBe(stage);
  expect(found.summary).toMatch(summary);
});

it('says nothing of the first seconds', () => {
  expect(findBottleneck({ seconds: 1, shares: { ...NONE, apply: 1 }, queueFull: 0 }, 99).stage).toBeNull();
});

it('as a counter it never falls', () => {
  const ledger = new WorkLedger();
  ledger.spent('apply', 1000, START);
  expect(ledger.total('apply')).toBe(1);
  ledger.spent('apply', -300, START);
  expect(ledger.total('apply')).toBe(1);
  ledger.spent('apply', 500, START + 3_600_000);
  expect(ledger.total('apply')).toBe(1.2);
});
