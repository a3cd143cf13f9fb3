import { setMaxListeners } from 'node:events';

/**
 * Runs several loops that belong together until all have ended. They get a signal that aborts with the given one, and
 * as soon as one of them fails; that first failure is what this rejects with. `failed` hears of it before: the others may be waiting for a
 * server that does not answer, until somebody cuts them off.
 */
export async function together(
  signal: AbortSignal,
  start: (signal: AbortSignal) => readonly Promise<void>[],
  failed: (error: unknown) => void = () => {},
): Promise<void> {
  const abort = new AbortController();
  const inner = AbortSignal.any([signal, abort.signal]);
  // Every loop waits on it, some for several things.
  setMaxListeners(100, inner);
  const loops = start(inner);
  let first: { readonly error: unknown } | null = null;
  const fails = (error: unknown): void => {
    first ??= { error };
    abort.abort(error);
    failed(first.error);
  };
  await Promise.all(loops.map((loop) => loop.catch(fails)));
  const failure = first as { readonly error: unknown } | null;
  if (failure) throw failure.error;
}

/**
 * What `opening` gives, unless the signal aborts before: then rejects with its reason at once, and what is opened later
 * is handed to `close`.
 */
export async function openUnless<T>(signal: AbortSignal, opening: Promise<T>, close: (late: T) => void): Promise<T> {
  let onAbort: () => void = () => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([aborted, opening]);
  } catch (error) {
    if (signal.aborted) opening.then(close, () => {});
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
