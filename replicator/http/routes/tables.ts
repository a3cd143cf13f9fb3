import type { FastifyInstance } from 'fastify';
import { caller } from '../caller.ts';
import type { HttpContext } from '../context.ts';
import { followedTable, notFollowed } from './status.ts';
import type { TablePath } from './status.ts';

const BODY = {
  type: 'object',
  required: ['table'],
  additionalProperties: false,
  properties: { table: { type: 'string', pattern: '^[^.]+\\.[^.]+$' } },
};

/** Changing the set of tables while the others go on. */
export function tableRoutes(app: FastifyInstance, { model, controls }: HttpContext): void {
  const querystring = { type: 'object', properties: { dryRun: { type: 'boolean' } } };
  const schema = { body: BODY, querystring };
  app.post<{ Body: { table: string }; Querystring: { dryRun?: boolean } }>(
    '/api/v1/tables',
    { schema },
    async (request, reply) => {
      const { table } = request.body;
      if (request.query.dryRun) return reply.send(await controls.planTable(notFollowed(model, table)));
      const note = await controls.addTable(table, caller(request));
      return reply.code(202).send({ requested: 'add', table, note });
    },
  );

  app.delete<{ Params: TablePath }>('/api/v1/tables/:schema/:table', async (request, reply) => {
    const { source } = followedTable(model, request.params);
    const note = await controls.removeTable(source, caller(request));
    return reply.code(202).send({ requested: 'remove', table: source, note });
  });

  app.post<{ Params: TablePath; Querystring: { dryRun?: boolean } }>(
    '/api/v1/tables/:schema/:table/resync',
    { schema: { querystring } },
    async (request, reply) => {
      const { source } = followedTable(model, request.params);
      if (request.query.dryRun) return reply.send(await controls.planResync(source));
      const note = await controls.resyncTable(source, caller(request));
      return reply.code(202).send({ requested: 'resync', table: source, note });
    },
  );

  app.post<{ Params: TablePath }>('/api/v1/tables/:schema/:table/retry', async (request, reply) => {
    const { source } = followedTable(model, request.params);
    const note = await controls.retryTable(source, caller(request));
    return reply.code(202).send({ requested: 'retry', table: source, note });
  });
}
