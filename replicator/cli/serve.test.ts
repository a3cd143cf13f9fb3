import { describe, expect, it } from 'vitest';
import { configSchema } from '../config/schema.ts';
import type { PipelineEvent } from '../observe/status.ts';
import { Problem } from '../problem.ts';
import { serve, type Assembled, type ServeOptions } from './serve.ts';
import { sampleStatus, sampleTable, testIo, type TestIo } from '../testing/cli-io.ts';

const CONFIG = configSchema.parse({
  source: { url: 'postgresql://app:hunter2@x/shop' },
  target: { url: 'postgresql://app:hunter2@y/shop' },
  http: { token: 's3cret-token' },
});

/** A pipeline that runs until it is told to stop, and lists what happened to it. */
function fake(
  parts: { run?: (signal: AbortSignal) => Promise<void>; busyPorts?: number[]; state?: 'copying' | 'streaming' } = {},
) {
  const happened: string[] = [];
  const listeners = new Set<(event: PipelineEvent) => void>();
  const assembled: Assembled = {
    pipeline: {
      run:
        parts.run ??
        ((signal) =>
          new Promise((resolve) => {
            signal.addEventListener('abort', () => {
              happened.push('stopped');
              resolve();
            });
          })),
      model: {
        status: () => sampleStatus({ state: parts.state ?? 'streaming' }),
        tables: () => [sampleTable({ state: 'copying' })],
      },
      events: {
        subscribe(listener) {
          listeners.add(listener);
          return () => listeners.delete(listener);
        },
      },
    },
    listen: async ({ host, port }) => {
      if (parts.busyPorts?.includes(port)) {
        const cause = Object.assign(new Error('listen EADDRINUSE'), { code: 'EADDRINUSE' });
        throw new Problem('CONFIG_INVALID', 'in use', { remedy: '', cause });
      }
      happened.push(`listening on ${port}`);
      return { address: `http://${host}:${port}`, close: async () => void happened.push('closed') };
    },
  };
  const emit = (event: PipelineEvent): void => listeners.forEach((listener) => listener(event));
  return { assembled, happened, emit, listeners };
}

function start(io: TestIo, { assembled }: { assembled: Assembled }, options: Partial<ServeOptions> = {}) {
  return serve({ config: CONFIG, io, noColor: true, assemble: () => assembled, ...options });
}

const soon = (ms = 30) => new Promise((resolve) => setTimeout(resolve, ms));

describe('signals', () => {
  it('the first stops cleanly: pipeline, then server, exit code 0', async () => {
    const io = testIo();
    const made = fake();
    const served = start(io, made);
    await soon();
    io.signal('SIGTERM');
    expect(await served).toEqual({ exitCode: 0, forced: false });
    expect(made.happened).toEqual(['listening on 5884', 'stopped', 'closed']);
    expect(io.err()).toContain('Stopping (SIGTERM)');
    expect(io.listening()).toBe(0);
    expect(made.listeners.size).toBe(0);
  });

  it('the second ends at once', async () => {
    const io = testIo();
    const served = start(io, fake({ run: () => new Promise(() => {}) }));
    await soon();
    io.signal('SIGINT');
    io.signal('SIGINT');
    expect(await served).toEqual({ exitCode: 1, forced: true });
    expect(io.err()).toContain('Stopped at once');
  });

  it('a stop that takes too long is ended with a message', async () => {
    const io = testIo();
    const served = start(io, fake({ run: () => new Promise(() => {}) }), { stopWithinMs: 50 });
    await soon();
    io.signal('SIGINT');
    expect(await served).toEqual({ exitCode: 1, forced: true });
    expect(io.err()).toContain('Did not stop within 0.05 s');
  });
});

describe('ends with 1', () => {
  it('after a fault of the pipeline, which is logged without secrets', async () => {
    const io = testIo();
    const served = await start(io, fake({ run: async () => Promise.reject(new Error('no hunter2 and no s3cret-token')) }), {
      assemble: (_, log) => {
        log.info({ url: CONFIG.source.url }, 'configured');
        return fake({ run: async () => Promise.reject(new Error('hunter2 s3cret-token broke')) }).assembled;
      },
    });
    expect(served.exitCode).toBe(1);
    const lines = io
      .out()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.map(({ level, name }) => `${String(name)} ${String(level)}`)).toEqual(['pgfollow info', 'pgfollow fatal']);
    expect(io.out()).toContain('*** *** broke');
    expect(io.out()).not.toMatch(/hunter2|s3cret/);
  });

  it('when the pipeline ends without being asked', async () => {
    const io = testIo();
    expect(await start(io, fake({ run: async () => {} }))).toMatchObject({ exitCode: 1 });
    expect(io.err()).toContain('ended by itself');
  });
});

describe('a port that is in use', () => {
  it('is a failure that says so', async () => {
    await expect(start(testIo(), fake({ busyPorts: [5884] }))).rejects.toMatchObject({
      message: 'port 5884 on 127.0.0.1 is in use by another process.',
      exitCode: 1,
      remedy: expect.stringContaining('--http-port'),
    });
  });

  it('is replaced by the next free one where that is allowed, and said', async () => {
    const io = testIo();
    const made = fake({ busyPorts: [5884, 5885] });
    const ports: number[] = [];
    const served = start(io, made, { otherPort: true, onListening: ({ port }) => ports.push(port) });
    await soon();
    io.signal('SIGINT');
    await served;
    expect(ports).toEqual([5886]);
    expect(io.err()).toContain('Port 5884 is in use, so this one is on 5886.');
  });

  it('is not what every error is', async () => {
    const made = fake();
    const assembled = { ...made.assembled, listen: async () => Promise.reject(new Error('EACCES')) };
    await expect(start(testIo(), { assembled }, { otherPort: true })).rejects.toThrow('EACCES');
  });
});

it('tells once when the pipeline streams', async () => {
  const io = testIo();
  let times = 0;
  const served = start(io, fake(), { onStreaming: () => times++ });
  await soon(600);
  io.signal('SIGINT');
  await served;
  expect(times).toBe(1);
});

it('shows bars, events and messages on a terminal, and no JSON', async () => {
  const io = testIo({ tty: true });
  const made = fake({ state: 'copying' });
  const served = start(io, made);
  await soon();
  made.emit({ id: 1, at: '2026-01-02T03:04:05Z', level: 'warn', table: 'public.a', code: 'X', message: 'Odd.', remedy: 'Look.' });
  io.signal('SIGINT');
  await served;
  expect(io.out()).toContain('public.orders  [');
  expect(io.out()).toMatch(/\d\d:\d\d:\d\d public\.a: Odd\.\n +Look\./);
  expect(io.out()).toContain('Stopping (SIGINT)');
  expect(io.out()).not.toContain('{"level"');
  expect(io.err()).toBe('');
});
