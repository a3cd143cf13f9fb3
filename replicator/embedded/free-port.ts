import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { Problem } from '../problem.ts';

/**
 * Where ports are looked for. Linux takes those of outgoing connections from 32768 up, others from 49152: below, nobody gets a port
 * that is free only while its server restarts.
 */
const FIRST = 15_000;
const LAST = 32_000;
const MOST_TRIES = 100;

/** A port on 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const port = randomInt(FIRST, LAST);
    if (await isFree(port)) return port;
  }
  throw new Problem('INTERNAL', `found no free port on 127.0.0.1 between ${FIRST} and ${LAST}`, {
    remedy: 'Look what listens there: ss -ltn. Stop what is not needed, or choose a port yourself.',
  });
}

function isFree(port: number): Promise<boolean> {
  return new Promise((told) => {
    const probe = createServer();
    probe.once('error', () => told(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => told(true)));
  });
}
