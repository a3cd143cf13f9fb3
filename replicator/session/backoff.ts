const FIRST_MS = 250;
const MOST_MS = 30_000;

/** Milliseconds to wait before attempt n (1, 2, …): doubling up to half a minute, so that a restart is noticed soon. */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
  const base = Math.min(MOST_MS, FIRST_MS * 2 ** Math.max(0, attempt - 1));
  // Up to a fifth less, so that several pipelines do not all knock at once.
  return Math.round(base * (1 - random() / 5));
}
