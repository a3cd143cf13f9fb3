import { describe, expect, it } from 'vitest';
import { Lag } from './lag.ts';

type Step =
  | { at: number; emit: string }
  | { at: number; apply: string }
  | { at: number; shows: number }
  | { at: number; session: true }
  | { at: number; seconds: number | null; atLeast?: true };

const SECOND = 1000;

/** Heartbeats `1..n`, one a second from `from`, each applied after `roundTripMs`. */
function beats(from: number, n: number, roundTripMs: number): Step[] {
  return Array.from({ length: n }, (_, i): Step[] => [
    { at: from + i * SECOND, emit: `h${from + i * SECOND}` },
    { at: from + i * SECOND + roundTripMs, apply: `h${from + i * SECOND}` },
  ]).flat();
}

const CASES: Record<string, Step[]> = {
  'is not known before anything is': [{ at: 5000, seconds: null }],
  'idle: the last round trip': [...beats(0, 5, 40), { at: 4500, seconds: 0.04 }, { at: 4999, seconds: 0.04 }],
  'stuck: grows by a second a second': [
    ...beats(0, 2, 40),
    { at: 2000, emit: 'a' },
    { at: 3000, emit: 'b' },
    { at: 4000, emit: 'c' },
    { at: 5000, seconds: 3 },
    { at: 65_000, seconds: 63 },
  ],
  'unstuck: a later heartbeat settles the earlier ones': [
    { at: 0, emit: 'a' },
    { at: 1000, emit: 'b' },
    { at: 2000, emit: 'c' },
    { at: 2500, apply: 'b' },
    { at: 2600, seconds: 0.6 },
    { at: 2700, apply: 'c' },
    { at: 2800, seconds: 0.7 },
  ],
  'cut off from the source: nothing in flight, nothing sent': [
    ...beats(0, 3, 40),
    { at: 4900, seconds: 0.04 },
    { at: 5500, seconds: 3.5, atLeast: true },
    { at: 62_000, seconds: 60, atLeast: true },
  ],
  'cut off with a heartbeat in flight': [
    ...beats(0, 3, 40),
    { at: 3000, emit: 'lost' },
    { at: 63_000, seconds: 60 },
    { at: 63_000, emit: 'after' },
    { at: 63_050, apply: 'after' },
    { at: 63_100, seconds: 0.05 },
  ],
  'paused: grows and is not forgotten': [
    ...beats(0, 2, 40),
    ...Array.from({ length: 600 }, (_, i): Step => ({ at: 2000 + i * SECOND, emit: `p${i}` })),
    { at: 602_000, seconds: 600 },
    { at: 602_500, apply: 'p599' },
    { at: 602_600, seconds: 1.5 },
  ],
  'paused for a day: memory is bounded, the oldest stays': [
    ...beats(0, 2, 40),
    ...Array.from({ length: 86_400 }, (_, i): Step => ({ at: 2000 + i * SECOND, emit: `p${i}` })),
    { at: 86_402_000, seconds: 86_400 },
  ],
  'downtime: the age of what is on the target, until the first heartbeat of this run': [
    { at: 100_000, shows: 40_000 },
    { at: 100_000, emit: 'a' },
    { at: 101_000, seconds: 61 },
    { at: 102_000, shows: 90_000 },
    { at: 103_000, seconds: 13 },
    { at: 103_500, apply: 'from an earlier run' },
    { at: 104_000, seconds: 14 },
    { at: 104_500, emit: 'b' },
    { at: 105_000, apply: 'a' },
    { at: 105_500, seconds: 1 },
  ],
  'the stream was cut, the source went on writing: not near zero again before something of the new session arrives': [
    ...beats(0, 3, 40),
    { at: 3000, emit: 'on its way' },
    { at: 3600, seconds: 0.6 },
    // Nothing is sent while the source cannot be reached.
    { at: 63_000, seconds: 60 },
    { at: 63_000, session: true },
    { at: 63_010, emit: 'new' },
    { at: 63_500, seconds: 61.5 },
    { at: 64_000, apply: 'on its way' },
    { at: 64_000, seconds: 61 },
    // The backlog is worked off.
    { at: 65_000, shows: 50_000 },
    { at: 65_000, seconds: 15 },
    { at: 66_000, emit: 'next' },
    { at: 66_400, apply: 'new' },
    { at: 66_500, seconds: 0.5 },
  ],
  'the stream was cut for a moment on an idle database: a second at most': [
    ...beats(0, 3, 40),
    { at: 2500, session: true },
    { at: 2510, emit: 'new' },
    { at: 2520, seconds: 0.52 },
    { at: 2550, apply: 'new' },
    { at: 2600, seconds: 0.04 },
  ],
  'the first copy: the age of the snapshot that is copied, until the stream has arrived': [
    { at: 0, shows: 0 },
    { at: 3_600_000, seconds: 3600 },
    { at: 3_600_000, session: true },
    { at: 3_600_000, emit: 'a' },
    { at: 3_602_000, shows: 1_800_000 },
    { at: 3_602_000, seconds: 1802 },
    { at: 3_604_000, emit: 'b' },
    { at: 3_604_100, apply: 'a' },
    { at: 3_604_500, seconds: 0.5 },
  ],
  'first start: the age of the first heartbeat': [
    { at: 0, emit: 'a' },
    { at: 700, seconds: 0.7 },
  ],
  'a heartbeat seen on the target before its sender knows that it left': [
    { at: 10, apply: 'quick' },
    { at: 20, emit: 'quick' },
    { at: 500, seconds: 0 },
  ],
  'never negative: the clock is set back': [
    { at: 10_000, emit: 'a' },
    { at: 9000, apply: 'a' },
    { at: 9100, seconds: 0 },
    { at: 9200, emit: 'b' },
    { at: 8000, seconds: 0 },
  ],
};

describe('lag in seconds', () => {
  it.each(Object.entries(CASES))('%s', (_, steps) => {
    const lag = new Lag({ intervalMs: SECOND });
    for (const step of steps) {
      if ('emit' in step) lag.emitted(step.emit, step.at);
      else if ('apply' in step) lag.applied(step.apply, step.at);
      else if ('shows' in step) lag.shows(step.shows);
      else if ('session' in step) lag.sessionBegins(step.at);
      else expect(lag.read(step.at)).toEqual({ seconds: step.seconds, atLeast: step.atLeast ?? false });
    }
  });

  it('knows when the newest heartbeat on the target was emitted', () => {
    const lag = new Lag({ intervalMs: SECOND });
    expect(lag.shownMs).toBeNull();
    lag.shows(1000);
    expect(lag.shownMs).toBe(1000);
    lag.emitted('a', 5000);
    lag.applied('a', 5100);
    lag.emitted('b', 6000);
    expect(lag.shownMs).toBe(5000);
    // The source's clock is a little ahead of ours: not taken for the truth.
    lag.shows(9000);
    expect(lag.shownMs).toBe(5000);
  });
});
