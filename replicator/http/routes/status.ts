import type { FastifyInstance } from 'fastify';
import { RANGES } from '../../observe/history.ts';
import type { Range } from '../../observe/history.ts';
import type { StatusModel } from '../../observe/model.ts';
import type { TableStatus } from '../../observe/status.ts';
import type { HttpContext } from '../context.ts';
import { openApi } from '../openapi.ts';
import { LEVELS } from '../page/page-query.ts';
import type { Level } from '../page/page-query.ts';
import { RefusedRequest } from '../problem-response.ts';

export interface TablePath {
  schema: string;
  table: string;
}

/** What can be read: status, tables, events, and the description of the API. */
export function statusRoutes(app: FastifyInstance, { model, events }: HttpContext): void {
  app.get('/api/v1/status', async () => model.status());

  app.get('/api/v1/tables', async () => ({ tables: model.followed.all() }));

  app.get<{ Params: TablePath }>('/api/v1/tables/:schema/:table', async (request) => followedTable(model, request.params));

  app.get('/api/v1/findings', async () => model.findings.read());

  app.get<{ Querystring: { after?: number; level?: Level } }>(
    '/api/v1/events',
    {
      schema: {
        querystring: {
          type: 'object',
          properties: { after: { type: 'integer', minimum: 0 }, level: { type: 'string', enum: [...LEVELS] } },
        },
      },
    },
    async ({ query: { after, level = 'info' } }) => ({
      events: events.after(after).filter((event) => LEVELS.indexOf(event.level) >= LEVELS.indexOf(level)),
    }),
  );

  app.get<{ Querystring: { range?: Range } }>(
    '/api/v1/history',
    { schema: { querystring: { type: 'object', properties: { range: { type: 'string', enum: Object.keys(RANGES) } } } } },
    async (request) => model.history(request.query.range ?? '15m'),
  );

  const description = openApi(model.version);
  app.get('/api/v1/openapi.json', async () => description);
}

/** The table of a path, or what `unknownTable` says. */
export function followedTable(model: StatusModel, { schema, table }: TablePath): TableStatus {
  const name = `${schema}.${table}`;
  const found = model.table(name);
  if (found) return found;
  throw unknownTable(model, name);
}

/** The name of a table that is to be followed; RefusedRequest where it is. */
export function notFollowed(model: StatusModel, name: string): string {
  if (!model.table(name)) return name;
  throw new RefusedRequest('CONFLICT', `${name} is followed already.`, 'Nothing needs to be done.');
}

/** 404; a process that has just started does not know yet which tables are followed, and says that instead. */
export function unknownTable(model: StatusModel, name: string): RefusedRequest {
  if (model.followed.counts().total === 0)
    return new RefusedRequest(
      'CONFLICT',
      `Whether ${name} is followed is not known yet: no table has been taken up since pgfollow was started.`,
      'Try again once `pgfollow status` says catching_up or streaming.',
    );
  return new RefusedRequest(
    'UNKNOWN_TABLE',
    `${name} is not followed.`,
    'GET /api/v1/tables lists the tables that are, by their names on the source.',
  );
}
