import type { FastifyInstance } from 'fastify';
import { readiness } from '../../observe/readiness.ts';
import type { HttpContext } from '../context.ts';

/** /livez, /readyz and /metrics: what watches us asks here. */
export function healthRoutes(app: FastifyInstance, { model, metrics }: HttpContext): void {
  // Answering is the check: a process whose event loop stands still does not.
  app.get('/livez', async (_, reply) => reply.type('text/plain; charset=utf-8').send('ok\n'));

  app.get<{ Querystring: { verbose?: string } }>('/readyz', async (request, reply) => {
    const status = model.status();
    const { ready, reasons } = readiness(status);
    const word = (ok: boolean): string => (ok ? 'ok' : 'not ok');
    const verbose = [
      `source: ${word(status.source.connected)}`,
      `target: ${word(status.target.connected)}`,
      `pipeline: ${status.state}`,
      status.summary,
    ];
    const short = ready ? ['ok'] : ['not ready', ...reasons];
    const lines = request.query.verbose === undefined ? short : [...short, ...verbose];
    return reply
      .code(ready ? 200 : 503)
      .type('text/plain; charset=utf-8')
      .send(`${lines.join('\n')}\n`);
  });

  app.get('/metrics', async (_, reply) => reply.type(metrics.contentType).send(await metrics.text()));
}
