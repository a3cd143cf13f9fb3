import { expect, test } from 'vitest';
import { openUnless, together } from './together.ts';

function never(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
}

test('the first failure ends the others, and is what it rejects with once all have ended', async () => {
  const ended: string[] = [];
  const failing = together(new AbortController().signal, (signal) => [
    never(signal).then(() => void ended.push('a')),
    Promise.reject(new Error('first')),
    never(signal).then(() => {
      ended.push('b');
      throw new Error('second');
    }),
  ]);
  await expect(failing).rejects.toThrow('first');
  expect(ended).toEqual(['a', 'b']);
});

test('resolves when all have ended because they were told to', async () => {
  const stop = new AbortController();
  const running = together(stop.signal, (signal) => [never(signal), never(signal)]);
  stop.abort();
  await running;
});

test('what is opened too late is closed, and nobody waits for it', async () => {
  const stop = new AbortController();
  const closed: string[] = [];
  let open: (value: string) => void = () => {};
  const opening = openUnless(stop.signal, new Promise<string>((resolve) => (open = resolve)), (late) => closed.push(late));
  stop.abort(new Error('stopped'));
  await expect(opening).rejects.toThrow('stopped');
  expect(closed).toEqual([]);
  open('late');
  await Promise.resolve();
  await Promise.resolve();
  expect(closed).toEqual(['late']);
  await expect(openUnless(stop.signal, Promise.resolve('later'), (late) => closed.push(late))).rejects.toThrow('stopped');
  expect(await openUnless(new AbortController().signal, Promise.resolve('in time'), () => {})).toBe('in time');
});
