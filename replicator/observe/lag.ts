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
 *   none of this session applied yet  now - the newest moment of the source that the target is known to show
 *
 * A session begins at the start, and whenever the stream was away: what was written meanwhile was followed by no heartbeat,
 * so the first new one says little until it has arrived. Heartbeats, never keepalives: a source that decodes a large
 * transaction sends those too.
 */
export class Lag {
  readonly #intervalMs: number;
  #inFlight: Heartbeat[] = [];
  #lastEmitted: number | null = null;
  #roundTripMs: number | null = null;
  #shownMs: number | null = null;
  #sessionFromMs = 0;
  #early: string | null = null;

  constructor(options: { intervalMs: number }) {
    this.#intervalMs = options.intervalMs;
  }

  /** The stream starts, again: until a heartbeat that leaves from now on arrives, what the target shows may be old. */
  sessionBegins(nowMs: number): void {
    this.#sessionFromMs = nowMs;
    this.#roundTripMs = null;
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

  /**
   * Everything that was committed on the source up to `atMs`, by our clock, is on the target: what the checkpoint tells at
   * a start, and commit times as a backlog is worked off. Once heartbeats of the session arrive they know better.
   */
  shows(atMs: number): void {
    if (this.#roundTripMs === null) this.#showsUpTo(atMs);
  }

  read(nowMs: number): LagReading {
    const since = (thenMs: number): number => Math.max(0, nowMs - thenMs) / 1000;
    if (this.#roundTripMs === null) {
      const from = this.#shownMs ?? this.#inFlight[0]?.atMs ?? null;
      return { seconds: from === null ? null : since(from), atLeast: false };
    }
    const oldest = this.#inFlight[0];
    if (oldest) return { seconds: Math.max(since(oldest.atMs), 0), atLeast: false };
    const silentFor = since(this.#lastEmitted ?? nowMs);
    if (silentFor * 1000 > 3 * this.#intervalMs) return { seconds: silentFor, atLeast: true };
    return { seconds: this.#roundTripMs / 1000, atLeast: false };
  }

  /** When the newest heartbeat left, else null. */
  get emittedMs(): number | null {
    return this.#lastEmitted;
  }

  /** The newest moment of the source that the target is known to show, else null. */
  get shownMs(): number | null {
    return this.#shownMs;
  }

  #settle(emittedMs: number, nowMs: number): void {
    this.#showsUpTo(emittedMs);
    // One that left before the stream was away says nothing of what was written since.
    if (emittedMs >= this.#sessionFromMs) this.#roundTripMs = Math.max(0, nowMs - emittedMs);
  }

  #showsUpTo(atMs: number): void {
    this.#shownMs = Math.max(atMs, this.#shownMs ?? atMs);
  }
}
