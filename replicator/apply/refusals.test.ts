import { expect, test } from 'vitest';
import { buildIndex, buildMapping, buildRelation } from '../testing/build-relation.ts';
import { Refusals } from './refusals.ts';
import { mapRows, type RowMap } from './row-map.ts';

function table(name: string, replicaIdentity: 'default' | 'full'): RowMap {
  const columns = [{ name: 'id', identity: true, typeOid: 23, typmod: -1 }];
  const uniqueIndexes = replicaIdentity === 'full' ? [] : [buildIndex('key', ['id'])];
  const target = buildRelation(name, { columns: ['id'], uniqueIndexes });
  return mapRows({ oid: 1, schema: 'public', name, replicaIdentity, columns }, buildMapping(name), target, { binary: true });
}

function batchesInOrder(refusals: Refusals, map: RowMap): number {
  for (let batches = 0; ; batches++) if (!refusals.inOrder(map)) return batches;
}

test('after each refusal in a row twice as many batches of the table go in order, up to a bound, and no others', () => {
  const [ranks, log] = [table('ranks', 'default'), table('log', 'default')];
  const refusals = new Refusals();
  const counts = Array.from({ length: 8 }, () => {
    refusals.refused(ranks);
    expect(refusals.inOrder(log)).toBe(false);
    return batchesInOrder(refusals, ranks);
  });
  expect(counts).toEqual([2, 4, 8, 16, 32, 64, 64, 64]);
  refusals.taken(ranks);
  refusals.refused(ranks);
  expect(batchesInOrder(refusals, ranks)).toBe(2);
});

test('a table without a key is asked each time', () => {
  const keyless = table('keyless', 'full');
  const refusals = new Refusals();
  refusals.refused(keyless);
  expect(refusals.inOrder(keyless)).toBe(false);
});
