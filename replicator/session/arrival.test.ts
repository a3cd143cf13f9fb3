import { expect, test } from 'vitest';
import type { Lsn } from '../postgres/lsn.ts';
import { Arrival } from './arrival.ts';

const at = (position: bigint): Lsn => position as Lsn;

function following(behind: string[], copying: boolean): Arrival {
  const arrival = new Arrival();
  arrival.expect({ goal: at(100n), behind, copying });
  arrival.started();
  return arrival;
}

test('a session has caught up, once, when position, copy and tables have arrived, in whatever order', () => {
  const steps: Record<string, (arrival: Arrival) => void> = {
    position: (arrival) => arrival.applied(at(100n)),
    copy: (arrival) => arrival.firstCopied(),
    table: (arrival) => arrival.came('public.t'),
  };
  const orders = ['position copy table', 'table copy position', 'copy position table', 'table position copy'];
  for (const order of orders) {
    const arrival = following(['public.t'], true);
    const looks = order.split(' ').map((step) => {
      steps[step]?.(arrival);
      return arrival.look();
    });
    expect(looks, order).toEqual([false, false, true]);
    expect(arrival.look()).toBe(false);
    expect(arrival.caughtUp).toBe(true);
  }
});

test('one byte before the goal is not there', () => {
  const arrival = following([], false);
  arrival.applied(at(99n));
  expect(arrival.look()).toBe(false);
  arrival.applied(at(100n));
  expect(arrival.look()).toBe(true);
});

test('the stage is that of the session: none before the stream has started, and none after its end', () => {
  const arrival = new Arrival();
  arrival.expect({ goal: at(1n), behind: [], copying: true });
  arrival.applied(at(1n));
  expect([arrival.stage, arrival.look()]).toEqual([null, false]);
  arrival.started();
  expect(arrival.stage).toBe('copying');
  arrival.firstCopied();
  expect(arrival.stage).toBe('catching_up');
  expect(arrival.look()).toBe(true);
  expect(arrival.stage).toBe('streaming');
  arrival.ended();
  expect([arrival.stage, arrival.caughtUp]).toEqual([null, false]);
  arrival.expect({ goal: at(5n), behind: [], copying: false });
  arrival.started();
  expect([arrival.look(), arrival.stage]).toEqual([false, 'catching_up']);
});
