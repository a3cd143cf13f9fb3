import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteArena } from './byte-arena.ts';

test('what was kept stays, whatever is kept after it and whatever becomes of its source', () => {
  const size = fc.oneof(
    { weight: 10, arbitrary: fc.nat(3000) },
    { weight: 2, arbitrary: fc.nat(60_000) },
    { weight: 1, arbitrary: fc.constantFrom(1 << 15, (1 << 15) + 1) },
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(size, fc.nat(9)), { maxLength: 120 }), (sizes) => {
      const arena = new ByteArena();
      const kept = sizes.map(([length, from], n) => {
        const source = Buffer.alloc(from + length, n % 251);
        arena.keep(source, from);
        const { data, start } = arena;
        source.fill(255);
        return { data, start, length, n };
      });
      for (const { data, start, length, n } of kept) {
        expect(start + length).toBeLessThanOrEqual(data.length);
        expect(data.subarray(start, start + length).equals(Buffer.alloc(length, n % 251))).toBe(true);
      }
    }),
    { numRuns: 60 },
  );
});

test('small ranges share memory; a large one has its own and does not end the slab', () => {
  const arena = new ByteArena();
  arena.keep(Buffer.from('xone'), 1);
  const { data, start } = arena;
  arena.keep(Buffer.alloc(1 << 16), 0);
  expect(arena.data).toHaveLength(1 << 16);
  arena.keep(Buffer.from('two'), 0);
  expect([arena.data === data, arena.start]).toEqual([true, start + 3]);
  expect(data.toString('latin1', start, start + 6)).toBe('onetwo');
});
