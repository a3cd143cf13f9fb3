/** How far the target is behind, in time. `atLeast`: the source does not answer, it may be more. */
export interface LagReading {
  readonly seconds: number | null;
  readonly atLeast: boolean;
}

interface Heartbeat {
  readonly id: string;
  readonly atMs: number;
}

/** Heartbeats remembered while none is applied (a long pause); beyond it every second one is forgotten. */
const MAX_IN_FLIGHT = 4096;

/**
 * Lag measured with heartbeats: small messages committed on the source, each remembered with our own
 * clock, so that no clock of a server matters. One counts as applied when everything committed before
 * it is durable on the target.
 *
 *   one in flight                     now - emission of the oldest in flight (stuck: grows a second a second)
 *   none in flight                    the last round trip (idle: milliseconds)
 *   none in flight, none sent lately  now - the last emission, at least (cut off from the source, or paused)
 *   none applied yet in this run      now - commit time of the newest transaction that is on the target
 */
export class Lag {
  readonly #intervalMs: number;
  #inFlight: Heartbeat[] = [];
  #lastEmitted: number | null = null;
  #roundTripMs: number | null = null;
  #basisMs: number | null = null;
  #appliedEmission: number | null = null;
  #early: string | null = null;

  constructor(options: { intervalMs: number }) {
    this.#intervalMs = options.intervalMs;
  }

  /** A heartbeat leaves for the source at `atMs`. */
  emitted(id: string, atMs: number): void {
    this.#lastEmitted = Math.max(atMs, this.#lastEmitted ?? atMs);
    if (this.#early === id) {
      this.#settle(atMs, atMs);
      return;
    }
    this.#inFlight.push({ id, atMs });
    if (this.#inFlight.length > MAX_IN_FLIGHT) {
      this.#inFlight = this.#inFlight.filter((_, i, all) => i % 2 === 0 || i === all.length - 1);
    }
  }

  /** Everything committed before this heartbeat is durable on the target. Ids of other runs are ignored. */
  applied(id: string, nowMs: number): void {
    const index = this.#inFlight.findIndex((heartbeat) => heartbeat.id === id);
    if (index === -1) {
      this.#early = id;
      return;
    }
    const { atMs } = this.#inFlight[index]!;
    this.#inFlight.splice(0, index + 1);
    this.#settle(atMs, nowMs);
  }

  /** Everything up to this commit was already on the target; while a backlog is read, call it again as it moves. */
  appliedBeforeStart(commitAtMs: number): void {
    this.#basisMs = Math.max(commitAtMs, this.#basisMs ?? commitAtMs);
  }

  read(nowMs: number): LagReading {
    const since = (thenMs: number): number => Math.max(0, nowMs - thenMs) / 1000;
    if (this.#roundTripMs === null) {
      const from = this.#basisMs ?? this.#inFlight[0]?.atMs ?? null;
      return { seconds: from === null ? null : since(from), atLeast: false };
    }
    const oldest = this.#inFlight[0];
    if (oldest) return { seconds: Math.max(since(oldest.atMs), 0), atLeast: false };
    const silentFor = since(this.#lastEmitted ?? nowMs);
    if (silentFor * 1000 > 3 * this.#intervalMs) return { seconds: silentFor, atLeast: true };
    return { seconds: this.#roundTripMs / 1000, atLeast: false };
  }

  /** When the newest heartbeat that is on the target was emitted, else the backlog's basis, else null. */
  get appliedEmissionMs(): number | null {
    return this.#appliedEmission ?? this.#basisMs;
  }

  #settle(emittedMs: number, nowMs: number): void {
    this.#roundTripMs = Math.max(0, nowMs - emittedMs);
    this.#appliedEmission = Math.max(emittedMs, this.#appliedEmission ?? emittedMs);
  }
}
