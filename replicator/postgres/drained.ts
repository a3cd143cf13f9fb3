import type { Duplex } from 'node:stream';

/** Resolves when the socket takes more bytes, or is gone. A server that has refused a statement goes on reading, so this ends. */
export function drained(stream: Duplex): Promise<void> {
  if (!stream.writableNeedDrain || stream.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off('drain', done);
      stream.off('close', done);
      resolve();
    };
    stream.on('drain', done);
    stream.on('close', done);
  });
}
