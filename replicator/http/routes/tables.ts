import type { FastifyInstance } from 'fastify';
import { Problem } from '../../problem.ts';
import type { HttpContext } from '../context.ts';
import { RefusedRequest } from '../problem-response.ts';
import { followedTable } from './status.ts';
import type { TablePath } from './status.ts';

const BODY = {
  type: 'object',
  required: ['table'],
  additionalProperties: false,
  properties: { table: { type: 'string', pattern: '^[^.]+\\.[^.]+$' } },
};

/** Changing the set of tables while the others go on: described, and refused with the way that works in this version. */
export function tableRoutes(app: FastifyInstance, { model }: HttpContext): void {
  app.post<{ Body: { table: string } }>('/api/v1/tables', { schema: { body: BODY } }, async (request) => {
    const { table } = request.body;
    if (model.table(table)) throw new RefusedRequest('CONFLICT', `${table} is followed already.`, 'Nothing needs to be done.');
    throw notPossible(`Following ${table}`, 'Add it to tables.include (PGFOLLOW_TABLES) and start pgfollow again.');
  });

  app.delete<{ Params: TablePath }>('/api/v1/tables/:schema/:table', async (request) => {
    const { source } = followedTable(model, request.params);
    throw notPossible(
      `Not following ${source} any more`,
      'Add it to tables.exclude (PGFOLLOW_EXCLUDE) and start pgfollow again.',
    );
  });

  app.post<{ Params: TablePath }>('/api/v1/tables/:schema/:table/resync', async (request) => {
    const { source } = followedTable(model, request.params);
    throw notPossible(
      `Copying ${source} again`,
      'Run pgfollow teardown, empty the target tables, and start it again to copy everything.',
    );
  });

  app.post<{ Params: TablePath }>('/api/v1/tables/:schema/:table/retry', async (request) => {
    const { source } = followedTable(model, request.params);
    throw notPossible(`Retrying ${source} by hand`, 'Mend what its error names; pgfollow tries again by itself within a minute.');
  });
}

function notPossible(what: string, remedy: string): Problem {
  return new Problem('NOT_IMPLEMENTED', `${what} while the pipeline runs is not possible in this version.`, { remedy });
}
