import type { Duplex } from 'node:stream';

/** A pause between two bites. Longer ones let the receive buffer fill, and the walsender waits. */
const PAUSE_MS = 1;
/** Reads that follow each other closer than this are a burst. */
const BURST_GAP_MS = 1;
/** So many short reads in a burst before biting starts: a lone transaction's few messages never wait. */
const BURST_READS = 12;
/** node reads a socket up to 32 times before anybody else gets a turn: after this much the others come first. */
const TURN_BYTES = 256 * 1024;
/** A read this long means that bites are large already. */
const LONG_READ_BYTES = 48 * 1024;

export interface ReadBites {
  pause(): void;
  resume(): void;
  stop(): void;
}

/**
 * Reads in large bites while data floods in. The walsender issues a send() a message; waking up for each costs both
 * sides more than decoding does. So after a short read within a burst the socket rests for a millisecond and then
 * hands over all that came meanwhile. An idle or leisurely stream is never held.
 * pause() and resume() are for backpressure, on the same socket.
 */
export function biteReads(stream: Duplex): ReadBites {
  let shortReads = 0;
  let lastRead = 0;
  let held = false;
  let timer: NodeJS.Timeout | null = null;
  let turn: NodeJS.Immediate | null = null;
  let turnBytes = 0;
  const goOn = (): void => {
    if (!held && timer === null && stream.isPaused()) stream.resume();
  };
  const rest = (): void => {
    timer = null;
    goOn();
  };
  const nextTurn = (): void => {
    turn = null;
    turnBytes = 0;
    goOn();
  };
  const onData = (chunk: Buffer): void => {
    const now = performance.now();
    shortReads = now - lastRead < BURST_GAP_MS + PAUSE_MS && chunk.length < LONG_READ_BYTES ? shortReads + 1 : 0;
    lastRead = now;
    turn ??= setImmediate(nextTurn);
    turnBytes += chunk.length;
    if (turnBytes >= TURN_BYTES) stream.pause();
    if (shortReads >= BURST_READS && timer === null && !held) {
      stream.pause();
      timer = setTimeout(rest, PAUSE_MS);
    }
  };
  stream.on('data', onData);
  return {
    pause(): void {
      held = true;
      stream.pause();
    },
    resume(): void {
      held = false;
      goOn();
    },
    stop(): void {
      if (timer) clearTimeout(timer);
      if (turn) clearImmediate(turn);
      stream.off('data', onData);
    },
  };
}
