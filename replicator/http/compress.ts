import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { FastifyInstance } from 'fastify';

const compress = promisify(gzip);
/** Less is not worth a header. */
const LEAST_BYTES = 1400;
/** The page goes out every second: most of what can be won comes cheap. */
const LEVEL = 4;
const TEXTS = /^(?:text\/(?!event-stream)|application\/(?:problem\+)?json|image\/svg)/;

/** Answers in text are compressed for who takes that; off the main thread. */
export function compressAnswers(app: FastifyInstance): void {
  app.addHook('onSend', async (request, reply, payload) => {
    if (typeof payload !== 'string' || payload.length < LEAST_BYTES) return payload;
    if (!TEXTS.test(String(reply.getHeader('content-type') ?? ''))) return payload;
    reply.header('vary', 'accept-encoding');
    if (!/\bgzip\b/.test(request.headers['accept-encoding'] ?? '')) return payload;
    reply.header('content-encoding', 'gzip');
    reply.removeHeader('content-length');
    return await compress(payload, { level: LEVEL });
  });
}
