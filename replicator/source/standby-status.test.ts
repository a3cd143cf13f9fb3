import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ZERO_LSN, type Lsn } from '../postgres/lsn.ts';
import { bytes, int64, int8 } from '../testing/pgoutput-bytes.ts';
import { Acknowledger, standbyStatus } from './standby-status.ts';

const lsn = (value: number | bigint): Lsn => BigInt(value) as Lsn;

describe('the status message', () => {
  test('byte by byte: received, flushed, applied, clock, reply', () => {
    const position = { received: lsn(0xffffffff_ffffffffn), flushed: lsn(0x16_b374d848n) };
    const now = Date.UTC(2026, 0, 31, 12, 0, 0, 5);
    // Microseconds since 2000-01-01.
    const clock = BigInt(now - Date.UTC(2000, 0, 1)) * 1000n;
    expect(standbyStatus(position, now)).toEqual(
      bytes('r', int64(0xffffffff_ffffffffn), int64(0x16_b374d848n), int64(0x16_b374d848n), int64(clock), int8(0)),
    );
    expect(standbyStatus({ ...position, replyRequested: true }, now).at(-1)).toBe(1);
  });

  test('exactly the end LSN: not one byte more, which would skip a transaction that begins there', () => {
    const status = standbyStatus({ received: lsn(500), flushed: lsn(300) }, 0);
    expect([status.readBigUInt64BE(1), status.readBigUInt64BE(9), status.readBigUInt64BE(17)]).toEqual([500n, 300n, 300n]);
  });

  test('nothing flushed says 0, which keeps the link alive and moves nothing', () => {
    const status = standbyStatus({ received: lsn(500), flushed: ZERO_LSN }, 0);
    expect([status.readBigUInt64BE(9), status.readBigUInt64BE(17)]).toEqual([0n, 0n]);
  });

  test('what is flushed was received', () => {
    expect(standbyStatus({ received: lsn(1), flushed: lsn(9) }, 0).readBigUInt64BE(1)).toBe(9n);
  });
});

describe('the acknowledger', () => {
  test('confirms a checkpoint once the target has flushed what lies behind its commit', () => {
    const it = new Acknowledger();
    expect([it.confirmed, it.waiting]).toEqual([0n, false]);
    it.committed(lsn(200), lsn(7000));
    it.committed(lsn(300), lsn(7100));
    expect([it.confirmed, it.waiting]).toEqual([0n, true]);
    it.flushed(lsn(6999));
    expect(it.confirmed).toBe(0n);
    it.flushed(lsn(7000));
    expect([it.confirmed, it.waiting]).toEqual([200n, true]);
    it.flushed(lsn(9000));
    expect([it.confirmed, it.waiting]).toEqual([300n, false]);
  });

  test('whatever happens: never what is not flushed, never back, and everything in the end', () => {
    const event = fc.oneof(
      fc.record({
        type: fc.constant('committed' as const),
        source: fc.integer({ min: 1, max: 50 }),
        target: fc.integer({ min: 0, max: 50 }),
      }),
      fc.record({ type: fc.constant('flushed' as const), to: fc.nat(60) }),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const it = new Acknowledger();
        const commits: { source: bigint; target: bigint }[] = [];
        let [source, target, flushed, durable] = [0n, 0n, 0n, 0n];
        for (const each of events) {
          const before = it.confirmed;
          if (each.type === 'committed') {
            // Checkpoints and WAL both move on.
            source += BigInt(each.source);
            target += BigInt(each.target);
            commits.push({ source, target });
            it.committed(lsn(source), lsn(target));
          } else {
            flushed = BigInt(each.to) * 10n;
            it.flushed(lsn(flushed));
            // Only what the target has said so far counts; it is asked again when there is something to wait for.
            for (const commit of commits) if (commit.target <= flushed && commit.source > durable) durable = commit.source;
          }
          expect(it.confirmed).toBeGreaterThanOrEqual(before);
          expect(it.confirmed).toBe(durable);
          expect(it.waiting).toBe(commits.some((commit) => commit.source > durable));
        }
        it.flushed(lsn(target));
        expect([it.confirmed, it.waiting]).toEqual([source > durable ? source : durable, false]);
      }),
      { numRuns: 500 },
    );
  });
});
