import { beforeEach, describe, expect, it } from 'vitest';
import { EventLog } from './events.ts';
import type { EventInput } from './events.ts';
import type { PipelineEvent } from './status.ts';

const START = Date.parse('2026-01-02T03:04:05Z');
const info = (message: string): EventInput => ({ level: 'info', code: 'NOTE', message });
const failure = (message: string, table?: string): EventInput => ({
  level: 'error',
  code: 'APPLY_FAILED',
  message,
  ...(table === undefined ? {} : { table }),
});

let nowMs = START;
let log: EventLog;
beforeEach(() => {
  nowMs = START;
  log = new EventLog({ now: () => nowMs });
});

describe('event log', () => {
  it('gives rising ids and what came after one', () => {
    const first = log.append(info('one'));
    const second = log.append(info('two'));
    expect(second.id).toBeGreaterThan(first.id);
    expect(first).toEqual({ id: START, at: '2026-01-02T03:04:05.000Z', level: 'info', code: 'NOTE', message: 'one' });
    expect(log.after(first.id).map((event) => event.message)).toEqual(['two']);
    expect(log.after()).toHaveLength(2);
  });

  it('keeps a thousand', () => {
    for (let i = 0; i < 1200; i++) log.append(info(`n${i}`));
    expect(log.after()).toHaveLength(1000);
    expect(log.after().at(-1)?.message).toBe('n1199');
  });

  it('counts a repeated failure on the first for a minute', () => {
    const told: PipelineEvent[] = [];
    log.subscribe((event) => told.push(event));
    const first = log.append(failure('no', 'public.a'));
    for (let i = 0; i < 100; i++) {
      nowMs += 500;
      log.append(failure(`no ${i}`, 'public.a'));
    }
    log.append(failure('no', 'public.b'));
    log.append(info('between'));
    const [folded] = log.after();
    expect(folded?.id).toBe(first.id);
    expect(folded?.message).toBe('no 99 (101 times, last at 03:04:55 UTC)');
    expect(log.after()).toHaveLength(3);
    expect(told.filter((event) => event.table === 'public.a').length).toBeLessThanOrEqual(51);
    nowMs = START + 60_000;
    log.append(failure('again', 'public.a'));
    expect(log.after().at(-1)?.message).toBe('again');
  });

  it('folds an info only when it says the same again at once', () => {
    for (const message of ['paused', 'paused', 'resumed', 'paused']) log.append(info(message));
    expect(log.after().map((event) => event.message)).toEqual(['paused (2 times, last at 03:04:05 UTC)', 'resumed', 'paused']);
    log.append(info('paused'));
    log.append(info('paused'));
    expect(log.after().at(-1)?.message).toBe('paused (3 times, last at 03:04:05 UTC)');
  });

  it('keeps findings apart, which are told once each', () => {
    for (const message of ['no type', 'no operator', 'no operator'])
      log.append({ level: 'warn', code: 'TABLE_FINDING', message });
    expect(log.after().map((event) => event.message)).toEqual(['no type', 'no operator (2 times, last at 03:04:05 UTC)']);
  });

  it('takes in the events of earlier runs, below what happened since', () => {
    log.append(info('now'));
    log.load([2, 1].map((id) => ({ ...info(`old ${id}`), id, at: new Date(id).toISOString() })));
    log.load([{ ...info('old 1'), id: 1, at: new Date(1).toISOString() }]);
    expect(log.after().map((event) => event.message)).toEqual(['old 1', 'old 2', 'now']);
  });

  it('goes on above the ids it loaded, also when the clock was set back', () => {
    log.load([{ ...info('from the future'), id: START + 5000, at: new Date(START + 5000).toISOString() }]);
    expect(log.append(info('now')).id).toBe(START + 5001);
  });
});

describe('saving events', () => {
  it('saves what happened before there was a sink, and a raised count again', async () => {
    const saved = new Map<number, string>();
    log.append(failure('no'));
    log.persistTo(async (events) => {
      for (const event of events) saved.set(event.id, event.message);
    });
    await log.flush();
    nowMs += 2000;
    log.append(failure('no'));
    await log.flush();
    expect([...saved.values()]).toEqual(['no (2 times, last at 03:04:07 UTC)']);
  });

  it('never throws when saving fails, and tries again with the next event', async () => {
    const saved: string[] = [];
    let broken = true;
    log.persistTo(async (events) => {
      if (broken) throw new Error('target away');
      saved.push(...events.map((event) => event.message));
    });
    log.append(info('one'));
    await log.flush();
    broken = false;
    log.append(info('two'));
    await log.flush();
    expect(saved).toEqual(['one', 'two']);
  });

  it('saves what happened during a write right after it', async () => {
    const saved: string[][] = [];
    log.persistTo(async (events) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      saved.push(events.map((event) => event.message));
    });
    for (const message of ['one', 'two', 'three']) log.append(info(message));
    await expect.poll(() => saved).toEqual([['one'], ['two', 'three']]);
  });

  it('outlives a sink that throws at once', async () => {
    log.persistTo(() => {
      throw new Error('no client');
    });
    log.append(info('one'));
    await log.flush();
    const saved: string[] = [];
    log.persistTo(async (events) => void saved.push(...events.map((event) => event.message)));
    await log.flush();
    expect(saved).toEqual(['one']);
  });

  it('has one write under way at a time', async () => {
    let running = 0;
    let most = 0;
    log.persistTo(async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 5));
      running -= 1;
    });
    for (let i = 0; i < 10; i++) log.append(info(`n${i}`));
    await log.flush();
    expect(most).toBe(1);
  });
});
