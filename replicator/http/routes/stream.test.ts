import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { serve } from '../../testing/http-harness.ts';
import type { Harness } from '../../testing/http-harness.ts';

interface Message {
  event?: string;
  id?: string;
  data?: string;
  retry?: string;
}

let server: Harness;
let closed = false;
beforeEach(async () => {
  server = await serve();
  closed = false;
});
afterEach(async () => {
  if (!closed) await server.close();
});

/** Opens the stream; `next(n)` gives its first n messages so far and to come. */
async function open(path = '/api/v1/stream', headers: Record<string, string> = {}) {
  const abort = new AbortController();
  const response = await server.fetch(path, { headers, signal: abort.signal });
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  let text = '';
  const messages = (): Message[] =>
    text
      .split('\n\n')
      .slice(0, -1)
      .map((block) =>
        Object.fromEntries(
          block.split('\n').map((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)]),
        ),
      );
  return {
    response,
    close: () => abort.abort(),
    async next(count: number): Promise<Message[]> {
      while (messages().length < count) {
        const { value, done } = await reader.read();
        if (done) break;
        text += decoder.decode(value, { stream: true });
      }
      return messages();
    },
    async end(): Promise<boolean> {
      for (;;) if ((await reader.read()).done) return true;
    },
  };
}

describe('the event stream', () => {
  it('starts with how to come back and the status', async () => {
    const stream = await open();
    expect(stream.response.headers.get('content-type')).toMatch(/^text\/event-stream/);
    expect(stream.response.headers.get('cache-control')).toBe('no-store');
    const [retry, status] = await stream.next(2);
    expect(retry).toEqual({ retry: '2000' });
    expect(status?.event).toBe('status');
    expect(JSON.parse(status?.data ?? '')).toMatchObject({ name: 'shop', state: 'streaming' });
    stream.close();
  });

  it('brings a status a second, not more, and events at once with their ids', async () => {
    const stream = await open();
    await stream.next(2);
    const began = Date.now();
    const event = server.events.append({ level: 'info', code: 'NOTE', message: 'two\nlines' });
    const messages = await stream.next(5); // retry, status, event, and two more statuses
    expect(Date.now() - began).toBeGreaterThan(1500);
    const sent = messages.find((message) => message.event === 'event');
    expect(sent?.id).toBe(String(event.id));
    expect(JSON.parse(sent?.data ?? '')).toEqual(event);
    expect(messages.map((message) => message.event)).toEqual([undefined, 'status', 'event', 'status', 'status']);
    stream.close();
  });

  it('goes on after the last event that was seen', async () => {
    const [first, second] = ['one', 'two'].map((message) => server.events.append({ level: 'info', code: message, message }));
    for (const [path, headers] of [
      ['/api/v1/stream', { 'last-event-id': String(first!.id) }],
      [`/api/v1/stream?after=${first!.id}`, {}],
    ] as const) {
      const stream = await open(path, headers);
      const messages = await stream.next(3);
      expect(messages.map((message) => message.id).filter(Boolean)).toEqual([String(second!.id)]);
      stream.close();
    }
  });

  it('does not keep the server from closing', async () => {
    const stream = await open();
    await stream.next(2);
    const ended = stream.end();
    const began = Date.now();
    await server.close();
    closed = true;
    expect(await ended).toBe(true);
    expect(Date.now() - began).toBeLessThan(2000);
  });

  it('refuses more than a hundred', async () => {
    const streams = await Promise.all(Array.from({ length: 100 }, () => open()));
    const { status, headers } = await server.fetch('/api/v1/stream');
    expect([status, headers.get('content-type')]).toEqual([503, 'application/problem+json; charset=utf-8']);
    for (const stream of streams) stream.close();
  });
});
