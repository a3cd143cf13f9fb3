import { expect, it } from 'vitest';
import { closest, editDistance } from './suggest.ts';

it.each([
  ['kitten', 'sitting', 3],
  ['', 'abc', 3],
  ['pubic', 'public', 1],
  ['recieve', 'receive', 1],
  ['same', 'same', 0],
])('%s to %s takes %i', (a, b, distance) => {
  expect(editDistance(a, b)).toBe(distance);
  expect(editDistance(b, a)).toBe(distance);
});

it.each([
  ['on_conflict', ['onMissing', 'onConflict'], 'onConflict'],
  ['statsu', ['status', 'start'], 'status'],
  ['hots', ['host', 'port'], 'host'],
  ['xyz', ['host', 'port'], null],
  ['anything', [], null],
])('%s among %j', (word, candidates, expected) => {
  expect(closest(word, candidates)).toBe(expected);
});
