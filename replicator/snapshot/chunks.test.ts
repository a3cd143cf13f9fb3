import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planChunks } from './chunks.ts';

const MB = 1 << 20;

test('small tables stay whole, large ones are divided', () => {
  const count = (bytes: number, workers = 4): number => planChunks({ bytes, workers }).length;
  expect([0, 8192, 60 * MB].map((bytes) => count(bytes))).toEqual([1, 1, 1]);
  expect(count(64 * MB)).toBe(2);
  expect(count(178 * MB)).toBe(5);
  expect(count(2048 * MB)).toBe(16);
  expect(count(1024 * 1024 * MB)).toBe(4096);
  // Alone, a worker gains nothing by it, until it would have too much to repeat.
  expect(count(178 * MB, 1)).toBe(1);
  expect(count(1024 * MB, 1)).toBe(4);
});

test('the chunks meet: no block is in two, none in none', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 38 }), fc.integer({ min: 1, max: 64 }), (bytes, workers) => {
      const chunks = planChunks({ bytes, workers });
      expect(chunks[0]?.from).toBe(0);
      expect(chunks.at(-1)?.to).toBeNull();
      for (const [i, chunk] of chunks.entries()) {
        expect(chunk.number).toBe(i);
        const next = chunks[i + 1];
        if (!next) continue;
        expect(chunk.to).toBe(next.from);
        expect(next.from).toBeGreaterThan(chunk.from);
      }
    }),
    { numRuns: 20 },
  );
});
