import type { Logger } from 'pino';
import type { Applied, RowCounts } from '../apply/run.ts';
import type { StatusModel } from '../observe/model.ts';
import { formatLsn, maxLsn, ZERO_LSN, type Lsn } from '../postgres/lsn.ts';
import type { SlotState } from '../source/slot.ts';
import type { FollowObserver } from './follow-observer.ts';
import { STANDBY_AWAITED } from './target-standbys.ts';
import { LOCK_TOLD_MS, lockedProblem, type LockHolder } from './target-waits.ts';
import type { Teller } from './teller.ts';

/** What the session does when the stream gets somewhere. */
export interface StreamMoments {
  started(): void;
  applied(lsn: Lsn): void;
  /** Whole transactions are on the target. */
  committed(): void;
  /** What the target did not take as it came. */
  conflicts(applied: Applied): void;
}

/** Turns what the stream does, and what its slot keeps, into numbers of the model; tells of a lock that is in its way. */
export class StreamReporter {
  readonly #model: StatusModel;
  readonly #teller: Teller;
  readonly #log: Logger;
  /** The furthest that any session has got. */
  furthest: Lsn = ZERO_LSN;
  #lockTold = false;
  #standbyTold = false;

  constructor(options: { model: StatusModel; teller: Teller; log: Logger }) {
    this.#model = options.model;
    this.#teller = options.teller;
    this.#log = options.log;
  }

  /** What the stream of one session reports to. `clockAhead`: of the source, ms; commit times are the source's clock. */
  observer(clockAhead: number, moments: StreamMoments): Omit<FollowObserver, 'applying'> {
    const { stream } = this.#model;
    // Rows count once their transaction is committed, so those of its pieces wait for that.
    let pieces: Applied[] = [];
    return {
      started: () => moments.started(),
      received: (lsn, bytes) => stream.received(lsn, bytes),
      applied: (lsn) => {
        this.furthest = maxLsn(this.furthest, lsn);
        stream.applied(lsn);
        moments.applied(lsn);
      },
      acknowledged: (lsn) => stream.acknowledged(lsn),
      sourceWalEnd: (lsn) => stream.sourceWalEnd(lsn),
      queue: (bytes, limit) => stream.queue(bytes, limit),
      spilled: (bytes) => stream.spill(bytes),
      backpressure: (ms) => stream.backpressure(ms),
      spent: (activity, ms) => stream.spent(activity, ms),
      locked: (holder) => this.locked(holder),
      standbyAwaited: (isAwaited) => this.standbyAwaited(isAwaited),
      heartbeatEmitted: (id, at) => stream.heartbeatEmitted(id, at),
      heartbeatApplied: (id) => stream.heartbeatApplied(id),
      batch: (batch, applied, durationMs) => {
        moments.conflicts(applied);
        if (this.#lockTold) this.locked(null);
        pieces.push(applied);
        if (!batch.end) return;
        moments.committed();
        const committedAtMs = batch.end.committedAtMs - clockAhead;
        stream.targetShows(committedAtMs);
        const { rows, perTable } = sum(pieces);
        pieces = [];
        if (applied.targetLsn === null) return;
        const nowMs = Date.now();
        this.#model.batchApplied({
          rows,
          transactions: batch.transactions,
          durationMs,
          perTable,
          way: applied.way,
          at: nowMs,
          latencyMs: nowMs - committedAtMs,
        });
        this.#log.debug(
          { lsn: formatLsn(batch.end.endLsn), rows, way: applied.way, ms: Math.round(durationMs) },
          'batch applied',
        );
      },
    };
  }

  /** A look at the slot; null when it is not there. */
  slot(slot: SlotState | null): void {
    if (!slot) return this.#model.stream.slot(null);
    this.#model.stream.slot({
      name: slot.name,
      active: slot.active,
      walStatus: slot.walStatus,
      retainedBytes: slot.retainedBytes,
      limitBytes: slot.limitBytes,
      safeBytes: slot.safeWalSize,
      oldestTransactionMs: slot.oldestTransactionMs,
      spilledBytes: slot.spilledBytes,
      clockAheadMs: slot.clockAheadMs,
      readAtMs: Date.now(),
    });
    this.#model.stream.sourceWalEnd(slot.walEnd);
  }

  /** Who holds a lock that the target's changes wait for. One that is held for a moment is nobody's concern. */
  locked(holder: LockHolder | null): void {
    if (!holder || holder.waitedMs < LOCK_TOLD_MS) {
      this.#lockTold = false;
      return this.#model.clearProblem('TARGET_LOCKED');
    }
    const problem = lockedProblem(holder);
    this.#model.problem(problem);
    if (!this.#lockTold) this.#teller.tell({ level: 'warn', ...problem });
    this.#lockTold = true;
  }

  /** What is applied waits for a synchronous standby of the target, or no longer. */
  standbyAwaited(isAwaited: boolean): void {
    if (!isAwaited) this.#model.clearProblem(STANDBY_AWAITED.code);
    else this.#model.problem(STANDBY_AWAITED);
    if (isAwaited && !this.#standbyTold) this.#teller.tell({ level: 'warn', ...STANDBY_AWAITED });
    this.#standbyTold = isAwaited;
  }
}

function sum(pieces: readonly Applied[]): Pick<Applied, 'rows' | 'perTable'> {
  const [only, ...others] = pieces;
  if (only && others.length === 0) return only;
  const perTable = new Map<string, RowCounts>();
  for (const [table, counts] of pieces.flatMap((piece) => [...piece.perTable])) {
    const known = perTable.get(table) ?? { insert: 0, update: 0, delete: 0, truncate: 0 };
    for (const op of ['insert', 'update', 'delete', 'truncate'] as const) known[op] += counts[op];
    perTable.set(table, known);
  }
  return { rows: pieces.reduce((rows, piece) => rows + piece.rows, 0), perTable };
}
