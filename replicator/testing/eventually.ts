import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Tries until `attempt` neither throws nor returns false, and gives back what it returned. At the end
 * of `timeout` (ms, 15 s) throws what the last attempt threw.
 */
export async function eventually<T>(
  attempt: () => T | Promise<T>,
  { timeout = 15_000, interval = 50 }: { timeout?: number; interval?: number } = {},
): Promise<Exclude<T, false>> {
  const end = Date.now() + timeout;
  for (;;) {
    let problem: unknown;
    try {
      const result = await attempt();
      if (result !== false) return result as Exclude<T, false>;
      problem = new Error(`not so within ${timeout} ms: ${attempt.toString().slice(0, 200)}`);
    } catch (error) {
      problem = error;
    }
    if (Date.now() >= end) throw problem;
    await sleep(interval);
  }
}
