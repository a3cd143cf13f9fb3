import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Change } from '../pgoutput/messages.ts';
import * as wire from '../testing/pgoutput-bytes.ts';
import { Intake } from './intake.ts';

const T = 7;
const TABLE = wire.relation({ oid: T, columns: [{ name: 'id', key: true }] });
const WIDER = wire.relation({ oid: T, columns: [{ name: 'id', key: true }, { name: 'added' }] });

function intake({ maxBytes = 2000, memoryBytes = 2000, maxDisk = 1 << 30 } = {}): Intake {
  return new Intake({
    maxBytes,
    changeOverheadBytes: 0,
    heartbeatPrefix: 'beat',
    spill: { directory: null, maxBytes: maxDisk, memoryBytes },
  });
}

function push(to: Intake, ...messages: Buffer[]): void {
  for (const message of messages) to.push(message, 0, message.length);
}

/** A row by its number, and the number of its columns. */
function rowOf(change: Change): string {
  if (change.kind !== 'insert') return change.kind;
  const { data, start } = change.row;
  return `${data.toString('utf8', start + 5, start + 5 + data.readInt32BE(start + 1)).trim()}/${change.relation.columns.length}`;
}

/** Everything that is committed, in order: the transaction, its end, its rows. */
async function drain(from: Intake): Promise<string[]> {
  const lines: string[] = [];
  let piece: string[] = [];
  for (;;) {
    const streamed = from.batcher.takeStreamed();
    if (streamed) {
      const rows: string[] = [];
      const reader = from.read(streamed);
      for (;;) {
        const next = await reader.next();
        if (!next) throw new Error('no end');
        expect(next.xids).toEqual([streamed.xid]);
        expect(next.changes.length === 0 && !next.end).toBe(false);
        rows.push(...next.changes.map(rowOf));
        if (!next.end) continue;
        expect(next.transactions).toBe(1);
        lines.push(`${streamed.xid} ${next.end.endLsn}: ${rows.join(' ')}${next.heartbeat ? ` ${next.heartbeat}` : ''}`);
        break;
      }
      streamed.close();
      continue;
    }
    const batch = from.batcher.take();
    if (!batch) return lines;
    if (!batch.end) {
      piece.push(...batch.changes.map(rowOf));
      continue;
    }
    const changes = [...piece, ...batch.changes.map(rowOf)];
    piece = [];
    lines.push(`${batch.xids.join('+')} ${batch.end.endLsn}: ${changes.join(' ')}`);
  }
}

const insert = (n: number, size = 0): Buffer => wire.insert(T, [`${n}`.padEnd(size)]);

describe('a transaction in progress', () => {
  test('takes its place in the order of commits', async () => {
    const it = intake();
    push(it, wire.streamStart(1), wire.streamed(1, TABLE), wire.streamed(1, insert(1)), wire.streamStop());
    push(it, wire.begin({ xid: 2 }), TABLE, insert(20), wire.commit({ endLsn: 20n }));
    push(it, wire.streamStart(1, false), wire.streamed(1, insert(2)), wire.streamStop());
    expect(it.batcher.idle).toBe(false);
    expect(await drain(it)).toEqual(['2 20: 20/1']);
    expect(it.batcher.idle).toBe(true);
    push(it, wire.streamCommit({ xid: 1, endLsn: 30n }), wire.begin({ xid: 3 }), insert(40), wire.commit({ endLsn: 40n }));
    expect(it.batcher.idle).toBe(false);
    expect(await drain(it)).toEqual(['1 30: 1/1 2/1', '3 40: 40/1']);
  });

  test('several come in turns; one is undone', async () => {
    const it = intake();
    push(it, wire.streamStart(1), wire.streamed(1, TABLE), wire.streamed(1, insert(1)), wire.streamStop());
    push(it, wire.streamStart(2), wire.streamed(2, TABLE), wire.streamed(2, insert(2)), wire.streamStop());
    push(it, wire.streamStart(3), wire.streamed(3, TABLE), wire.streamed(3, insert(3)), wire.streamStop());
    push(it, wire.streamStart(1, false), wire.streamed(1, insert(11)), wire.streamStop());
    push(it, wire.streamAbort(2), wire.streamCommit({ xid: 3, endLsn: 5n }), wire.streamCommit({ xid: 1, endLsn: 6n }));
    expect(await drain(it)).toEqual(['3 5: 3/1', '1 6: 1/1 11/1']);
    expect(it.space.memoryBytes).toBe(0);
  });

  test('what a subtransaction brought goes with it, and what began inside it', async () => {
    const it = intake();
    push(it, wire.streamStart(1), wire.streamed(1, TABLE), wire.streamed(1, insert(1)), wire.streamed(2, insert(2)));
    push(it, wire.streamed(3, insert(3)), wire.streamed(2, insert(22)), wire.streamStop());
    // As the source tells it: children first, and one that brought nothing.
    push(it, wire.streamAbort(1, 3), wire.streamAbort(1, 99), wire.streamAbort(1, 2));
    push(it, wire.streamStart(1, false), wire.streamed(1, TABLE), wire.streamed(4, insert(4)), wire.streamed(5, insert(5)));
    push(it, wire.streamStop(), wire.streamAbort(1, 5), wire.streamStart(1, false), wire.streamed(1, insert(6)));
    push(it, wire.streamStop(), wire.streamCommit({ xid: 1, endLsn: 9n }));
    expect(await drain(it)).toEqual(['1 9: 1/1 4/1 6/1']);
  });

  test('of subtransactions released into one that is undone, the first takes the later ones with it', async () => {
    const it = intake();
    push(it, wire.streamStart(1), wire.streamed(1, TABLE), wire.streamed(2, insert(2)), wire.streamed(3, insert(3)));
    push(it, wire.streamed(4, insert(4)), wire.streamed(5, insert(5)), wire.streamStop());
    push(it, wire.streamAbort(1, 4), wire.streamAbort(1, 5), wire.streamAbort(1, 3));
    push(it, wire.streamCommit({ xid: 1, endLsn: 9n }));
    expect(await drain(it)).toEqual(['1 9: 2/1']);
  });

  test('what it says of a table counts inside it at once, outside from its commit on, and never when it is undone', async () => {
    const it = intake();
    const wide = wire.insert(T, ['8', 'x']);
    push(it, wire.begin(), TABLE, insert(0), wire.commit({ endLsn: 1n }));
    push(it, wire.streamStart(1), wire.streamed(1, TABLE), wire.streamed(1, insert(1)));
    push(it, wire.streamed(2, WIDER), wire.streamed(2, wide), wire.streamStop());
    push(it, wire.begin(), insert(3), wire.commit({ endLsn: 2n }));
    push(it, wire.streamAbort(1, 2), wire.streamStart(1, false), wire.streamed(1, TABLE), wire.streamed(1, insert(4)));
    push(it, wire.streamStop(), wire.streamCommit({ xid: 1, endLsn: 3n }), wire.begin(), insert(5), wire.commit({ endLsn: 4n }));
    push(it, wire.streamStart(6), wire.streamed(6, TABLE), wire.streamed(6, insert(6)), wire.streamed(6, WIDER));
    push(it, wire.streamed(6, wide), wire.streamStop(), wire.streamCommit({ xid: 6, endLsn: 5n }));
    push(it, wire.begin(), wide, wire.commit({ endLsn: 6n }));
    push(it, wire.streamStart(9), wire.streamed(9, TABLE), wire.streamed(9, insert(9)), wire.streamStop(), wire.streamAbort(9));
    push(it, wire.begin(), wide, wire.commit({ endLsn: 7n }));
    push(it, wire.streamStart(9), wire.streamed(9, TABLE), wire.streamed(9, insert(9)), wire.streamed(10, WIDER));
    push(it, wire.streamStop(), wire.streamAbort(9, 10), wire.streamCommit({ xid: 9, endLsn: 8n }));
    push(it, wire.begin(), insert(10), wire.commit({ endLsn: 9n }));
    expect(await drain(it)).toEqual([
      '1+1 2: 0/1 3/1',
      '1 3: 1/1 4/1',
      '1 4: 5/1',
      '6 5: 6/1 8/2',
      '1+1 7: 8/2 8/2',
      '9 8: 9/1',
      '1 9: 10/1',
    ]);
  });

  test('brings heartbeats with its last piece', async () => {
    const it = intake({ maxBytes: 10 });
    push(it, wire.streamStart(1), wire.streamed(1, TABLE), wire.streamed(1, wire.logicalMessage('beat', 'a')));
    push(it, wire.streamed(1, wire.logicalMessage('other', 'b')), wire.streamed(1, insert(1)), wire.streamStop());
    push(it, wire.streamCommit({ xid: 1, endLsn: 9n }));
    expect(await drain(it)).toEqual(['1 9: 1/1 a']);
  });

  test('may bring nothing', async () => {
    const it = intake();
    push(it, wire.streamStart(1), wire.streamStop(), wire.streamCommit({ xid: 1, endLsn: 9n }));
    expect(await drain(it)).toEqual(['1 9: ']);
  });

  test('may hold rows larger than what is read in one go, in memory and on disk', async () => {
    for (const memoryBytes of [2000, 1 << 24]) {
      const it = intake({ memoryBytes });
      push(it, wire.streamStart(1), wire.streamed(1, TABLE), wire.streamed(1, insert(1, 900_000)), wire.streamed(1, insert(2)));
      push(
        it,
        wire.streamed(1, insert(3, 1_000_000)),
        wire.streamed(1, insert(4, 400_000)),
        wire.streamed(1, insert(5, 700_000)),
      );
      push(it, wire.streamStop(), wire.streamCommit({ xid: 1, endLsn: 9n }));
      expect(await drain(it)).toEqual(['1 9: 1/1 2/1 3/1 4/1 5/1']);
    }
  });

  test('is read as far as it has come while it is in progress', async () => {
    const it = intake({ maxBytes: 100 });
    push(it, wire.streamStart(1), wire.streamed(1, TABLE), wire.streamed(1, insert(1, 80)), wire.streamed(1, insert(2, 80)));
    const [transaction] = it.open;
    if (!transaction) throw new Error('none');
    const reader = it.read(transaction);
    expect((await reader.next())?.changes.map(rowOf)).toEqual(['1/1', '2/1']);
    push(it, wire.streamed(1, insert(3, 80)));
    expect(await reader.next()).toBeNull();
    const limit = transaction.log.end;
    push(it, wire.streamed(1, insert(4, 80)), wire.streamStop());
    expect(await reader.next(limit)).toBeNull();
    expect((await reader.next())?.changes.map(rowOf)).toEqual(['3/1', '4/1']);
    push(it, wire.streamCommit({ xid: 1, endLsn: 9n }));
    expect(await reader.next()).toMatchObject({ changes: [], end: { endLsn: 9n } });
  });

  test('tells whoever has read too far', async () => {
    const it = intake({ maxBytes: 100 });
    push(it, wire.streamStart(1), wire.streamed(1, TABLE), wire.streamed(1, insert(1, 120)));
    const [transaction] = it.open;
    if (!transaction) throw new Error('none');
    const reader = it.read(transaction);
    await reader.next();
    push(it, wire.streamed(2, insert(2, 120)), wire.streamStop(), wire.streamAbort(1, 2));
    expect(reader.valid).toBe(true);
    push(it, wire.streamStart(1, false), wire.streamed(3, insert(3, 120)), wire.streamStop());
    await reader.next();
    expect(reader.valid).toBe(true);
    push(it, wire.streamAbort(1, 3));
    expect(reader.valid).toBe(false);
    const again = it.read(transaction);
    expect((await again.next())?.changes.map(rowOf)).toEqual(['1/1']);
    expect(again.valid).toBe(true);
    push(it, wire.streamAbort(1));
    expect(again.valid).toBe(false);
  });

  test.each([
    ['a commit of what never began', [wire.streamCommit({ xid: 1 })]],
    ['a commit inside a transaction', [wire.streamStart(1), wire.streamStop(), wire.begin(), wire.streamCommit({ xid: 1 })]],
  ])('%s is refused', (_, messages) => {
    expect(() => push(intake(), ...messages)).toThrow(expect.objectContaining({ code: 'STREAM_INVALID' }));
  });
});

type Op = { readonly kind: 'row'; readonly size: number } | { readonly kind: 'savepoint' | 'rollback' | 'release' | 'describe' };

const op = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('row' as const), size: fc.nat(200) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('savepoint', 'rollback', 'release', 'describe') }) },
) as fc.Arbitrary<Op>;
const transaction = fc.record({
  streamed: fc.boolean(),
  ops: fc.array(op, { maxLength: 25 }),
  ends: fc.constantFrom(true, true, false),
});

/** One transaction of the source: what it sends while it goes on, and what is left of it in the end. */
class Teller {
  readonly #xid: number;
  readonly #streamed: boolean;
  /** Rows that count so far, and the savepoints above each other, with the rows before them. */
  #rows: string[] = [];
  readonly #savepoints: { xids: number[]; rows: string[] }[] = [];
  #started = false;
  #wide = false;
  #nextXid: number;

  constructor(xid: number, streamed: boolean) {
    this.#xid = xid;
    this.#streamed = streamed;
    this.#nextXid = xid + 1;
  }

  tell(op: Op, n: number): Buffer[] {
    switch (op.kind) {
      case 'row': {
        const cells = this.#wide ? [`${n}`.padEnd(op.size), 'x'] : [`${n}`.padEnd(op.size)];
        this.#rows.push(`${n}/${cells.length}`);
        return this.#stretch([this.#wide ? WIDER : TABLE, wire.insert(T, cells)]);
      }
      case 'describe':
        this.#wide = !this.#wide;
        return [];
      case 'savepoint':
        this.#savepoints.push({ xids: [this.#nextXid++], rows: [...this.#rows] });
        return [];
      case 'release': {
        const released = this.#savepoints.pop();
        if (released) this.#savepoints.at(-1)?.xids.unshift(...released.xids);
        return [];
      }
      case 'rollback': {
        const undone = this.#savepoints.pop();
        if (!undone) return [];
        this.#rows = undone.rows;
        // What was released inside it by number, the savepoint itself last. Without stretches nothing of it is sent at all.
        const inner = undone.xids.slice(0, -1).toSorted((a, b) => a - b);
        const xids = [...inner, ...undone.xids.slice(-1)];
        return this.#streamed ? xids.map((xid) => wire.streamAbort(this.#xid, xid)) : [];
      }
    }
  }

  end(committed: boolean, endLsn: bigint): Buffer[] {
    if (!this.#streamed) return [];
    if (!committed) return this.#started ? [wire.streamAbort(this.#xid)] : [];
    const begun = this.#started ? [] : [wire.streamStart(this.#xid), wire.streamStop()];
    return [...begun, wire.streamCommit({ xid: this.#xid, endLsn })];
  }

  get rows(): readonly string[] {
    return this.#rows;
  }

  #stretch(messages: Buffer[]): Buffer[] {
    if (!this.#streamed) return [];
    const subxid = this.#savepoints.at(-1)?.xids.at(-1) ?? this.#xid;
    const start = wire.streamStart(this.#xid, !this.#started);
    this.#started = true;
    return [start, ...messages.map((message) => wire.streamed(subxid, message)), wire.streamStop()];
  }
}

test('any transactions in turns, with savepoints and ends of any kind: what was committed comes, in order, and nothing else', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(transaction, { minLength: 1, maxLength: 5 }),
      fc.infiniteStream(fc.nat()),
      fc.constantFrom(0, 300, 1 << 16),
      async (transactions, choice, memoryBytes) => {
        const it = intake({ maxBytes: 500, memoryBytes });
        const expected: string[] = [];
        const going = transactions.map((each, i) => ({
          ...each,
          xid: 1000 * (i + 1),
          at: 0,
          teller: new Teller(1000 * (i + 1), each.streamed),
        }));
        let n = 0;
        let lsn = 10n;
        while (going.length > 0) {
          const next = going[(choice.next().value ?? 0) % going.length]!;
          const what = next.ops[next.at++];
          if (what) {
            push(it, ...next.teller.tell(what, n++));
            continue;
          }
          going.splice(going.indexOf(next), 1);
          push(it, ...next.teller.end(next.ends, ++lsn));
          if (!next.ends) continue;
          if (!next.streamed) {
            const rows = next.teller.rows.flatMap((row) => {
              const [id = '', columns] = row.split('/');
              return columns === '2' ? [WIDER, wire.insert(T, [id, 'x'])] : [TABLE, wire.insert(T, [id])];
            });
            push(it, wire.begin({ xid: next.xid }), ...rows, wire.commit({ endLsn: lsn }));
          }
          expected.push(`${next.xid} ${lsn}: ${next.teller.rows.join(' ')}`);
          // One at a time, so that batches are transactions.
          if (!next.streamed || (choice.next().value ?? 0) % 2 === 0) expect(await drain(it)).toEqual(expected.splice(0));
        }
        expect(await drain(it)).toEqual(expected);
        expect(it.space.diskBytes).toBe(0);
      },
    ),
    { numRuns: 500 },
  );
});
