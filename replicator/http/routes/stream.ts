import type { ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import type { PipelineEvent } from '../../observe/status.ts';
import type { HttpContext } from '../context.ts';
import { SECURITY_HEADERS } from '../headers.ts';
import { RefusedRequest } from '../problem-response.ts';

export const STREAM_PATH = '/api/v1/stream';
const TICK_MS = 1000;
const PING_MS = 15_000;
const MAX_STREAMS = 100;
/** A client that reads slower than this gathers is cut off; it comes back and asks for what it missed. */
const MAX_UNREAD_BYTES = 1_048_576;

/** Everybody who listens to server-sent events, and the one timer that feeds them. */
export class StreamHub {
  readonly #context: HttpContext;
  /** When each got its last status, in ms since 1970. */
  readonly #clients = new Map<ServerResponse, number>();
  #timer: NodeJS.Timeout | null = null;
  #unsubscribe: (() => void) | null = null;
  #pingedMs: number;

  constructor(context: HttpContext) {
    this.#context = context;
    this.#pingedMs = context.now();
  }

  /** From now on the model is sampled for the page's curves, and clients get a status every second. */
  start(): void {
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS).unref();
    this.#unsubscribe ??= this.#context.events.subscribe((event) => this.#send(eventMessage(event)));
  }

  get full(): boolean {
    return this.#clients.size >= MAX_STREAMS;
  }

  /** `afterId`: events with a greater id are sent first; null: only what happens from now on. */
  add(client: ServerResponse, afterId: number | null): void {
    client.writeHead(200, { ...SECURITY_HEADERS, 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' });
    client.write('retry: 2000\n\n');
    if (afterId !== null) for (const event of this.#context.events.after(afterId)) client.write(eventMessage(event));
    client.write(this.#statusMessage());
    this.#clients.set(client, this.#context.now());
    client.once('close', () => this.#clients.delete(client));
  }

  close(): void {
    if (this.#timer) clearInterval(this.#timer);
    this.#unsubscribe?.();
    for (const client of this.#clients.keys()) client.end();
    this.#clients.clear();
  }

  #tick(): void {
    this.#context.model.sample();
    if (this.#clients.size === 0) return;
    const nowMs = this.#context.now();
    if (nowMs - this.#pingedMs >= PING_MS) {
      this.#pingedMs = nowMs;
      this.#send(': ping\n\n');
    }
    const message = this.#statusMessage();
    for (const [client, sentMs] of this.#clients) {
      // One who has just come had a status; one who still has unread bytes gets the next, an old one is of no use.
      if (nowMs - sentMs < TICK_MS * 0.9 || client.writableNeedDrain) continue;
      client.write(message);
      this.#clients.set(client, nowMs);
    }
  }

  #statusMessage(): string {
    return `event: status\ndata: ${JSON.stringify(this.#context.model.status())}\n\n`;
  }

  #send(message: string): void {
    for (const client of this.#clients.keys()) {
      if (client.writableLength > MAX_UNREAD_BYTES) client.destroy();
      else client.write(message);
    }
  }
}

/** GET /api/v1/stream. */
export function streamRoutes(app: FastifyInstance, hub: StreamHub): void {
  app.get<{ Querystring: { after?: number } }>(
    STREAM_PATH,
    {
      exposeHeadRoute: false,
      schema: { querystring: { type: 'object', properties: { after: { type: 'integer', minimum: 0 } } } },
    },
    (request, reply) => {
      if (hub.full) {
        throw new RefusedRequest(
          'TOO_MANY_STREAMS',
          `${MAX_STREAMS} streams are open.`,
          'Close some, or ask GET /api/v1/status instead.',
        );
      }
      const last = request.headers['last-event-id'];
      const afterId = typeof last === 'string' && /^\d+$/.test(last) ? Number(last) : (request.query.after ?? null);
      reply.hijack();
      hub.add(reply.raw, afterId);
    },
  );
}

function eventMessage(event: PipelineEvent): string {
  return `id: ${event.id}\nevent: event\ndata: ${JSON.stringify(event)}\n\n`;
}
