import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Decoder } from '../pgoutput/decoder.ts';
import { COLUMN, type Tuple } from '../pgoutput/messages.ts';
import { buildIndex, buildMapping, buildRelation } from '../testing/build-relation.ts';
import { insert, relation, remove, update, UNCHANGED, type Cell } from '../testing/pgoutput-bytes.ts';
import { coalesce, type NetChanges, type RowVersions } from './coalesce.ts';
import type { RowChange } from './plan.ts';
import { mapRows, type RowMap } from './row-map.ts';
import { locateColumns, newOffsets } from './tuple.ts';

const COLUMNS = ['id', 'value', 'note'];

// A source table in miniature: it makes the messages that PostgreSQL would send, and knows what comes out in the end.
class Source {
  readonly rows = new Map<number, { id: string; value: string | null; note: string }[]>();
  readonly messages: Buffer[] = [];
  readonly #full: boolean;
  readonly #keyed: boolean;

  constructor(options: { full: boolean; keyed: boolean }) {
    this.#full = options.full;
    this.#keyed = options.keyed;
  }

  insert(id: number, value: string | null, note: string): void {
    if (this.#keyed && this.#at(id).length > 0) return;
    const row = { id: String(id), value, note };
    this.#at(id).push(row);
    this.messages.push(insert(1, [row.id, row.value, row.note]));
  }

  /** note: null leaves the TOASTed column as it is. */
  update(id: number, to: number, value: string | null, note: string | null): void {
    const row = this.#at(id).at(-1);
    if (!row || (this.#keyed && to !== id && this.#at(to).length > 0)) return;
    const before: Cell[] = [row.id, row.value, row.note];
    this.#at(id).pop();
    const after = { id: String(to), value, note: note ?? row.note };
    this.#at(to).push(after);
    const sent: Cell[] = [after.id, after.value, note === null ? UNCHANGED : after.note];
    if (this.#full) this.messages.push(update(1, sent, { full: before }));
    else if (to === id) this.messages.push(update(1, sent));
    else this.messages.push(update(1, sent, { key: [row.id, null, null] }));
  }

  remove(id: number): void {
    const row = this.#at(id).pop();
    if (!row) return;
    this.messages.push(remove(1, this.#full ? { full: [row.id, row.value, row.note] } : { key: [row.id, null, null] }));
  }

  #at(id: number): { id: string; value: string | null; note: string }[] {
    let rows = this.rows.get(id);
    if (!rows) this.rows.set(id, (rows = []));
    return rows;
  }

  /** All rows as text, sorted. */
  image(): string[] {
    return [...this.rows.values()]
      .flat()
      .map((row) => JSON.stringify([row.id, row.value, row.note]))
      .sort();
  }
}

function value(tuple: Tuple, index: number): string | null | typeof UNCHANGED {
  const offsets = newOffsets();
  locateColumns(tuple, offsets);
  const at = offsets[index] ?? 0;
  if (tuple.data[at] === COLUMN.null) return null;
  if (tuple.data[at] === COLUMN.unchangedToast) return UNCHANGED;
  return tuple.data.toString('utf8', at + 5, at + 5 + tuple.data.readInt32BE(at + 1));
}

function merged({ row, older = [] }: RowVersions, index: number): string | null | typeof UNCHANGED {
  for (const tuple of [row, ...older]) if (value(tuple, index) !== UNCHANGED) return value(tuple, index);
  return UNCHANGED;
}

// What the target's statements do, on rows in memory: deletes, updates, inserts; each must find what it expects.
function applyNet(rows: string[], net: NetChanges): string[] {
  const left = rows.map((row) => JSON.parse(row) as (string | null)[]);
  const take = (match: (row: (string | null)[]) => boolean): (string | null)[] => {
    const at = left.findIndex(match);
    if (at === -1) throw new Error('a row that should be there is not');
    return left.splice(at, 1)[0] ?? [];
  };
  for (const { image, count } of net.images) {
    for (let i = 0; i < count; i++) take((row) => COLUMNS.every((_, column) => row[column] === value(image, column)));
  }
  for (const key of net.deletes) take((row) => row[0] === value(key, 0));
  for (const change of net.updates) {
    const row = take((each) => each[0] === value(change.key, 0));
    left.push(row.map((known, column) => orKnown(merged(change, column), known)));
  }
  for (const change of net.inserts) {
    const row = COLUMNS.map((_, column) => orKnown(merged(change, column), 'a value that was never sent'));
    if (net.images.length === 0 && net.deletes.length + net.updates.length > 0 && left.some((each) => each[0] === row[0])) {
      throw new Error('a key twice');
    }
    left.push(row);
  }
  return left.map((row) => JSON.stringify(row)).sort();
}

function orKnown(sent: string | null | typeof UNCHANGED, known: string | null | undefined): string | null {
  return sent === UNCHANGED ? (known ?? null) : sent;
}

function changesOf(
  messages: readonly Buffer[],
  options: { full: boolean; keyed: boolean },
): { map: RowMap; changes: RowChange[] } {
  const decoder = new Decoder();
  decoder.decode(
    relation({
      oid: 1,
      identity: options.full ? 'f' : 'd',
      columns: COLUMNS.map((name, i) => ({ name, key: options.full || i === 0 })),
    }),
  );
  const changes = messages.map((bytes) => decoder.decode(bytes)).filter((message): message is RowChange => 'relation' in message);
  const target = buildRelation('t', {
    columns: COLUMNS,
    uniqueIndexes: options.keyed ? [buildIndex('pk', ['id'], { primary: true })] : [],
  });
  const described = changes[0]?.relation;
  if (!described) throw new Error('no changes');
  return { map: mapRows(described, buildMapping('t'), target, { binary: false }), changes };
}

const step = fc.oneof(
  fc.record({
    op: fc.constant('insert' as const),
    id: fc.nat(5),
    value: fc.option(fc.constantFrom('1', '2')),
    note: fc.constantFrom('a', 'b'),
  }),
  fc.record({
    op: fc.constant('update' as const),
    id: fc.nat(5),
    to: fc.nat(5),
    moves: fc.boolean(),
    value: fc.option(fc.constantFrom('1', '2')),
    note: fc.option(fc.constantFrom('a', 'b')),
  }),
  fc.record({ op: fc.constant('delete' as const), id: fc.nat(5) }),
);

for (const shape of [
  { name: 'a key', full: false, keyed: true },
  { name: 'FULL, with a key on the target', full: true, keyed: true },
  { name: 'FULL, without any key', full: true, keyed: false },
]) {
  test(`the net effect is what came out on the source: ${shape.name}`, async () => {
    let folded = 0;
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 12 }),
        fc.array(step, { minLength: 1, maxLength: 40 }),
        async (before, history) => {
          const source = new Source(shape);
          const play = (steps: typeof history): void => {
            for (const each of steps) {
              if (each.op === 'insert') source.insert(each.id, each.value, each.note);
              else if (each.op === 'update') source.update(each.id, each.moves ? each.to : each.id, each.value, each.note);
              else source.remove(each.id);
            }
          };
          play(before);
          const there = source.image();
          source.messages.length = 0;
          play(history);
          if (source.messages.length === 0) return;
          const { map, changes } = changesOf(source.messages, shape);
          const net = await coalesce(map, changes);
          if (!net) {
            refused++;
            return;
          }
          folded++;
          expect(applyNet(there, net)).toEqual(source.image());
        },
      ),
      { numRuns: 3000 },
    );
    // Only a key that moves away from TOAST that was never sent cannot be folded.
    expect(folded).toBeGreaterThan(1500);
    if (shape.full) expect(refused).toBe(0);
  });
}

test('an update of one key carries only what the last of them changed, and what the others had sent', async () => {
  const { map, changes } = changesOf([update(1, ['1', 'x', 'long']), update(1, ['1', 'y', UNCHANGED])], {
    full: false,
    keyed: true,
  });
  const net = await coalesce(map, changes);
  expect(net).toMatchObject({ deletes: [], inserts: [] });
  expect(net?.updates.map((each) => COLUMNS.map((_, column) => merged(each, column)))).toEqual([['1', 'y', 'long']]);
});

test('a key that moves without its TOAST is left to the replay', async () => {
  const { map, changes } = changesOf([update(1, ['2', 'x', UNCHANGED], { key: ['1', null, null] })], {
    full: false,
    keyed: true,
  });
  expect(await coalesce(map, changes)).toBeNull();
});
