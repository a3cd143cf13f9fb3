import { expect, it } from 'vitest';
import type { PipelineEvent } from '../observe/status.ts';
import { testApi, testIo } from '../testing/cli-io.ts';
import { renderEvent } from './events.ts';
import { main } from './main.ts';

const EVENT: PipelineEvent = { id: 7, at: '2026-01-02T03:04:05.678Z', level: 'info', code: 'CAUGHT_UP', message: 'There.' };

it.each<[event: Partial<PipelineEvent>, line: string]>([
  [{}, '2026-01-02 03:04:05  info   CAUGHT_UP  There.'],
  [
    { level: 'error', table: 'public.t', message: 'No.', remedy: 'Run:\nALTER TABLE t;' },
    '2026-01-02 03:04:05  error  CAUGHT_UP  public.t: No.  ->  Run: ALTER TABLE t;',
  ],
  [{ message: 'a\u001b[2Jb' }, '2026-01-02 03:04:05  info   CAUGHT_UP  a\u{fffd}[2Jb'],
])('%j is one line', (parts, line) => expect(renderEvent({ ...EVENT, ...parts }, false)).toBe(line));

it('prints what happened after an id', async () => {
  await using api = await testApi({ 'GET /api/v1/events?after=6': { status: 200, body: { events: [EVENT] } } });
  const io = testIo();
  expect(await main(['events', '--after', '6', '--url', api.url], io)).toBe(0);
  expect(io.out()).toBe('2026-01-02 03:04:05  info   CAUGHT_UP  There.\n');
  const json = testIo();
  expect(await main(['events', '--after', '6', '--json', '--url', api.url], json)).toBe(0);
  expect(JSON.parse(json.out())).toEqual({ events: [EVENT] });
});

it('--level leaves out what is less', async () => {
  await using api = await testApi({ 'GET /api/v1/events?after=0&level=warn': { status: 200, body: { events: [EVENT] } } });
  expect(await main(['events', '--level', 'warn', '--url', api.url], testIo())).toBe(0);
  const wrong = testIo();
  expect(await main(['events', '--level', 'bad', '--url', api.url], wrong)).toBe(2);
  expect(wrong.err()).toContain('none of info, warn, error');
});

it('--follow goes on from the last one until a signal', async () => {
  const io = testIo();
  await using api = await testApi({
    'GET /api/v1/events?after=0': { status: 200, body: { events: [EVENT] } },
    'GET /api/v1/events?after=7': { status: 200, body: { events: [{ ...EVENT, id: 9, message: 'Again.' }] } },
    'GET /api/v1/events?after=9': () => {
      setTimeout(() => io.signal('SIGINT'), 20);
      return { status: 200, body: { events: [] } };
    },
  });
  expect(await main(['events', '--follow', '--json', '--url', api.url], io)).toBe(0);
  const lines = io
    .out()
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as PipelineEvent).message);
  expect(lines).toEqual(['There.', 'Again.']);
  expect(io.listening()).toBe(0);
});

it('an id that is none is a usage error', async () => {
  const io = testIo();
  expect(await main(['events', '--after', 'x'], io)).toBe(2);
  expect(io.err()).toContain('no id of an event');
});
