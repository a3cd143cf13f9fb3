import type { FastifyInstance } from 'fastify';
import { caller } from '../caller.ts';
import type { HttpContext } from '../context.ts';

/** Pause and resume, doing either twice is the same as once; and sequences, now. */
export function controlRoutes(app: FastifyInstance, { controls, model }: HttpContext): void {
  app.put('/api/v1/pipeline/pause', async (request, reply) => {
    await controls.pause(caller(request));
    return reply.code(202).send({ requested: 'pause', state: model.state });
  });

  app.put('/api/v1/pipeline/resume', async (request, reply) => {
    await controls.resume(caller(request));
    return reply.code(202).send({ requested: 'resume', state: model.state });
  });

  app.post('/api/v1/sequences', async () => controls.bringSequences());
}
