import type { Lsn } from '../postgres/lsn.ts';
import { Lag, type LagReading } from './lag.ts';
import { Positions } from './positions.ts';
import type { SlotReading } from './readings.ts';
import { WorkLedger, type Activity, type WorkReading } from './work.ts';

/**
 * How the stream goes: how far it has come, how far the target is behind, what waits on the way, where the time goes, and
 * what the slot keeps for it.
 */
export class StreamBook {
  readonly #now: () => number;
  readonly #startedMs: number;
  readonly #lag: Lag;
  readonly #work = new WorkLedger();
  #queue = { bytes: 0, limitBytes: 0 };
  #spillBytes = 0;
  #slot: SlotReading | null = null;
  /** Written by this book alone. */
  readonly positions = new Positions();
  /** Numbers that only rise, for metrics. `spilledBytes`: of the source while it decodes, since the first reading of the slot. */
  readonly counters = { receivedBytes: 0, backpressureMs: 0, spilledBytes: 0 };

  /** `now`: ms since 1970. */
  constructor({ now, heartbeatIntervalMs }: { now: () => number; heartbeatIntervalMs: number }) {
    this.#now = now;
    this.#startedMs = now();
    this.#lag = new Lag({ intervalMs: heartbeatIntervalMs });
  }

  // ---- written by the pipeline -------------------------------------------------------------

  /** The stream starts, again: see Lag. */
  sessionBegins(): void {
    this.#lag.sessionBegins(this.#now());
  }

  /** Where the source writes now (pg_current_wal_lsn, or what the stream says). */
  sourceWalEnd(lsn: Lsn): void {
    this.positions.walEnd = lsn;
  }

  /** `bytes`: payload since the last call. */
  received(lsn: Lsn, bytes: number): void {
    this.positions.received = lsn;
    this.counters.receivedBytes += bytes;
  }

  applied(lsn: Lsn): void {
    this.positions.applied = lsn;
  }

  acknowledged(lsn: Lsn): void {
    this.positions.acknowledged = lsn;
  }

  /** Call it before the heartbeat is sent; one that failed to go out does no harm. */
  heartbeatEmitted(id: string, atMs: number): void {
    this.#lag.emitted(id, atMs);
  }

  heartbeatApplied(id: string): void {
    this.#lag.applied(id, this.#now());
  }

  /** What was committed on the source up to `atMs`, by our clock, is on the target. */
  targetShows(atMs: number): void {
    this.#lag.shows(atMs);
  }

  /** Decoded or received, not yet applied. */
  queue(bytes: number, limitBytes: number): void {
    this.#queue = { bytes, limitBytes };
  }

  /** Of transactions that came while in progress on the source: what is kept on disk. */
  spill(bytes: number): void {
    this.#spillBytes = bytes;
  }

  /** Time in which reading from the source stood still because the target was slower. */
  backpressure(ms: number): void {
    this.counters.backpressureMs += ms;
    this.#work.queueFull(ms, this.#now());
  }

  /** Time on the way to the target, by what it went into; see ACTIVITIES. */
  spent(activity: Activity, ms: number): void {
    this.#work.spent(activity, ms, this.#now());
  }

  slot(reading: SlotReading | null): void {
    this.counters.spilledBytes += grown(this.#slot?.spilledBytes ?? null, reading?.spilledBytes ?? null);
    this.#slot = reading;
  }

  // ---- read ----------------------------------------------------------------------------------

  lag(): LagReading {
    return this.#lag.read(this.#now());
  }

  /** The newest moment of the source that the target shows: emission of a heartbeat, a commit; before any, our start. */
  get heartbeatAppliedMs(): number {
    return this.#lag.shownMs ?? this.#startedMs;
  }

  /** When the newest heartbeat left; null before any. */
  get heartbeatEmittedMs(): number | null {
    return this.#lag.emittedMs;
  }

  get queueReading(): { readonly bytes: number; readonly limitBytes: number } {
    return this.#queue;
  }

  get spillBytes(): number {
    return this.#spillBytes;
  }

  /** Seconds since the start; see WorkLedger. */
  secondsSpent(activity: Activity): number {
    return this.#work.total(activity);
  }

  /** Where the time went lately. */
  work(): WorkReading {
    return this.#work.read(this.#now());
  }

  get slotReading(): SlotReading | null {
    return this.#slot;
  }
}

/** What a counter of the server has come to since it was last seen; it may have been reset. */
function grown(before: number | null, now: number | null): number {
  if (before === null || now === null) return 0;
  return now >= before ? now - before : now;
}
