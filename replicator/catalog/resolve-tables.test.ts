import { expect, test } from 'vitest';
import { buildMapping, buildRelation } from '../testing/build-relation.ts';
import { displayName, type Relation, type RelationName } from './relation.ts';
import { resolveTables, type TableSelection } from './resolve-tables.ts';

const a = buildRelation('a');
const b = buildRelation('b');
const unlogged = buildRelation('unlogged', { persistence: 'unlogged' });
const temporary = buildRelation('temporary', { persistence: 'temporary' });
const root = buildRelation('root', { kind: 'partitioned' });
const partition = (name: string, parent: Relation, more: Partial<Omit<Relation, 'columns'>> = {}): Relation =>
  buildRelation(name, { parentOid: parent.oid, rootOid: root.oid, ...more });
const p1 = partition('p1', root);
const p2 = partition('p2', root, { kind: 'partitioned' });
const p21 = partition('p21', p2);
const tree = [p1, p2, p21, root];

const names = (...list: string[]) => {
  const set = new Set(list);
  return ({ name }: RelationName) => set.has(name);
};
const all = () => true;
const none = () => false;

interface Case {
  readonly name: string;
  readonly relations: Relation[];
  readonly selection: Partial<TableSelection>;
  readonly followed: string[];
  /** `level table`, then what the message says. */
  readonly findings?: [where: string, message: RegExp][];
}

const CASES: Case[] = [
  { name: 'everything', relations: [a, b], selection: {}, followed: ['a', 'b'] },
  { name: 'only what is included', relations: [a, b], selection: { include: names('b') }, followed: ['b'] },
  { name: 'all but what is excluded', relations: [a, b], selection: { exclude: names('b') }, followed: ['a'] },
  { name: 'nothing', relations: [a, b], selection: { include: none }, followed: [] },
  {
    name: 'what is not in the WAL is told of',
    relations: [a, temporary, unlogged],
    selection: {},
    followed: ['a'],
    findings: [
      ['warning temporary', /public.temporary is temporary: PostgreSQL writes no WAL/],
      ['warning unlogged', /is unlogged/],
    ],
  },
  {
    name: 'what is not in the WAL, but excluded',
    relations: [a, unlogged],
    selection: { exclude: names('unlogged') },
    followed: ['a'],
  },
  { name: 'a partitioned table as itself', relations: tree, selection: {}, followed: ['root'] },
  {
    name: 'its leaves without viaPartitionRoot',
    relations: tree,
    selection: { viaPartitionRoot: false },
    followed: ['p1', 'p21'],
  },
  {
    name: 'its leaves though only the root matches',
    relations: tree,
    selection: { viaPartitionRoot: false, include: names('root') },
    followed: ['p1', 'p21'],
  },
  { name: 'one partition alone', relations: tree, selection: { include: names('p1') }, followed: ['p1'] },
  {
    name: 'a subtree, where its root does not match',
    relations: tree,
    selection: { include: names('p2', 'p21') },
    followed: ['p2'],
  },
  { name: 'an excluded root excludes its partitions', relations: tree, selection: { exclude: names('root') }, followed: [] },
  {
    name: 'an excluded partition of a followed root',
    relations: tree,
    selection: { exclude: names('p1') },
    followed: ['root'],
    findings: [['warning p1', /is a partition of public.root, which is followed as a whole/]],
  },
  {
    name: 'an excluded partition without viaPartitionRoot',
    relations: tree,
    selection: { exclude: names('p2'), viaPartitionRoot: false },
    followed: ['p1'],
  },
  {
    name: 'an unlogged partition of a followed root',
    relations: [partition('p3', root, { persistence: 'unlogged' }), root],
    selection: {},
    followed: ['root'],
    findings: [['warning p3', /unlogged/]],
  },
  {
    name: 'a mapped table',
    relations: [a, b],
    selection: { map: [buildMapping('a', { target: 'x' })] },
    followed: ['a -> x', 'b'],
  },
  {
    name: 'a mapped table that does not exist',
    relations: [a],
    selection: { map: [buildMapping('gone')] },
    followed: ['a'],
    findings: [['error gone', /does not exist on the source/]],
  },
  {
    name: 'a table that is mapped twice',
    relations: [a],
    selection: { map: [buildMapping('a', { target: 'x' }), buildMapping('a', { target: 'y' })] },
    followed: ['a -> x'],
    findings: [['error a', /twice/]],
  },
  {
    name: 'a mapped table that is not included',
    relations: [a, b],
    selection: { include: names('a'), map: [buildMapping('b', { target: 'x' })] },
    followed: ['a'],
    findings: [['warning b', /has no effect: tables.include does not match/]],
  },
  {
    name: 'a mapped table that is excluded',
    relations: [a, b],
    selection: { exclude: names('b'), map: [buildMapping('b', { target: 'x' })] },
    followed: ['a'],
    findings: [['warning b', /has no effect: tables.exclude matches/]],
  },
  {
    name: 'a mapped partition of a followed root',
    relations: tree,
    selection: { map: [buildMapping('p1', { target: 'x' })] },
    followed: ['root'],
    findings: [['warning p1', /has no effect: it is followed as part of its partitioned table/]],
  },
  {
    name: 'a mapped root without viaPartitionRoot',
    relations: tree,
    selection: { map: [buildMapping('root', { target: 'x' })], viaPartitionRoot: false },
    followed: ['p1', 'p21'],
    findings: [['warning root', /has no effect: with viaPartitionRoot: false/]],
  },
  {
    name: 'two tables with one target: the mapped one has it',
    relations: [a, b],
    selection: { map: [buildMapping('b', { target: 'a' })] },
    followed: ['b -> a'],
    findings: [['error a', /already filled from public.b/]],
  },
  {
    name: 'two mapped tables with one target: the first has it',
    relations: [a, b],
    selection: { map: [buildMapping('b', { target: 'x' }), buildMapping('a', { target: 'x' })] },
    followed: ['a -> x'],
    findings: [['error b', /already filled from public.a/]],
  },
];

test.each(CASES)('follows $name', ({ relations, selection, followed, findings = [] }) => {
  const resolved = resolveTables(relations, { include: all, exclude: none, map: [], viaPartitionRoot: true, ...selection });
  const shown = resolved.mappings.map(({ source, target }) =>
    source.name === target.name ? source.name : `${source.name} -> ${target.name}`,
  );
  expect(shown).toEqual(followed);
  expect(resolved.findings.map(({ level, table }) => `${level} ${table}`)).toEqual(
    findings.map(([where]) => where.replace(' ', ' public.')),
  );
  for (const [at, [, message]] of findings.entries()) expect(resolved.findings[at]?.message).toMatch(message);
  for (const finding of resolved.findings) expect(finding.remedy).not.toBeNull();
});

test('a table without an entry keeps its name, its columns and all its rows', () => {
  const { mappings } = resolveTables([a], { include: all, exclude: none, map: [], viaPartitionRoot: true });
  expect(mappings).toEqual([buildMapping('a')]);
  expect(mappings.map((mapping) => displayName(mapping.target))).toEqual(['public.a']);
});
