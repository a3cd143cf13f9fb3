import { expect, test } from 'vitest';
import type { TableMapping } from '../catalog/relation.ts';
import { freeName } from './free-name.ts';
import type { IndexRow, MemberRow } from './part-queries.ts';
import { planParts } from './parts.ts';
import { inOrder, type Piece } from './piece.ts';
import { renameColumnsSql } from './table-sql.ts';

const MAPPING: TableMapping = {
  source: { schema: 's', name: 'whole' },
  target: { schema: 't', name: 'whole' },
  excludeColumns: ['gone'],
  renameColumns: { a: 'b' },
  where: null,
};

function member(oid: number, name: string): MemberRow {
  return { oid, schema: 's', name, replica_identity: 'd', is_partition: oid > 1 };
}

function index(oid: number, relation: number, more: Partial<IndexRow> = {}): IndexRow {
  return {
    relation,
    oid,
    schema: 's',
    name: `i${oid}`,
    partitioned: false,
    primary: false,
    identity: false,
    clustered: false,
    unique: false,
    method: 'USING btree (id)',
    parent: null,
    constraint_kind: null,
    constraint_def: null,
    deferrable: false,
    deferred: false,
    period: false,
    columns: ['id'],
    statistics: [],
    comment: null,
    constraint_comment: null,
    ...more,
  };
}

const plan = (indexes: readonly IndexRow[]) =>
  planParts(
    { mapping: MAPPING, members: [member(1, 'whole'), member(2, 'p1'), member(3, 'p2')], indexes, checks: [], statistics: [] },
    (wanted) => wanted,
  );

test('the index of a partitioned table is put together, one partition after the other', () => {
  const { steps } = plan([index(10, 1, { partitioned: true }), index(11, 2, { parent: 10 }), index(12, 3, { parent: 10 })]);
  expect(steps.map(({ part, after }) => [part, after])).toEqual([
    ['index s.i10', []],
    ['index s.i11', []],
    ['index s.i12', []],
    ['attach s.i11', ['index s.i10', 'index s.i11']],
    ['attach s.i12', ['index s.i10', 'index s.i12', 'attach s.i11']],
  ]);
  expect(steps[0]?.sql).toEqual(['CREATE INDEX "i10" ON ONLY "t"."whole" USING btree (id)']);
  expect(steps[4]?.sql).toEqual(['ALTER INDEX "t"."i10" ATTACH PARTITION "t"."i12"']);
});

test('a key becomes a constraint once no index of its table is being built any more', () => {
  const { steps } = plan([index(10, 1, { constraint_kind: 'p', primary: true, unique: true }), index(11, 1)]);
  expect(steps.map(({ part, after, isKey }) => [part, after, isKey])).toEqual([
    ['index s.i10', [], true],
    ['constraint s.whole.i10', ['index s.i10', 'index s.i11'], true],
    ['index s.i11', [], false],
  ]);
});

test('what uses a column that is not carried is impossible, what uses a renamed one speaks of it by its old name', () => {
  const { steps, impossible } = plan([index(10, 1, { columns: ['a', 'gone'] }), index(11, 1, { columns: ['a'] })]);
  expect(impossible).toEqual([{ part: 'index s.i10', reason: 'it uses gone, which is not carried' }]);
  expect(steps.map(({ sql }) => sql)).toEqual([
    [
      'ALTER TABLE "t"."whole" RENAME COLUMN "b" TO "a"',
      'CREATE INDEX "i11" ON "t"."whole" USING btree (id)',
      'ALTER TABLE "t"."whole" RENAME COLUMN "a" TO "b"',
    ],
  ]);
});

test('columns that change names with each other are renamed by way of a third name', () => {
  const pairs = [
    { from: 'a', to: 'b' },
    { from: 'b', to: 'a' },
  ];
  const names = renameColumnsSql({ schema: 's', name: 't' }, pairs).map((sql) =>
    sql.replace('ALTER TABLE "s"."t" RENAME COLUMN ', ''),
  );
  expect(names).toEqual(['"a" TO "pgfollow_0"', '"b" TO "pgfollow_1"', '"pgfollow_0" TO "b"', '"pgfollow_1" TO "a"']);
});

test('a name that is taken gets an ending that is the same each time and fits', () => {
  const owner = { schema: 's', name: 'orders_eu' };
  const wanted = { schema: 's', name: 'é'.repeat(31) };
  const free = freeName(wanted, owner, () => true);
  expect(freeName(wanted, owner, () => false)).toEqual(wanted);
  expect(freeName(wanted, owner, () => true)).toEqual(free);
  expect(freeName(wanted, { ...owner, name: 'orders_us' }, () => true)).not.toEqual(free);
  expect(Buffer.byteLength(free.name)).toBeLessThanOrEqual(63);
  expect(free.name).toMatch(/^é+_[0-9a-f]{8}$/);
});

test('pieces come behind what they need, a circle included', () => {
  const piece = (id: string, ...needs: string[]): Piece => ({
    id,
    label: id,
    needs,
    address: { type: '', names: [], args: [] },
    sql: [],
    table: null,
  });
  const order = (...pieces: Piece[]): string =>
    inOrder(pieces)
      .map(({ id }) => id)
      .join(' ');
  expect(order(piece('table', 'type', 'function'), piece('function', 'type'), piece('type', 'schema'), piece('schema'))).toBe(
    'schema type function table',
  );
  expect(order(piece('a', 'b'), piece('b', 'a', 'elsewhere'))).toBe('b a');
});
