import { expect, test } from 'vitest';
import { Gate } from './gate.ts';

async function settled(promise: Promise<void>): Promise<boolean> {
  return Promise.race([promise.then(() => true), new Promise<boolean>((resolve) => setImmediate(() => resolve(false)))]);
}

const never = new AbortController().signal;

test('lets through while it is open, holds everybody while it is closed', async () => {
  const gate = new Gate();
  expect([gate.isOpen, await settled(gate.turned(never))]).toEqual([true, true]);
  gate.close();
  const waiting = [gate.turned(never), gate.turned(never)];
  expect(gate.isOpen).toBe(false);
  expect(await Promise.all(waiting.map(settled))).toEqual([false, false]);
  gate.open();
  expect(await Promise.all(waiting.map(settled))).toEqual([true, true]);
});

test('who is held looks around when called, and finds it closed', async () => {
  const gate = new Gate();
  gate.close();
  const waiting = gate.turned(never);
  gate.call();
  expect([await settled(waiting), gate.isOpen]).toEqual([true, false]);
  expect(await settled(gate.turned(never))).toBe(false);
});

test('a stop gets through a closed gate', async () => {
  const gate = new Gate();
  gate.close();
  const stop = new AbortController();
  const waiting = gate.turned(stop.signal);
  expect(await settled(waiting)).toBe(false);
  stop.abort();
  expect(await settled(waiting)).toBe(true);
  expect(await settled(gate.turned(stop.signal))).toBe(true);
  expect(gate.isOpen).toBe(false);
});
