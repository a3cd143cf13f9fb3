import type { FastifyInstance } from 'fastify';
import { caller } from '../caller.ts';
import type { HttpContext } from '../context.ts';
import { unknownTable } from './status.ts';

const BODY = {
  type: ['object', 'null'],
  additionalProperties: false,
  properties: { tables: { type: 'array', items: { type: 'string', pattern: '^[^.]+\\.[^.]+$' } } },
};

/** Comparing both sides of tables while they are written to. */
export function validationRoutes(app: FastifyInstance, { model, controls }: HttpContext): void {
  app.get('/api/v1/validations', async () => model.validations.read());

  app.post<{ Body: { tables?: string[] } | null }>('/api/v1/validations', { schema: { body: BODY } }, async (request, reply) => {
    const tables = request.body?.tables ?? [];
    const unknown = tables.find((table) => !model.table(table));
    if (unknown !== undefined) throw unknownTable(model, unknown);
    await controls.validate(tables, caller(request));
    return reply.code(202).send({ requested: 'validate', tables: model.validations.read().tables.map(({ table }) => table) });
  });

  app.delete('/api/v1/validations', async (request, reply) => {
    await controls.cancelValidation(caller(request));
    return reply.code(202).send({ requested: 'cancel' });
  });
}
