import { expect, test } from 'vitest';
import { imageVerdict } from './image-verdict.ts';
import { verdict, type RowSeen } from './verdict.ts';

const row = (hash: string, version: string): RowSeen => ({ hash, version });
const [a1, a2, b1, b2] = [row('a', '1'), row('a', '2'), row('b', '1'), row('b', '2')];

test.each([
  ['unchanged and the same', { source: a1, target: row('a', 't'), sourceAgain: a1, targetAgain: row('a', 't') }, 'equal'],
  [
    'unchanged, the target holds something else',
    { source: a1, target: row('b', 't'), sourceAgain: a1, targetAgain: row('b', 't') },
    'different',
  ],
  ['unchanged, the target has none', { source: a1, target: null, sourceAgain: a1, targetAgain: null }, 'missing'],
  ['changed on the source meanwhile', { source: a1, target: a2, sourceAgain: b2, targetAgain: a2 }, 'again'],
  ['changed back to the same values', { source: a1, target: b2, sourceAgain: a2, targetAgain: b2 }, 'again'],
  ['changed, and the target follows', { source: a1, target: a2, sourceAgain: b2, targetAgain: b1 }, 'equal'],
  ['came meanwhile, not there yet', { source: null, target: null, sourceAgain: a1, targetAgain: null }, 'again'],
  ['only the target has it, all the time', { source: null, target: a1, sourceAgain: null, targetAgain: a1 }, 'extra'],
  ['deleted on the source, the target keeps it', { source: a1, target: a1, sourceAgain: null, targetAgain: a1 }, 'extra'],
  ['the target has it anew', { source: null, target: a1, sourceAgain: null, targetAgain: a2 }, 'again'],
  ['the target had it for a moment', { source: null, target: a1, sourceAgain: null, targetAgain: null }, 'equal'],
  ['came to the target between its looks', { source: null, target: null, sourceAgain: null, targetAgain: a1 }, 'again'],
] as const)('%s: %#', (_, looks, expected) => {
  expect(verdict(looks)).toBe(expected);
});

test.each([
  ['as many', { source: ['1'], target: ['t'], sourceAgain: ['2'], targetAgain: ['u'] }, false, [0, 0, true]],
  [
    'one more on the source, nothing moved',
    { source: ['1', '2'], target: ['t'], sourceAgain: ['2', '1'], targetAgain: ['t'] },
    true,
    [1, 0, true],
  ],
  [
    'two more on the target, nothing moved',
    { source: [], target: ['t', 'u'], sourceAgain: [], targetAgain: ['u', 't'] },
    true,
    [0, 2, true],
  ],
  ['rows were removed', { source: ['1', '2'], target: ['t'], sourceAgain: ['1', '2'], targetAgain: ['t'] }, false, [0, 0, false]],
  ['another row on the source', { source: ['1'], target: [], sourceAgain: ['2'], targetAgain: [] }, true, [0, 0, false]],
  ['another row on the target', { source: [], target: ['t'], sourceAgain: [], targetAgain: ['u'] }, true, [0, 0, false]],
] as const)('rows without a key, %s: %#', (_, looks, quiet, [missing, extra, settled]) => {
  expect(imageVerdict(looks, quiet)).toEqual({ missing, extra, settled });
});
