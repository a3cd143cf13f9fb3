import { expect, test } from 'vitest';
import { Decoder } from '../pgoutput/decoder.ts';
import type { Change, StreamRelation } from '../pgoutput/messages.ts';
import { buildIndex, buildMapping, buildRelation } from '../testing/build-relation.ts';
import { insert, relation, remove, truncate, update } from '../testing/pgoutput-bytes.ts';
import { FEWEST_FOR_SET, plan, planInOrder, type Step } from './plan.ts';
import { mapRows, type RowMap } from './row-map.ts';

const NAMES = new Map([
  [1, 'many'],
  [2, 'few'],
  [3, 'unfollowed'],
]);

function scene(options: { firesOnReplica?: boolean } = {}) {
  const decoder = new Decoder();
  const describe = (oid: number, columns = ['id', 'v']): Change[] => {
    decoder.decode(relation({ oid, name: NAMES.get(oid) ?? '', columns: columns.map((name, i) => ({ name, key: i === 0 })) }));
    return [];
  };
  for (const oid of NAMES.keys()) describe(oid);
  const maps = new Map<StreamRelation, RowMap | null>();
  const mapOf = (described: StreamRelation): RowMap | null => {
    if (!maps.has(described)) {
      const target = buildRelation(described.name, {
        columns: ['id', 'v', 'w'],
        uniqueIndexes: [buildIndex('pk', ['id'], { primary: true })],
        firesOnReplica: options.firesOnReplica ?? false,
      });
      maps.set(
        described,
        described.name === 'unfollowed' ? null : mapRows(described, buildMapping(described.name), target, { binary: false }),
      );
    }
    return maps.get(described) ?? null;
  };
  const change = (bytes: Buffer): Change => decoder.decode(bytes) as Change;
  const inserts = (oid: number, count: number, from = 0): Change[] =>
    Array.from({ length: count }, (_, n) => change(insert(oid, [String(from + n), 'v'])));
  return { change, inserts, describe, mapOf, options: { mapOf, canStage: () => true } };
}

// A plan in words.
function told(steps: readonly Step[]): string[] {
  return steps.map((step) => {
    if (step.kind === 'ordered')
      return `in order: ${step.changes.map(({ change, map }) => `${change.kind} ${map.table}`).join(', ')}`;
    if (step.kind === 'truncate') return `truncate ${step.maps.map((map) => map.table).join(', ')}`;
    const { deletes, updates, inserts } = step.net;
    return `set ${step.map.table}: -${deletes.length} ~${updates.length} +${inserts.length}`;
  });
}

test('a few changes are replayed in source order, tables mixed', async () => {
  const { change, inserts, options } = scene();
  const changes = [...inserts(1, 1), ...inserts(2, 1), change(update(1, ['0', 'w'])), change(remove(2, { key: ['0', null] }))];
  expect(told(await plan(changes, options))).toEqual([
    'in order: insert public.many, insert public.few, update public.many, delete public.few',
  ]);
});

test('many changes of a table go as their net effect, those of the others in order', async () => {
  const { change, inserts, options } = scene();
  const changes = [
    ...inserts(1, FEWEST_FOR_SET),
    ...inserts(2, 1),
    change(remove(1, { key: ['0', null] })),
    change(update(1, ['900', 'x'])),
  ];
  expect(told(await plan(changes, options))).toEqual([
    `set public.many: -0 ~1 +${FEWEST_FOR_SET - 1}`,
    'in order: insert public.few',
  ]);
});

test('tables that are not followed leave nothing, not even a truncate', async () => {
  const { change, inserts, options } = scene();
  expect(await plan([...inserts(3, 100), change(truncate([3]))], options)).toEqual([]);
});

test('without a key several changes that each would take a pass over the table take it together', async () => {
  const decoder = new Decoder();
  decoder.decode(relation({ oid: 4, name: 'keyless', identity: 'f', columns: ['id', 'v'].map((name) => ({ name, key: true })) }));
  const change = (bytes: Buffer): Change => decoder.decode(bytes) as Change;
  const wayOf = async (columns: string[], changes: Change[]): Promise<string[]> => {
    const maps = new Map<StreamRelation, RowMap>();
    const mapOf = (of: StreamRelation): RowMap => {
      const target = buildRelation('keyless', { columns });
      const map = maps.get(of) ?? mapRows(of, buildMapping('keyless'), target, { binary: false });
      maps.set(of, map);
      return map;
    };
    return (await plan(changes, { mapOf, canStage: () => true })).map((step) => step.kind);
  };
  const gone = (id: string): Change => change(remove(4, { full: [id, 'v'] }));
  const set = (id: string): Change => change(update(4, [id, 'w'], { full: [id, 'v'] }));
  const eight = (of: (id: string) => Change): Change[] => Array.from({ length: 8 }, (_, id) => of(String(id)));
  expect(await wayOf(['id', 'v'], eight(gone))).toEqual(['set']);
  expect(await wayOf(['id', 'v'], eight(set).slice(1))).toEqual(['ordered']);
  expect(
    await wayOf(
      ['id', 'v'],
      eight((id) => change(insert(4, [id, 'v']))),
    ),
  ).toEqual(['ordered']);
  // What only the target has of a row would be lost with it.
  expect(await wayOf(['id', 'v', 'local'], eight(gone))).toEqual(['set']);
  expect(await wayOf(['id', 'v', 'local'], [...eight(gone), set('9')])).toEqual(['ordered']);
});

test('a truncate is a barrier for all tables, and takes the followed ones of its group', async () => {
  const { change, inserts, options } = scene();
  const changes = [
    ...inserts(1, 60),
    ...inserts(2, 1),
    change(truncate([1, 3, 2], { restartIdentity: true })),
    ...inserts(1, 60),
  ];
  expect(told(await plan(changes, options))).toEqual([
    'set public.many: -0 ~0 +60',
    'in order: insert public.few',
    'truncate public.many, public.few',
    'set public.many: -0 ~0 +60',
  ]);
});

test('a table that is altered in between goes on behind what came before', async () => {
  const { inserts, describe, options, change } = scene();
  const before = inserts(1, 60);
  describe(1, ['id', 'v', 'w']);
  const after = [change(insert(1, ['100', 'v', 'w']))];
  expect(told(await plan([...before, ...after], options))).toEqual([
    'set public.many: -0 ~0 +60',
    'in order: insert public.many',
  ]);
});

test('a relation described again as it was is no barrier', async () => {
  const { inserts, describe, options } = scene();
  const before = inserts(1, 30);
  describe(1);
  expect(told(await plan([...before, ...inserts(1, 30, 30)], options))).toEqual(['set public.many: -0 ~0 +60']);
});

test('where triggers or rules see every row, or rows cannot be staged, all is replayed in order', async () => {
  const fires = scene({ firesOnReplica: true });
  expect((await plan(fires.inserts(1, 100), fires.options)).map((step) => step.kind)).toEqual(['ordered']);
  const plain = scene();
  const steps = await plan(plain.inserts(1, 100), { ...plain.options, canStage: () => false });
  expect(steps.map((step) => step.kind)).toEqual(['ordered']);
});

test('in order, nothing is folded, and truncates stay where they were', () => {
  const { change, inserts, mapOf } = scene();
  const changes = [...inserts(1, 200), change(truncate([1])), ...inserts(1, 1)];
  expect(planInOrder(changes, mapOf).map((step) => step.kind)).toEqual(['ordered', 'truncate', 'ordered']);
});
