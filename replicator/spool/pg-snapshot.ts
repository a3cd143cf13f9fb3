/**
 * A snapshot as pg_current_snapshot() prints it: `xmin:xmax:xip,xip…`, 64-bit transaction IDs of top-level transactions.
 * https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-SNAPSHOT
 */
export interface PgSnapshot {
  /** Everything below is over. */
  readonly xmin: bigint;
  /** Nothing from here on had a transaction ID yet. */
  readonly xmax: bigint;
  /** In progress: not seen, though below xmax. */
  readonly running: ReadonlySet<bigint>;
}

/** Throws a RangeError on anything that is no pg_snapshot. */
export function parseSnapshot(text: string): PgSnapshot {
  const match = /^(\d+):(\d+):([\d,]*)$/.exec(text);
  if (!match) throw new RangeError(`not a pg_snapshot: ${text}`);
  const [, xmin = '0', xmax = '0', list = ''] = match;
  return {
    xmin: BigInt(xmin),
    xmax: BigInt(xmax),
    running: new Set(list === '' ? [] : list.split(',').map(BigInt)),
  };
}

/** Whether a committed transaction is seen by the snapshot. `xid` is the 32-bit one that the stream carries. */
export function sees(snapshot: PgSnapshot, xid: number): boolean {
  const full = fullXid(xid, snapshot.xmax);
  if (full < snapshot.xmin) return true;
  return full < snapshot.xmax && !snapshot.running.has(full);
}

/**
 * The 64-bit transaction ID behind a 32-bit one: the one of its epoch that is nearest to `near`. Transactions that are
 * around at the same time are never more than 2^31 apart.
 */
export function fullXid(xid: number, near: bigint): bigint {
  return near + BigInt.asIntN(32, BigInt(xid) - near);
}

/** Whether the snapshot sees every one of these committed transactions; 0 is none. Quick, for many. */
export function seesAll(snapshot: PgSnapshot, xids: Uint32Array): boolean {
  const xmax = Number(BigInt.asUintN(32, snapshot.xmax));
  const running = new Set(Array.from(snapshot.running, (xid) => Number(BigInt.asUintN(32, xid))));
  return xids.every((xid) => xid === 0 || (((xid - xmax) | 0) < 0 && !running.has(xid)));
}

/** The last transactions whose commits the stream has brought, so many. For the guard of beginOnSnapshot(). */
export class RecentXids {
  readonly #ring: Uint32Array;
  #next = 0;

  constructor(size = 1 << 16) {
    this.#ring = new Uint32Array(size);
  }

  add(xids: readonly number[]): void {
    for (const xid of xids) {
      this.#ring[this.#next] = xid;
      this.#next = (this.#next + 1) % this.#ring.length;
    }
  }

  /** Those of this moment, in no order; 0 is none. */
  copy(): Uint32Array {
    return this.#ring.slice();
  }
}
