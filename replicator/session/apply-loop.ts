import type { Applier, ReadyBatch } from '../apply/applier.ts';
import type { Applied } from '../apply/run.ts';
import type { Batch } from '../change/batcher.ts';
import type { Intake } from '../change/intake.ts';
import type { StreamedTransaction } from '../change/streamed-transactions.ts';
import type { Lsn } from '../postgres/lsn.ts';
import { on } from './blame.ts';
import type { Boundary } from './boundary.ts';
import type { Confirmer } from './confirmer.ts';
import type { EarlyApplier } from './early.ts';
import type { FollowObserver } from './follow-observer.ts';
import type { Gate } from './gate.ts';
import type { Stopwatch } from './stopwatch.ts';

/** On a database where nothing happens that concerns us the checkpoint moves this often. */
const IDLE_CHECKPOINT_MS = 5000;

export interface ApplyLoopOptions {
  readonly applier: Applier;
  readonly early: EarlyApplier;
  readonly intake: Intake;
  /** A batch of so many bytes does not grow any more. */
  readonly batchBytes: number;
  readonly from: Lsn;
  /** Closed while the pipeline is paused. */
  readonly gate: Gate;
  /** What others want done between two batches. */
  readonly boundary: Boundary;
  readonly confirmer: Confirmer;
  readonly watch: Stopwatch;
  readonly observer: FollowObserver;
  /** Something was taken out of the queue. */
  readonly taken: () => void;
  /** The target has got so far. */
  readonly reached: (lsn: Lsn) => void;
}

/** Takes what has gathered, applies it, and moves the checkpoint of an idle stream now and then. */
export class ApplyLoop {
  readonly #options: ApplyLoopOptions;
  #applied: Lsn;
  #applying = false;
  /** The batch after the one that is being applied, made ready meanwhile. */
  #ahead: NextBatch | null = null;
  /** Pieces of a large transaction are written, its commit is still to come. */
  #inPieces = false;
  #checkpointedAt = Date.now();
  /** Commit time on the source of the newest transaction that was applied, or brought nothing here. */
  #committedAtMs: number | null = null;

  constructor(options: ApplyLoopOptions) {
    this.#options = options;
    this.#applied = options.from;
  }

  /** Nothing that was received is on its way to the target. */
  get idle(): boolean {
    return this.#options.intake.batcher.idle && !this.#applying && !this.#ahead;
  }

  get checkpointDue(): boolean {
    return (
      !this.#inPieces &&
      this.#applied > this.#options.applier.checkpoint &&
      Date.now() - this.#checkpointedAt >= IDLE_CHECKPOINT_MS
    );
  }

  /** More has gathered. */
  gathered(): void {
    if (this.#applying) this.#lookAhead();
  }

  /** Everything up to here is on the target, or concerns nothing there. */
  advance(lsn: Lsn): void {
    if (lsn <= this.#applied) return;
    this.#applied = lsn;
    this.#options.reached(lsn);
  }

  /** Applies until the signal aborts; what is being applied then is finished. */
  async run(signal: AbortSignal): Promise<void> {
    const { boundary, early, gate, intake, watch } = this.#options;
    const { batcher } = intake;
    boundary.attach(() => {
      batcher.wake();
      gate.call();
    });
    while (!signal.aborted) {
      if (this.#isEarlyTime && (await early.step())) continue;
      watch.turn('source');
      if (!this.#ahead && (this.#inPieces || !boundary.due)) await batcher.available(signal);
      // Tables may be about to change their ways, or nothing is to be applied at all: then nothing stays open on the target.
      await early.giveUp({ always: boundary.due || !gate.isOpen });
      // A transaction that is half written is finished first: paused in the middle, it would hold its locks all the time.
      if (!this.#inPieces) await this.#rest(signal);
      if (signal.aborted) return;
      await this.#applyNext(signal);
      if (boundary.due && !this.#inPieces) {
        watch.turn('tables');
        await this.#busyWith(() => boundary.perform(this.#applied));
      }
      if (this.checkpointDue) await this.#checkpointIdle();
    }
  }

  // While the pipeline is paused nothing is applied; tables come and go all the same.
  async #rest(signal: AbortSignal): Promise<void> {
    const { boundary, gate, watch } = this.#options;
    while (!gate.isOpen && !signal.aborted) {
      watch.turn('paused');
      if (boundary.dueWhilePaused) await this.#busyWith(() => boundary.perform(this.#applied, { paused: true }));
      else await gate.turned(signal);
    }
  }

  async #applyNext(signal: AbortSignal): Promise<void> {
    const { batcher } = this.#options.intake;
    const next = this.#ahead ?? unprepared(batcher.take());
    this.#ahead = null;
    const streamed = next ? null : batcher.takeStreamed();
    // Before this batch is applied, not after: the source goes on sending meanwhile.
    this.#options.taken();
    this.#applying = true;
    if (next) await this.#applyBatch(next);
    else if (streamed) await this.#applyStreamed(streamed, signal);
    this.#applying = false;
  }

  async #applyBatch({ batch, ready }: NextBatch): Promise<void> {
    const { applier, early, observer, watch } = this.#options;
    const { routes } = applier;
    const startedAt = performance.now();
    watch.turn('apply');
    observer.applying(batch.xids);
    const applying = on('target', applier.apply(batch, ready));
    this.#lookAhead();
    const applied = await applying;
    // A table has refused a change, and those that follow are kept: what is begun of it would come before that one.
    if (applier.routes !== routes) await early.giveUp({ always: true });
    this.#inPieces = batch.end === null;
    watch.look();
    watch.move(watch.activity, 'commit', applied.commitMs);
    this.#finish(batch, applied, performance.now() - startedAt);
  }

  // Everything that has been received is on the target, transactions in progress aside.
  get #isEarlyTime(): boolean {
    const { boundary, gate, intake } = this.#options;
    return intake.batcher.isEmpty && !this.#ahead && !this.#inPieces && !boundary.due && gate.isOpen;
  }

  async #applyStreamed(transaction: StreamedTransaction, signal: AbortSignal): Promise<void> {
    const { applier, early, observer, watch } = this.#options;
    watch.turn('apply');
    observer.applying([transaction.xid]);
    const pieces = await early.finish(transaction, applier);
    if (!pieces) await this.#applyPieces(transaction, signal);
    else for (const { batch, applied, durationMs } of pieces) this.#finish(batch, applied, durationMs);
    transaction.close();
  }

  // One piece after the other, the next one read and made ready while one is applied.
  async #applyPieces(transaction: StreamedTransaction, signal: AbortSignal): Promise<void> {
    const { applier, intake } = this.#options;
    const pieces = intake.read(transaction);
    const read = async (): Promise<NextBatch | null> => {
      const batch = await pieces.next();
      return batch && { batch, ready: applier.makeReady(batch) };
    };
    for (let next = read(); ;) {
      const piece = await next;
      if (!piece || signal.aborted) return;
      next = piece.batch.end ? Promise.resolve(null) : read();
      // Whatever becomes of it, it is awaited only if this piece is applied.
      next.catch(() => {});
      await this.#applyBatch(piece);
    }
  }

  // Only a batch that could not grow any more: what gathers while the target is busy goes there in one.
  #lookAhead(): void {
    const { applier, batchBytes, intake } = this.#options;
    if (this.#ahead || intake.batcher.queuedBytes < batchBytes) return;
    const batch = intake.batcher.take();
    if (batch) this.#ahead = { batch, ready: applier.makeReady(batch) };
  }

  #finish(batch: Batch, applied: Applied, durationMs: number): void {
    const { confirmer, observer } = this.#options;
    if (batch.end) {
      if (applied.targetLsn !== null) {
        confirmer.committed(batch.end.endLsn, applied.targetLsn);
        this.#checkpointedAt = Date.now();
      }
      this.#committedAtMs = batch.end.committedAtMs;
      this.advance(batch.end.endLsn);
    }
    observer.batch(batch, applied, durationMs);
    if (batch.heartbeat !== null) observer.heartbeatApplied(batch.heartbeat);
  }

  // The slot may only be told of a checkpoint that the target holds, so an idle position is written there first.
  async #checkpointIdle(): Promise<void> {
    const { applier, confirmer } = this.#options;
    const position = this.#applied;
    await this.#busyWith(() => applier.moveCheckpoint(position, this.#committedAtMs));
    this.#checkpointedAt = Date.now();
    if (applier.checkpoint >= position) confirmer.checkpointed(position);
  }

  async #busyWith(work: () => Promise<unknown>): Promise<void> {
    this.#applying = true;
    await on('target', work());
    this.#applying = false;
  }
}

interface NextBatch {
  readonly batch: Batch;
  /** What was worked out of it already. */
  readonly ready: ReadyBatch | null;
}

function unprepared(batch: Batch | null): NextBatch | null {
  return batch && { batch, ready: null };
}
