import type { FastifyRequest } from 'fastify';

/** Who asked, for the event that records it. */
export function caller(request: FastifyRequest): string {
  return `the API, from ${request.ip}`;
}
