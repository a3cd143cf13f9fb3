import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planChunks, type Chunk, type Store } from './chunks.ts';

const MB = 1 << 20;

const table = (bytes: number): Store[] => [{ relation: null, bytes, divisible: true }];

const leaves = (...sizes: number[]): Store[] =>
  sizes.map((bytes, i) => ({ relation: { schema: 'public', name: `p${i}` }, bytes, divisible: bytes > 0 }));

const named = (chunks: readonly Chunk[]): string[] =>
  chunks.map(({ ranges }) =>
    ranges.map(({ relation, blocks }) => `${relation?.name}${blocks ? ` ${blocks.from}` : ''}`).join(' '),
  );

test('small tables stay whole, large ones are divided', () => {
  const count = (bytes: number, workers = 4): number => planChunks(table(bytes), { workers }).length;
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
      const chunks = planChunks(table(bytes), { workers });
      expect(chunks.map(({ number }) => number)).toEqual([...chunks.keys()]);
      const ranges = chunks.flatMap((chunk) => chunk.ranges.map((range) => range.blocks));
      expect(ranges).toHaveLength(chunks.length);
      if (ranges.length === 1) {
        expect(ranges).toEqual([null]);
        return;
      }
      expect(ranges[0]?.from).toBe(0);
      expect(ranges.at(-1)?.to).toBeNull();
      for (const [i, range] of ranges.entries()) {
        const next = ranges[i + 1];
        if (!next) continue;
        expect(range?.to).toBe(next.from);
        expect(next.from).toBeGreaterThan(range?.from ?? Infinity);
      }
    }),
    { numRuns: 20 },
  );
});

test('of partitions the large ones are divided, and the small ones share', () => {
  const chunks = planChunks(leaves(MB, 100 * MB, 2 * MB, 0, 31 * MB, 40 * MB), { workers: 4 });
  expect(named(chunks)).toEqual(['p0 p2 p3', 'p1 0', 'p1 4266', 'p1 8533', 'p4', 'p5']);
  expect(planChunks(leaves(MB, 3 * MB), { workers: 4 })).toHaveLength(1);
  expect(planChunks(leaves(MB, 100 * MB), { workers: 1 })).toHaveLength(1);
  expect(planChunks(leaves(...Array.from({ length: 250 }, () => 8192)), { workers: 2 })).toHaveLength(3);
  // A foreign table has no blocks, however large it may be.
  expect(
    named(planChunks([...leaves(0), ...leaves(500 * MB).map((leaf) => ({ ...leaf, divisible: false }))], { workers: 2 })),
  ).toEqual(['p0', 'p0']);
});
