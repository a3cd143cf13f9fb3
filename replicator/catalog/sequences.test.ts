import { expect, test } from 'vitest';
import { buildMapping } from '../testing/build-relation.ts';
import { pairSequences, type Sequence, type SequenceUse } from './sequences.ts';

function sequence(oid: number, name: string): Sequence {
  return { oid, schema: 'public', name, ascending: true, readable: true };
}

function use(table: string, column: string, of: Sequence): SequenceUse {
  return { table: { schema: 'public', name: table }, column, sequence: of };
}

const source = [
  use('a', 'id', sequence(1, 'a_id_seq')),
  use('a', 'n', sequence(2, 'shared')),
  use('b', 'n', sequence(2, 'shared')),
  use('b', 'secret', sequence(3, 'secret')),
  use('unfollowed', 'id', sequence(4, 'unfollowed_id_seq')),
];
const a = buildMapping('a', { target: 'there', renameColumns: { id: 'key' } });
const b = buildMapping('b', { excludeColumns: ['secret'] });

test('sequences belong together by their columns, else by their name; each pair once', () => {
  const target = [use('there', 'key', sequence(10, 'there_key_seq')), use('b', 'secret', sequence(30, 'secret'))];
  const named = [sequence(20, 'shared'), sequence(30, 'secret'), sequence(40, 'unfollowed_id_seq')];
  const pairs = pairSequences([a, b], { source, target, named });
  expect(pairs.map((pair) => [pair.source.oid, pair.target.oid])).toEqual([
    [1, 10],
    [2, 20],
  ]);
});

test('what the target does not have is left out; one sequence may stand for two', () => {
  expect(pairSequences([a, b], { source, target: [], named: [] })).toEqual([]);
  const both = [use('there', 'n', sequence(20, 'one')), use('b', 'n', sequence(21, 'two'))];
  expect(pairSequences([a, b], { source, target: both, named: [] }).map(({ target }) => target.oid)).toEqual([20, 21]);
});
