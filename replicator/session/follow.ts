import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import type { Applier, ReadyBatch } from '../apply/applier.ts';
import type { Applied } from '../apply/run.ts';
import type { Batch, Batcher } from '../change/batcher.ts';
import { Intake } from '../change/intake.ts';
import type { StreamedTransaction } from '../change/streamed-transactions.ts';
import { maxLsn, parseLsn, type Lsn } from '../postgres/lsn.ts';
import { Acknowledger } from '../source/standby-status.ts';
import type { WalStream } from '../source/wal-stream.ts';
import { Backpressure } from './backpressure.ts';
import { blame, on } from './blame.ts';
import type { Boundary } from './boundary.ts';
import { EarlyApplier, type EarlySession } from './early.ts';
import type { FollowObserver } from './follow-observer.ts';
import type { Gate } from './gate.ts';
import { Heartbeat, HEARTBEAT_PREFIX, type HeartbeatOptions } from './heartbeat.ts';
import { Milestone } from './milestone.ts';
import { Stopwatch } from './stopwatch.ts';
import { watchTargetWaits } from './target-waits.ts';
import { together } from './together.ts';

/** How often it is looked whether there is something to acknowledge; the target is only asked while commits wait for its disk. */
const LOOK_MS = 100;
const IDLE_LOOK_MS = 500;
/** On a database where nothing happens that concerns us the checkpoint moves this often. */
const IDLE_CHECKPOINT_MS = 5000;
/** A status goes out at least this often; wal_sender_timeout is 60 s by default. */
const MOST_STATUS_INTERVAL_MS = 10_000;

/**
 * A flood is applied in parts of maxBatchBytes: while one is written the next ones arrive, so both sides stay busy, and
 * all that is held together stays below maxBatchBytes and a bit. Measured: parts of 4 MB are as fast as of 16 MB.
 */
const BATCHES_HELD = 4;
/** What a decoded change takes beside its bytes: rows of a few bytes must not fill the memory by their number. */
const CHANGE_OVERHEAD_BYTES = 320;

export interface FollowOptions {
  readonly stream: WalStream;
  readonly applier: Applier;
  readonly heartbeat: HeartbeatOptions;
  /** A second connection to the target, to ask for its flush position while the first one applies. */
  readonly target: Client;
  /** The server process that applies. */
  readonly applyPid: number;
  readonly from: Lsn;
  readonly maxBatchBytes: number;
  /** Opens a second connection for transactions in progress; see EarlyApplier. */
  readonly openEarly: () => Promise<EarlySession | null>;
  /** Where transactions in progress are kept, and how much of them. */
  readonly spill: { readonly directory: string | null; readonly maxBytes: number };
  /** wal_sender_timeout of the source in ms, 0 for none. */
  readonly walSenderTimeoutMs: number;
  /** Closed while the pipeline is paused. */
  readonly gate: Gate;
  readonly observer: FollowObserver;
  /** What others want done between two batches. */
  readonly boundary: Boundary;
  /** Called once the slot is ours, before anything is applied: throws the Problem of a slot that has moved past `from`. */
  readonly verifySlot: () => Promise<void>;
}

/**
 * The stream at work: bytes -> messages -> batches -> target -> acknowledgement, until the signal aborts (then it
 * resolves, what was being applied finished) or anything fails (then it rejects with a Problem).
 */
export async function follow(options: FollowOptions, signal: AbortSignal): Promise<void> {
  using intake = openIntake(options);
  await together(signal, (inner) => {
    const follower = new Follower(options, intake, inner);
    return [
      follower.receive(),
      follower.verify(),
      follower.apply(),
      follower.acknowledge(),
      follower.watchFlush(),
      follower.watchWaits(),
      follower.watchEarly(),
      follower.heartbeat.run(inner),
    ];
  });
}

function batchBytes({ maxBatchBytes }: FollowOptions): number {
  return maxBatchBytes / BATCHES_HELD;
}

function openIntake(options: FollowOptions): Intake {
  const maxBytes = batchBytes(options);
  return new Intake({
    maxBytes,
    changeOverheadBytes: CHANGE_OVERHEAD_BYTES,
    heartbeatPrefix: HEARTBEAT_PREFIX,
    spill: { ...options.spill, memoryBytes: maxBytes },
  });
}

class Follower {
  readonly heartbeat: Heartbeat;
  readonly #options: FollowOptions;
  readonly #signal: AbortSignal;
  readonly #intake: Intake;
  readonly #batcher: Batcher;
  readonly #early: EarlyApplier;
  readonly #acknowledger: Acknowledger;
  readonly #batchBytes: number;
  readonly #queueLimit: number;
  readonly #statusIntervalMs: number;
  readonly #watch: Stopwatch;
  readonly #started = new Milestone();
  readonly #verified = new Milestone();
  #received: Lsn;
  #applied: Lsn;
  #applying = false;
  /** The batch after the one that is being applied, made ready meanwhile. */
  #ahead: NextBatch | null = null;
  /** Pieces of a large transaction are written, its commit is still to come. */
  #inPieces = false;
  #statusSentAt = 0;
  #reported: Lsn;
  #checkpointedAt = Date.now();
  /** Commit time on the source of the newest transaction that was applied, or brought nothing here. */
  #committedAtMs: number | null = null;
  readonly #pressure: Backpressure;

  constructor(options: FollowOptions, intake: Intake, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
    this.#batchBytes = batchBytes(options);
    this.#intake = intake;
    this.#batcher = intake.batcher;
    intake.space.onDrained = () => this.#release();
    const { openEarly: open, target, gate } = options;
    this.#early = new EarlyApplier({ open, intake, target, fromBytes: this.#batchBytes, isOpen: () => gate.isOpen });
    const { heartbeat, observer, from: applied } = options;
    this.heartbeat = new Heartbeat({ ...heartbeat, observer, applied, askPosition: () => this.#sendStatus(true) });
    this.#acknowledger = new Acknowledger(options.from);
    // One batch is under way and one is made ready.
    this.#queueLimit = this.#batchBytes * (BATCHES_HELD - 2);
    this.#statusIntervalMs = Math.min(
      MOST_STATUS_INTERVAL_MS,
      options.walSenderTimeoutMs > 0 ? options.walSenderTimeoutMs / 4 : MOST_STATUS_INTERVAL_MS,
    );
    this.#pressure = new Backpressure(options.stream, (ms) => observer.backpressure(ms));
    this.#watch = new Stopwatch((activity, ms) => options.observer.spent(activity, ms));
    this.#received = options.from;
    this.#applied = options.from;
    this.#reported = options.from;
  }

  /** Bytes into messages into batches. Reading stops while too much waits for the target. */
  async receive(): Promise<void> {
    const { stream, observer } = this.#options;
    const onMessage = (data: Buffer, start: number, end: number): void => {
      const committed = this.#intake.push(data, start, end);
      if (committed !== null) this.#received = maxLsn(this.#received, committed);
      observer.received(this.#received, end - start);
      if (this.#applying) this.#lookAhead();
      if (this.#batcher.queuedBytes > this.#queueLimit || this.#intake.space.congested) this.#pressure.hold();
    };
    const onKeepalive = (walEnd: Lsn, replyRequested: boolean): void => {
      this.#received = maxLsn(this.#received, walEnd);
      // With nothing under way there is nothing of ours up to here: an unfollowed database moves on too.
      const nothingUnderWay = this.#verified.done && this.#batcher.idle && !this.#applying && !this.#ahead;
      if (nothingUnderWay && this.#options.gate.isOpen) this.#advance(walEnd);
      observer.received(this.#received, 0);
      if (replyRequested) this.#sendStatus();
    };
    // Decoding while the target is busy costs nobody time.
    const onRead = (ms: number): void => {
      if (this.#watch.activity === 'source') this.#watch.move('source', 'decode', ms);
    };
    try {
      await stream.run({ onStart: () => this.#started.reach(), onMessage, onKeepalive, onRead }, this.#signal);
    } catch (error) {
      throw blame('source', error);
    }
  }

  /** Between the look at the slot and the start of the stream somebody could have moved it; from here on nobody can. */
  async verify(): Promise<void> {
    await this.#started.reached(this.#signal);
    if (this.#signal.aborted) return;
    const { from, observer, verifySlot } = this.#options;
    await verifySlot();
    observer.started();
    observer.applied(from);
    observer.acknowledged(from);
    this.#verified.reach();
  }

  /** Takes what has gathered, applies it, and moves the checkpoint of an idle stream now and then. */
  async apply(): Promise<void> {
    const { gate, boundary } = this.#options;
    await this.#verified.reached(this.#signal);
    boundary.attach(() => this.#batcher.wake());
    const watch = this.#watch;
    while (!this.#signal.aborted) {
      if (this.#isEarlyTime && (await this.#early.step())) continue;
      watch.turn('source');
      if (!this.#ahead && (this.#inPieces || !boundary.due)) await this.#batcher.available(this.#signal);
      // Tables may be about to change their ways, or nothing is to be applied at all: then nothing stays open on the target.
      await this.#early.giveUp({ always: boundary.due || !gate.isOpen });
      // A transaction that is half written is finished first: paused in the middle, it would hold its locks all the time.
      if (!this.#inPieces && !gate.isOpen) {
        watch.turn('paused');
        await gate.opened(this.#signal);
      }
      if (this.#signal.aborted) return;
      const next = this.#ahead ?? unprepared(this.#batcher.take());
      this.#ahead = null;
      const streamed = next ? null : this.#batcher.takeStreamed();
      // Before this batch is applied, not after: the source goes on sending meanwhile.
      this.#release();
      this.#applying = true;
      if (next) await this.#applyBatch(next);
      else if (streamed) await this.#applyStreamed(streamed);
      this.#applying = false;
      if (boundary.due && !this.#inPieces) {
        this.#applying = true;
        watch.turn('tables');
        await on('target', boundary.perform(this.#applied));
        this.#applying = false;
      }
      if (this.#idleCheckpointDue) await this.#checkpointIdle();
    }
  }

  /** Tells the slot what is durable on the target, and that we are alive: whatever the target is doing, and while reading is held. */
  async acknowledge(): Promise<void> {
    while (await this.#pause(this.#lookMs)) {
      this.#intake.space.check();
      this.#options.observer.queue(this.#batcher.queuedBytes + this.#intake.space.memoryBytes, this.#queueLimit);
      this.#options.observer.spilled(this.#intake.space.diskBytes);
      this.#watch.look();
      this.#pressure.book();
      if (this.#idleCheckpointDue) this.#batcher.wake();
      const news = this.#acknowledger.confirmed > this.#reported;
      if (news || Date.now() - this.#statusSentAt >= this.#statusIntervalMs) this.#sendStatus();
    }
  }

  /** Learns how far the target's disk has got, while commits wait for that. */
  async watchFlush(): Promise<void> {
    while (await this.#pause(this.#lookMs)) {
      if (!this.#acknowledger.waiting) continue;
      const { rows } = await on(
        'target',
        this.#options.target.query<{ lsn: string }>('SELECT pg_catalog.pg_current_wal_flush_lsn()::text AS lsn'),
      );
      if (rows[0]) this.#acknowledger.flushed(parseLsn(rows[0].lsn));
    }
  }

  /** Learns whether a batch that takes long waits for somebody's lock. */
  async watchWaits(): Promise<void> {
    const { target, applyPid: pid, observer } = this.#options;
    await watchTargetWaits({ target, pid, watch: this.#watch, told: (holder) => observer.locked(holder) }, this.#signal);
  }

  /** Lets others have what they wait for. */
  async watchEarly(): Promise<void> {
    await this.#early.watch(this.#signal);
  }

  async #applyBatch({ batch, ready }: NextBatch): Promise<void> {
    const startedAt = performance.now();
    const watch = this.#watch;
    watch.turn('apply');
    this.#options.observer.applying(batch.xids);
    const applying = on('target', this.#options.applier.apply(batch, ready));
    this.#lookAhead();
    const applied = await applying;
    this.#inPieces = batch.end === null;
    watch.look();
    watch.move(watch.activity, 'commit', applied.commitMs);
    this.#finish(batch, applied, performance.now() - startedAt);
  }

  // Everything that has been received is on the target, transactions in progress aside.
  get #isEarlyTime(): boolean {
    const { boundary, gate } = this.#options;
    return this.#batcher.isEmpty && !this.#ahead && !this.#inPieces && !boundary.due && gate.isOpen;
  }

  async #applyStreamed(transaction: StreamedTransaction): Promise<void> {
    this.#watch.turn('apply');
    this.#options.observer.applying([transaction.xid]);
    const pieces = await this.#early.finish(transaction, this.#options.applier);
    if (!pieces) await this.#applyPieces(transaction);
    else for (const { batch, applied, durationMs } of pieces) this.#finish(batch, applied, durationMs);
    transaction.close();
  }

  // One piece after the other, the next one read and made ready while one is applied.
  async #applyPieces(transaction: StreamedTransaction): Promise<void> {
    const { applier } = this.#options;
    const pieces = this.#intake.read(transaction);
    const read = async (): Promise<NextBatch | null> => {
      const batch = await pieces.next();
      return batch && { batch, ready: applier.makeReady(batch) };
    };
    for (let next = read(); ;) {
      const piece = await next;
      if (!piece || this.#signal.aborted) return;
      next = piece.batch.end ? Promise.resolve(null) : read();
      // Whatever becomes of it, it is awaited only if this piece is applied.
      next.catch(() => {});
      await this.#applyBatch(piece);
    }
  }

  // An idle pipeline hardly ever wakes up.
  get #lookMs(): number {
    return this.#acknowledger.waiting || this.#batcher.queuedBytes > 0 ? LOOK_MS : Math.min(IDLE_LOOK_MS, this.#statusIntervalMs);
  }

  /** Waits; false when it is over. */
  async #pause(ms: number): Promise<boolean> {
    await sleep(ms, null, { signal: this.#signal }).catch(() => {});
    return !this.#signal.aborted;
  }

  // Only a batch that could not grow any more: what gathers while the target is busy goes there in one.
  #lookAhead(): void {
    if (this.#ahead || this.#batcher.queuedBytes < this.#batchBytes) return;
    const batch = this.#batcher.take();
    if (batch) this.#ahead = { batch, ready: this.#options.applier.makeReady(batch) };
  }

  #finish(batch: Batch, applied: Applied, durationMs: number): void {
    const { observer } = this.#options;
    if (batch.end) {
      if (applied.targetLsn !== null) {
        this.#acknowledger.committed(batch.end.endLsn, applied.targetLsn);
        this.#checkpointedAt = Date.now();
      }
      this.#committedAtMs = batch.end.committedAtMs;
      this.#advance(batch.end.endLsn);
    }
    observer.batch(batch, applied, durationMs);
    if (batch.heartbeat !== null) observer.heartbeatApplied(batch.heartbeat);
  }

  #advance(lsn: Lsn): void {
    if (lsn <= this.#applied) return;
    this.#applied = lsn;
    this.#options.observer.applied(lsn);
    this.heartbeat.reached(lsn);
  }

  get #idleCheckpointDue(): boolean {
    return (
      !this.#inPieces &&
      this.#applied > this.#options.applier.checkpoint &&
      Date.now() - this.#checkpointedAt >= IDLE_CHECKPOINT_MS
    );
  }

  // The slot may only be told of a checkpoint that the target holds, so an idle position is written there first.
  async #checkpointIdle(): Promise<void> {
    const { applier } = this.#options;
    const position = this.#applied;
    this.#applying = true;
    await on('target', applier.moveCheckpoint(position, this.#committedAtMs));
    this.#applying = false;
    this.#checkpointedAt = Date.now();
    if (applier.checkpoint >= position) this.#acknowledger.durable(position);
  }

  #sendStatus(replyRequested = false): void {
    const flushed = this.#acknowledger.confirmed;
    if (!this.#options.stream.status({ received: this.#received, flushed, replyRequested })) return;
    this.#statusSentAt = Date.now();
    this.#reported = flushed;
    this.#options.observer.acknowledged(flushed);
  }

  #release(): void {
    if (this.#batcher.queuedBytes <= this.#queueLimit / 2 && !this.#intake.space.congested) this.#pressure.release();
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
