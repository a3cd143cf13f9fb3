import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ZERO_LSN, type Lsn } from '../postgres/lsn.ts';
import type { Change, StreamRelation, WholeMessage } from '../pgoutput/messages.ts';
import { Batcher, type Batch } from './batcher.ts';

const MAX = 1 << 16;
const RELATION: StreamRelation = { oid: 1, schema: 's', name: 't', replicaIdentity: 'full', columns: [] };
const data = Buffer.alloc(0);
const view = new DataView(data.buffer, data.byteOffset, data.length);

/** A change that says where it comes from: transaction and place in it, in its otherwise meaningless row. */
function change(transaction: number, place: number): Change {
  return { kind: 'insert', relation: RELATION, row: { data, view, start: transaction, end: place, columns: 0, partial: false } };
}

function begin(): WholeMessage {
  return { kind: 'begin', finalLsn: ZERO_LSN, committedAtMs: 0, xid: 1 };
}

function commit(transaction: number): WholeMessage {
  return { kind: 'commit', commitLsn: ZERO_LSN, endLsn: BigInt(transaction) as Lsn, committedAtMs: transaction };
}

function heartbeat(content: string, more: Partial<WholeMessage & { kind: 'message' }> = {}): WholeMessage {
  return { kind: 'message', transactional: true, prefix: 'beat', content, ...more };
}

function batcher(maxBytes = MAX): Batcher {
  return new Batcher({ maxBytes, heartbeatPrefix: 'beat' });
}

function push(to: Batcher, transaction: number, sizes: readonly number[], beats: readonly string[] = []): void {
  to.push(begin(), 21);
  sizes.forEach((bytes, place) => to.push(change(transaction, place), bytes));
  for (const beat of beats) to.push(heartbeat(beat), 40);
  to.push(commit(transaction), 26);
}

function origins(batch: Batch): { transaction: number; place: number }[] {
  return batch.changes.map((each) => {
    if (each.kind !== 'insert') throw new Error('not pushed by these tests');
    return { transaction: each.row.start, place: each.row.end };
  });
}

describe('whatever is pushed and whenever it is taken', () => {
  const size = fc.oneof(
    { weight: 5, arbitrary: fc.integer({ min: 20, max: 500 }) },
    { weight: 2, arbitrary: fc.integer({ min: 1, max: 50_000 }) },
    { weight: 1, arbitrary: fc.integer({ min: MAX - 1, max: 3 * MAX }) },
  );
  const transaction = fc.record({ sizes: fc.array(size, { maxLength: 12 }), beats: fc.nat(2) });
  const taking = fc.array(fc.boolean(), { minLength: 1, maxLength: 40 });

  test('it comes out once, in order, cut at commits or at the bound', () => {
    fc.assert(
      fc.property(
        fc.array(transaction, { maxLength: 40 }),
        taking,
        fc.constantFrom(MAX, 2 * MAX, 1 << 24),
        (transactions, takes, maxBytes) => {
          const it = batcher(maxBytes);
          const sizes = transactions.map((each) => each.sizes);
          const batches: Batch[] = [];
          let queued = 0;
          let step = 0;
          const take = (): void => {
            const batch = it.take();
            if (!batch) return;
            batches.push(batch);
            queued -= batch.bytes;
            expect(it.queuedBytes).toBe(queued);
          };
          const send = (message: WholeMessage, bytes: number): void => {
            it.push(message, bytes);
            if (message.kind === 'insert') queued += bytes;
            expect(it.queuedBytes).toBe(queued);
            if (takes[step++ % takes.length]) take();
          };
          transactions.forEach((each, n) => {
            send(begin(), 21);
            expect(it.idle).toBe(false);
            each.sizes.forEach((bytes, place) => send(change(n, place), bytes));
            for (let beat = 0; beat < each.beats; beat++) send(heartbeat(`${n}.${beat}`), 40);
            send(commit(n), 26);
          });
          while (!it.idle) take();
          expect(it.take()).toBeNull();
          expect(it.queuedBytes).toBe(0);

          // Once and in order.
          expect(batches.flatMap(origins)).toEqual(sizes.flatMap((of, n) => of.map((_, place) => ({ transaction: n, place }))));
          expect(batches.reduce((sum, batch) => sum + batch.transactions, 0)).toBe(transactions.length);

          let ended = -1;
          for (const batch of batches) {
            const rows = origins(batch);
            expect(batch.bytes).toBe(rows.reduce((sum, { transaction: n, place }) => sum + (sizes[n]?.[place] ?? 0), 0));
            const touched = [...new Set(rows.map(({ transaction: n }) => n))];
            if (batch.end === null) {
              // A piece: one transaction, the next to end, and no less than the bound.
              expect(touched).toEqual([ended + 1]);
              expect(batch.bytes).toBeGreaterThanOrEqual(maxBytes);
              expect(batch).toMatchObject({ transactions: 0, heartbeat: null });
            } else {
              // Whole transactions, the first perhaps begun by pieces before, and the end is that of the last.
              const last = Number(batch.end.endLsn);
              expect(batch.transactions).toBe(last - ended);
              expect(batch.end.committedAtMs).toBe(last);
              expect(touched.every((n) => n > ended && n <= last)).toBe(true);
              expect(batch.bytes).toBeLessThanOrEqual(Math.max(maxBytes, MAX));
              const beating = transactions.slice(0, last + 1).findLastIndex(({ beats }, n) => n > ended && beats > 0);
              expect(batch.heartbeat).toBe(beating < 0 ? null : `${beating}.${(transactions[beating]?.beats ?? 0) - 1}`);
              ended = last;
            }
          }
          expect(ended).toBe(transactions.length - 1);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('take()', () => {
  test('gives a lone transaction at once, and nothing of one that is under way', () => {
    const it = batcher();
    expect([it.take(), it.idle]).toEqual([null, true]);
    it.push(begin(), 21);
    it.push(change(1, 0), 10);
    expect([it.take(), it.idle, it.queuedBytes]).toEqual([null, false, 10]);
    it.push(commit(1), 26);
    expect(it.take()).toMatchObject({ bytes: 10, transactions: 1, end: { endLsn: 1n }, heartbeat: null });
    expect([it.take(), it.idle]).toEqual([null, true]);
  });

  test('gives all that gathered, cut at the commit before the bound', () => {
    const it = batcher();
    for (const n of [1, 2, 3]) push(it, n, [MAX / 2]);
    expect(it.take()).toMatchObject({ transactions: 2, end: { endLsn: 2n } });
    expect(it.take()).toMatchObject({ transactions: 1, end: { endLsn: 3n } });
  });

  test('gives whole transactions before the first piece of a large one, then pieces alone, then the rest with what follows', () => {
    const it = batcher();
    push(it, 1, [10]);
    push(it, 2, [MAX, MAX + 1, 5]);
    push(it, 3, [10]);
    const taken = [it.take(), it.take(), it.take(), it.take(), it.take()];
    expect(
      taken.map(
        (batch) =>
          batch && [
            origins(batch)
              .map(({ transaction, place }) => `${transaction}.${place}`)
              .join(' '),
            batch.end?.endLsn ?? 'piece',
            batch.transactions,
          ],
      ),
    ).toEqual([['1.0', 1n, 1], ['2.0', 'piece', 0], ['2.1', 'piece', 0], ['2.2 3.0', 3n, 2], null]);
  });

  test('ends a large transaction whose last piece was full with an empty batch', () => {
    const it = batcher();
    push(it, 1, [MAX], ['b']);
    expect(it.take()).toMatchObject({ end: null, transactions: 0, heartbeat: null });
    expect(it.take()).toMatchObject({ changes: [], bytes: 0, end: { endLsn: 1n }, transactions: 1, heartbeat: 'b' });
  });

  test('moves on over empty transactions', () => {
    const it = batcher();
    push(it, 1, []);
    push(it, 2, [], ['a', 'b']);
    expect(it.take()).toMatchObject({ changes: [], transactions: 2, end: { endLsn: 2n }, heartbeat: 'b' });
  });
});

test('only our own transactional messages are heartbeats', () => {
  const it = batcher();
  it.push(heartbeat('outside', { transactional: false }), 1);
  it.push(begin(), 21);
  it.push(heartbeat('of another', { prefix: 'beats' }), 1);
  it.push(heartbeat('at once', { transactional: false }), 1);
  it.push(heartbeat('ours'), 1);
  it.push({ kind: 'origin', name: 'o' }, 1);
  it.push({ kind: 'description' }, 1);
  it.push(commit(1), 26);
  expect(it.take()?.heartbeat).toBe('ours');
});

test.each([
  ['a begin inside a transaction', [begin(), begin()]],
  ['a commit without a begin', [commit(1)]],
  ['a row outside a transaction', [change(1, 0)]],
  ['a row after the commit', [begin(), commit(1), change(1, 0)]],
])('%s is refused', (_, messages) => {
  const it = batcher();
  expect(() => messages.forEach((message) => it.push(message, 1))).toThrow(expect.objectContaining({ code: 'STREAM_INVALID' }));
});

describe('available()', () => {
  async function settled(promise: Promise<void>): Promise<boolean> {
    return Promise.race([promise.then(() => true), new Promise<boolean>((resolve) => setImmediate(() => resolve(false)))]);
  }

  test('waits for a commit, a full piece, wake() or the signal', async () => {
    const never = new AbortController().signal;
    const it = batcher();
    let waiting = it.available(never);
    it.push(begin(), 21);
    it.push(change(1, 0), 1);
    expect(await settled(waiting)).toBe(false);
    it.push(change(1, 1), MAX);
    expect(await settled(waiting)).toBe(true);
    expect(await settled(it.available(never))).toBe(true);
    it.take();
    waiting = it.available(never);
    expect(await settled(waiting)).toBe(false);
    it.push(commit(1), 26);
    expect(await settled(waiting)).toBe(true);
    it.take();
    waiting = it.available(never);
    it.wake();
    expect(await settled(waiting)).toBe(true);
    const stop = new AbortController();
    waiting = it.available(stop.signal);
    expect(await settled(waiting)).toBe(false);
    stop.abort();
    expect(await settled(waiting)).toBe(true);
    expect(await settled(it.available(stop.signal))).toBe(true);
  });
});
