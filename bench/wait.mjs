const nobody = new Int32Array(new SharedArrayBuffer(4));

/** The system's monotonic clock, the same in all processes, ms. */
export function monotonicMs() {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Sleeps for fractions of a millisecond, which timers cannot; the event loop sleeps as well. */
export function waitMs(ms) {
  if (ms > 0) Atomics.wait(nobody, 0, 0, ms);
}
