import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import type { Applier } from '../apply/applier.ts';
import { Intake } from '../change/intake.ts';
import type { Lsn } from '../postgres/lsn.ts';
import type { WalStream } from '../source/wal-stream.ts';
import { ApplyLoop } from './apply-loop.ts';
import { Backpressure } from './backpressure.ts';
import { blame } from './blame.ts';
import type { Boundary } from './boundary.ts';
import { Confirmer } from './confirmer.ts';
import { EarlyApplier, type EarlySession } from './early.ts';
import type { FollowObserver } from './follow-observer.ts';
import type { Gate } from './gate.ts';
import { Heartbeat, HEARTBEAT_PREFIX, type HeartbeatOptions } from './heartbeat.ts';
import { Milestone } from './milestone.ts';
import { watchSilence, type SilenceOptions } from './silence.ts';
import { Stopwatch } from './stopwatch.ts';
import type { TargetStandbys } from './target-standbys.ts';
import { watchTargetWaits } from './target-waits.ts';
import { together } from './together.ts';

/** How often it is looked whether there is something to acknowledge. */
const LOOK_MS = 100;
const IDLE_LOOK_MS = 500;

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
  readonly standbys: TargetStandbys;
  readonly maxBatchBytes: number;
  /** Opens a second connection for transactions in progress; see EarlyApplier. */
  readonly openEarly: () => Promise<EarlySession | null>;
  /** Where transactions in progress are kept, and how much of them. */
  readonly spill: { readonly directory: string | null; readonly maxBytes: number };
  /** wal_sender_timeout of the source in ms, 0 for none. */
  readonly walSenderTimeoutMs: number;
  /** A connection of its own, to look whether a sender that is silent is at work. */
  readonly look: Pick<SilenceOptions, 'url' | 'purpose'>;
  /** Closed while the pipeline is paused. */
  readonly gate: Gate;
  readonly observer: FollowObserver;
  /** What others want done between two batches. */
  readonly boundary: Boundary;
  /** Hears at once what ends the session. */
  readonly failed: (error: unknown) => void;
  /** Called once the slot is ours, before anything is applied: throws the Problem of a slot that has moved past `from`. */
  readonly verifySlot: () => Promise<void>;
}

/**
 * The stream at work: bytes -> messages -> batches -> target -> acknowledgement, until the signal aborts (then it
 * resolves, what was being applied finished) or anything fails (then it rejects with a Problem).
 */
export async function follow(options: FollowOptions, signal: AbortSignal): Promise<void> {
  using intake = openIntake(options);
  await together(
    signal,
    (inner) => {
      const follower = new Follower(options, intake, inner);
      return [
        follower.receive(),
        follower.verify(),
        follower.apply(),
        follower.look(),
        follower.watchFlush(),
        follower.watchWaits(),
        follower.watchEarly(),
        follower.watchSilence(),
        follower.heartbeat.run(inner),
      ];
    },
    options.failed,
  );
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
  readonly #early: EarlyApplier;
  readonly #loop: ApplyLoop;
  readonly #confirmer: Confirmer;
  readonly #queueLimit: number;
  readonly #watch: Stopwatch;
  readonly #started = new Milestone();
  readonly #verified = new Milestone();
  readonly #pressure: Backpressure;
  #heardAt = performance.now();

  constructor(options: FollowOptions, intake: Intake, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
    this.#intake = intake;
    const { applier, boundary, from, gate, observer, openEarly: open, stream, target } = options;
    const bytes = batchBytes(options);
    // One batch is under way and one is made ready.
    this.#queueLimit = bytes * (BATCHES_HELD - 2);
    this.#pressure = new Backpressure(stream, (ms) => observer.backpressure(ms));
    this.#watch = new Stopwatch((activity, ms) => observer.spent(activity, ms));
    this.#confirmer = new Confirmer(options);
    const askPosition = (): void => this.#confirmer.send(true);
    this.heartbeat = new Heartbeat({ ...options.heartbeat, observer, applied: from, askPosition });
    this.#early = new EarlyApplier({ open, intake, target, fromBytes: bytes, isOpen: () => gate.isOpen });
    this.#loop = new ApplyLoop({
      applier,
      early: this.#early,
      intake,
      batchBytes: bytes,
      from,
      gate,
      boundary,
      confirmer: this.#confirmer,
      watch: this.#watch,
      observer,
      taken: () => this.#release(),
      reached: (lsn) => {
        observer.applied(lsn);
        this.heartbeat.reached(lsn);
      },
    });
    intake.space.onDrained = () => this.#release();
  }

  /** Bytes into messages into batches. Reading stops while too much waits for the target. */
  async receive(): Promise<void> {
    const { gate, observer, stream } = this.#options;
    const { batcher, space } = this.#intake;
    const confirmer = this.#confirmer;
    const onMessage = (data: Buffer, start: number, end: number): void => {
      const committed = this.#intake.push(data, start, end);
      if (committed !== null) confirmer.receivedUpTo(committed);
      observer.received(confirmer.received, end - start);
      this.#loop.gathered();
      if (batcher.queuedBytes > this.#queueLimit || space.congested) this.#pressure.hold();
    };
    const onKeepalive = (walEnd: Lsn, replyRequested: boolean): void => {
      confirmer.receivedUpTo(walEnd);
      // With nothing under way there is nothing of ours up to here: an unfollowed database moves on too.
      if (this.#verified.done && this.#loop.idle && gate.isOpen) this.#loop.advance(walEnd);
      observer.received(confirmer.received, 0);
      if (replyRequested) confirmer.send();
    };
    // Decoding while the target is busy costs nobody time.
    const onRead = (ms: number): void => {
      this.#heardAt = performance.now();
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
    this.#verified.reach();
  }

  /** Batches to the target. */
  async apply(): Promise<void> {
    await this.#verified.reached(this.#signal);
    await this.#loop.run(this.#signal);
  }

  /** Sends what may be acknowledged, and looks at what nobody else would notice while nothing arrives. */
  async look(): Promise<void> {
    const { observer } = this.#options;
    const { batcher, space } = this.#intake;
    while (await this.#pause()) {
      space.check();
      observer.queue(batcher.queuedBytes + space.memoryBytes, this.#queueLimit);
      observer.spilled(space.diskBytes);
      this.#watch.look();
      this.#pressure.book();
      if (this.#loop.checkpointDue) batcher.wake();
      this.#confirmer.sendIfDue();
    }
  }

  /** Learns how far the target's disk has got. */
  async watchFlush(): Promise<void> {
    await this.#confirmer.watchFlush(this.#signal);
  }

  /** Learns whether a batch that takes long waits for somebody's lock. */
  async watchWaits(): Promise<void> {
    const { target, applyPid: pid, observer } = this.#options;
    await watchTargetWaits({ target, pid, watch: this.#watch, told: (holder) => observer.locked(holder) }, this.#signal);
  }

  /** Learns whether the connection is lost and nobody has told. */
  async watchSilence(): Promise<void> {
    const { stream, walSenderTimeoutMs, look } = this.#options;
    await this.#started.reached(this.#signal);
    const heardAt = (): number => (this.#pressure.isHeld ? (this.#heardAt = performance.now()) : this.#heardAt);
    const ask = (): void => this.#confirmer.send(true);
    await watchSilence({ ...look, walSenderTimeoutMs, pid: () => stream.pid, heardAt, ask }, this.#signal);
  }

  /** Lets others have what they wait for. */
  async watchEarly(): Promise<void> {
    await this.#early.watch(this.#signal);
  }

  // Waits; false when it is over. An idle pipeline hardly ever wakes up.
  async #pause(): Promise<boolean> {
    const { batcher, space } = this.#intake;
    const busy = this.#confirmer.waiting || batcher.queuedBytes + space.memoryBytes + space.diskBytes > 0;
    const ms = busy ? LOOK_MS : Math.min(IDLE_LOOK_MS, this.#confirmer.intervalMs);
    await sleep(ms, null, { signal: this.#signal }).catch(() => {});
    return !this.#signal.aborted;
  }

  #release(): void {
    const { batcher, space } = this.#intake;
    if (batcher.queuedBytes <= this.#queueLimit / 2 && !space.congested) this.#pressure.release();
  }
}
