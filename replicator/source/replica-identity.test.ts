import { expect, test } from 'vitest';
import type { Relation } from '../catalog/relation.ts';
import { buildIndex, buildRelation } from '../testing/build-relation.ts';
import { planReplicaIdentity } from './replica-identity.ts';

const pkey = buildIndex('pkey', ['a'], { primary: true });
const deferrable = buildIndex('pkey', ['a'], { primary: true, identifies: false });

const CASES: [name: string, relation: Partial<Omit<Relation, 'columns'>>, plan: string[]][] = [
  ['a primary key', { identityColumns: ['a'], uniqueIndexes: [pkey] }, []],
  ['FULL', { replicaIdentity: 'full' }, []],
  ['an index that was chosen', { replicaIdentity: 'index', identityColumns: ['b'] }, []],
  ['no key', {}, ['FULL']],
  ['a deferrable key', { uniqueIndexes: [deferrable] }, ['FULL']],
  ['a unique index', { uniqueIndexes: [buildIndex('u "x"', ['b'])] }, ['USING INDEX "u ""x"""']],
  ['a unique index that is not fit', { uniqueIndexes: [buildIndex('u', ['b'], { identifies: false })] }, ['FULL']],
  [
    'several: the narrowest',
    { uniqueIndexes: [buildIndex('wide', ['b', 'c']), buildIndex('z', ['b']), buildIndex('y', ['c'])] },
    ['USING INDEX "y"'],
  ],
  ['NOTHING with a key', { replicaIdentity: 'nothing', uniqueIndexes: [buildIndex('u', ['b']), pkey] }, ['DEFAULT']],
  ['NOTHING without a key', { replicaIdentity: 'nothing' }, ['FULL']],
  ['an index that is gone', { replicaIdentity: 'index', uniqueIndexes: [pkey] }, ['DEFAULT']],
];

test.each(CASES)('a table with %s', (_, relation, plan) => {
  const changes = planReplicaIdentity(buildRelation('t', relation));
  expect(changes.map((change) => change.sql)).toEqual(
    plan.map((clause) => `ALTER TABLE ONLY "public"."t" REPLICA IDENTITY ${clause}`),
  );
});

const root = (more: Partial<Omit<Relation, 'columns'>>) => buildRelation('r', { kind: 'partitioned', ...more });
const leaf = (name: string, more: Partial<Omit<Relation, 'columns'>>) => buildRelation(name, more);
const keyed = { identityColumns: ['a'], uniqueIndexes: [pkey] };

const TREES: [name: string, root: Relation, partitions: Relation[], plan: string[]][] = [
  ['keyed throughout', root(keyed), [leaf('p', keyed)], []],
  [
    'keyless throughout',
    root({}),
    [leaf('p', {}), root({ name: 'mid' }), leaf('q', { replicaIdentity: 'full' })],
    ['r FULL', 'p FULL'],
  ],
  ['a key that only a partition has is not announced', root({}), [leaf('p', keyed)], ['r FULL', 'p FULL']],
  ['under FULL a partition with a key needs FULL', root({ replicaIdentity: 'full' }), [leaf('p', keyed)], ['p FULL']],
  ['a partition may say more than its root', root(keyed), [leaf('p', { ...keyed, replicaIdentity: 'full' })], []],
  [
    'a partition with another identity than its root',
    root(keyed),
    [leaf('p', { replicaIdentity: 'index', identityColumns: ['b'], uniqueIndexes: [pkey] })],
    ['p DEFAULT'],
  ],
  ['a partition with NOTHING', root(keyed), [leaf('p', { replicaIdentity: 'nothing', uniqueIndexes: [pkey] })], ['p DEFAULT']],
  [
    'a unique index of the root',
    root({ uniqueIndexes: [buildIndex('u', ['a', 'b'])] }),
    [leaf('p', { uniqueIndexes: [buildIndex('pu', ['b', 'a'])] }), leaf('q', {})],
    ['r USING INDEX "u"', 'p USING INDEX "pu"', 'q FULL'],
  ],
  ['an unlogged partition is not in the WAL', root({}), [leaf('p', { persistence: 'unlogged' })], ['r FULL']],
];

test.each(TREES)('a partitioned table: %s', (_, relation, partitions, plan) => {
  const shown = planReplicaIdentity(relation, partitions).map((change) =>
    change.sql.replace('ALTER TABLE ONLY "public".', '').replace(' REPLICA IDENTITY', ''),
  );
  expect(shown.map((line) => line.replace(/^"(\w+)"/, '$1'))).toEqual(plan);
});

test('rows are not found by a column that is not carried', () => {
  const relation = buildRelation('t', { uniqueIndexes: [buildIndex('narrow', ['secret']), buildIndex('wide', ['a', 'b'])] });
  expect(planReplicaIdentity(relation, [], ['secret']).map(({ to }) => to)).toEqual([{ kind: 'index', index: 'wide' }]);
  expect(planReplicaIdentity(relation, [], ['secret', 'b']).map(({ to }) => to)).toEqual([{ kind: 'full' }]);
});
