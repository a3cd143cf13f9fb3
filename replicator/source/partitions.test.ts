import { expect, test } from 'vitest';
import { leafChanges, type PresentLeaf } from './partitions.ts';

const leaf = (oid: number, more: Partial<PresentLeaf> = {}): PresentLeaf => ({
  oid,
  edges: '700',
  newest: '700',
  born: true,
  file: oid,
  name: `public.t_${oid}`,
  forgotten: false,
  ...more,
});

const NOTHING = { come: [], gone: [], emptied: [] };

test('what stays as it was is no news, whatever is known of it', () => {
  const before = [leaf(1), leaf(2, { forgotten: true })];
  expect(leafChanges(before, [leaf(1, { forgotten: true }), leaf(2)])).toEqual(NOTHING);
  expect(leafChanges([], [])).toEqual(NOTHING);
});

test('partitions come and go; one that was away in between has come', () => {
  const away = leaf(3, { edges: '705' });
  expect(leafChanges([leaf(1), leaf(2), leaf(3)], [leaf(2), away, leaf(4)])).toEqual({
    ...NOTHING,
    come: [away, leaf(4)],
    gone: [leaf(1)],
  });
});

test('another file of which nothing is known: emptied, unless all are', () => {
  const emptied = leaf(2, { file: 99, forgotten: true });
  expect(leafChanges([leaf(1), leaf(2)], [leaf(1), emptied])).toEqual({ ...NOTHING, emptied: [emptied] });
  expect(leafChanges([leaf(1), leaf(2)], [leaf(1), { ...emptied, forgotten: false }])).toEqual(NOTHING);
  expect(leafChanges([leaf(2)], [emptied])).toEqual(NOTHING);
  expect(leafChanges([leaf(1), leaf(2)], [leaf(1, { file: 98, forgotten: true }), emptied])).toEqual(NOTHING);
});
