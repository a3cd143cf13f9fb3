import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { RelationName } from '../catalog/relation.ts';
import { Decoder } from '../pgoutput/decoder.ts';
import type { Change, StreamRelation } from '../pgoutput/messages.ts';
import { insert, relation, remove, truncate, type, UNCHANGED, update, type Cell } from '../testing/pgoutput-bytes.ts';
import { parseSnapshot } from './pg-snapshot.ts';
import { SpoolDecoder, spoolRows } from './spooled-changes.ts';

const COLUMNS = [
  { name: 'id', key: true, type: 23 },
  { name: 'größe', typmod: 68, type: 70_000 },
];
const DESCRIPTIONS = [
  type(70_000, '', 'text'),
  relation({ oid: 4_000_000_001, name: 'a', columns: COLUMNS }),
  relation({ oid: 2, schema: 's.x', name: 'b', identity: 'f', columns: COLUMNS }),
];

function decoder(): Decoder {
  const it = new Decoder();
  for (const description of DESCRIPTIONS) it.decode(description);
  return it;
}

/** What can be told of a change, wherever its bytes lie. */
function told(change: Change): unknown {
  if (change.kind === 'truncate') return { ...change, relations: change.relations.map(({ oid }) => oid) };
  const tuple = (of: { data: Buffer; start: number; end: number; partial: boolean }) => [
    of.data.toString('hex', of.start, of.end),
    of.partial,
  ];
  return {
    kind: change.kind,
    relation: change.relation,
    row: change.kind === 'delete' ? null : tuple(change.row),
    old: change.kind === 'insert' || !change.old ? null : [change.old.kind, tuple(change.old.tuple)],
  };
}

const cell: fc.Arbitrary<Cell> = fc.oneof(
  fc.constant(null),
  fc.constant(UNCHANGED),
  fc.string(),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
);
const row = fc.tuple(cell, cell);
const oid = fc.constantFrom(4_000_000_001, 2);
const message = fc.oneof(
  fc.tuple(oid, row).map(([of, cells]) => insert(of, cells)),
  fc.tuple(oid, row).map(([of, cells]) => update(of, cells)),
  fc.tuple(oid, row, row, fc.boolean()).map(([of, cells, old, full]) => update(of, cells, full ? { full: old } : { key: old })),
  fc.tuple(oid, row, fc.boolean()).map(([of, old, full]) => remove(of, full ? { full: old } : { key: old })),
  fc.tuple(oid, fc.boolean()).map(([of, restartIdentity]) => truncate([of], { restartIdentity })),
);

const nameOf = (of: StreamRelation): RelationName => ({ schema: 'p', name: of.name });

test('what is kept comes back as it was received, by table and in order', () => {
  fc.assert(
    fc.property(fc.array(fc.array(message, { maxLength: 6 }), { maxLength: 8 }), (transactions) => {
      const original = decoder();
      const changes: Change[] = [];
      const starts: number[] = [];
      for (const messages of transactions) {
        starts.push(changes.length);
        for (const bytes of messages) changes.push(original.decode(bytes) as Change);
      }
      const xids = transactions.map((_, i) => i + 100);
      const rows = spoolRows({ changes, xids, starts }, nameOf);
      for (const table of ['a', 'b']) {
        const back = new SpoolDecoder();
        const read = rows
          .filter((each) => each.source.name === table)
          .flatMap((each) => back.changes(Buffer.concat(each.parts), null));
        const wanted = changes.filter(
          (each) => (each.kind === 'truncate' ? each.relations[0]?.name : each.relation.name) === table,
        );
        expect(read.map(told)).toEqual(wanted.map(told));
      }
    }),
  );
});

test('transactions that the copy has seen are left out', () => {
  const original = decoder();
  const changes = ['one', 'two', 'three', 'four'].map((text) => original.decode(insert(2, ['1', text])) as Change);
  // The second transaction spans a piece boundary of its own: it has two changes.
  const [kept] = spoolRows({ changes, xids: [10, 11, 12], starts: [0, 1, 3] }, nameOf);
  const read = (snapshot: string) =>
    new SpoolDecoder()
      .changes(Buffer.concat(kept?.parts ?? []), parseSnapshot(snapshot))
      .map((each) => changes.map(told).findIndex((known) => JSON.stringify(known) === JSON.stringify(told(each))));
  expect(read('11:12:11')).toEqual([1, 2, 3]);
  expect(read('10:13:10')).toEqual([0]);
  expect(read('13:13:')).toEqual([]);
  expect(read('9:9:')).toEqual([0, 1, 2, 3]);
});

test('a TRUNCATE of several tables is kept for each of those that keep', () => {
  const original = decoder();
  const changes = [original.decode(truncate([4_000_000_001, 2])) as Change];
  const rows = spoolRows({ changes, xids: [1], starts: [0] }, (of) => (of.name === 'b' ? nameOf(of) : null));
  expect(rows.map(({ source }) => source.name)).toEqual(['b']);
  expect(new SpoolDecoder().changes(Buffer.concat(rows[0]?.parts ?? []), null).map(told)).toEqual([
    { kind: 'truncate', relations: [2], restartIdentity: false },
  ]);
});

test('a row that has grown large is closed', () => {
  const original = decoder();
  const changes = Array.from({ length: 30 }, () => original.decode(insert(2, ['1', 'x'.repeat(20_000)])) as Change);
  const rows = spoolRows({ changes, xids: [1], starts: [0] }, nameOf);
  expect(rows.length).toBe(3);
  const back = new SpoolDecoder();
  expect(rows.flatMap(({ parts }) => back.changes(Buffer.concat(parts), null)).map(told)).toEqual(changes.map(told));
});
