import { RANGES } from '../observe/history.ts';
import { PIPELINE_STATES } from '../observe/status.ts';
import {
  BAD_QUERY,
  FOREIGN,
  HIDDEN,
  NOT_CONNECTED,
  NOT_NOW,
  UNAUTHORIZED,
  UNKNOWN,
  ok,
  plain,
  ref,
  refused,
  type Json,
} from './openapi-answers.ts';
import { SCHEMAS } from './openapi-schemas.ts';

const TABLE_PARAMETERS = ['schema', 'table'].map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } }));
const AFTER = {
  name: 'after',
  in: 'query',
  description: 'Only events with a greater id.',
  schema: { type: 'integer', minimum: 0 },
};

const LEVEL = {
  name: 'level',
  in: 'query',
  description: 'Only events of at least this level.',
  schema: { type: 'string', enum: ['info', 'warn', 'error'], default: 'info' },
};

function read(summary: string, answer: Json, more: Json = {}): Json {
  const { responses, ...rest } = more;
  return { summary, ...rest, responses: { 200: answer, ...UNAUTHORIZED, ...HIDDEN, ...(responses as Json | undefined) } };
}

function control(summary: string): Json {
  const schema = requested({ state: { type: 'string', enum: PIPELINE_STATES } });
  const accepted = ok('Durably requested; the state follows.', schema);
  return { summary, responses: { 202: accepted, ...UNAUTHORIZED, ...FOREIGN, ...NOT_CONNECTED } };
}

function requested(more: Json): Json {
  return {
    type: 'object',
    properties: { requested: { type: 'string' }, ...more },
    required: ['requested', ...Object.keys(more)],
  };
}

const REQUESTED = ok(
  'Durably requested; the state follows.',
  requested({
    table: { type: 'string' },
    note: { type: ['string', 'null'], description: 'What it waits for: a paused pipeline copies nothing before it is resumed.' },
  }),
);

function tableOperation(summary: string): Json {
  return {
    summary,
    parameters: TABLE_PARAMETERS,
    responses: { 202: REQUESTED, ...UNAUTHORIZED, ...FOREIGN, ...UNKNOWN, ...NOT_NOW, ...NOT_CONNECTED },
  };
}

const SEQUENCES = {
  summary: 'Bring the sequences of the target as far as those of the source are now.',
  responses: {
    200: ok('They are, but for those that are named.', ref('Sequences')),
    ...UNAUTHORIZED,
    ...FOREIGN,
    ...NOT_NOW,
    ...NOT_CONNECTED,
  },
};

const DRY_RUN = {
  name: 'dryRun',
  in: 'query',
  description: 'Only say what would happen.',
  schema: { type: 'boolean', default: false },
};

const VALIDATE = {
  summary: 'Compare both sides of tables, all that stream where none are named, while they are written to.',
  requestBody: {
    content: {
      'application/json': {
        schema: {
          type: 'object',
          properties: { tables: { type: 'array', items: { type: 'string' }, examples: [['public.orders']] } },
        },
      },
    },
  },
  responses: {
    202: ok('It begins.', requested({ tables: { type: 'array', items: { type: 'string' } } })),
    400: refused('The body is not as described.'),
    ...UNAUTHORIZED,
    ...FOREIGN,
    ...UNKNOWN,
    ...NOT_NOW,
  },
};

const PLANNED = ok('What would happen (dryRun); nothing has been changed.', ref('Plan'));

const ADD_TABLE = {
  summary: 'Follow one more table, or say what that would come down to.',
  parameters: [DRY_RUN],
  requestBody: {
    required: true,
    content: {
      'application/json': {
        schema: { type: 'object', required: ['table'], properties: { table: { type: 'string', examples: ['public.orders'] } } },
      },
    },
  },
  responses: {
    200: PLANNED,
    202: REQUESTED,
    400: refused('The body is not as described.'),
    ...UNAUTHORIZED,
    ...FOREIGN,
    404: refused('There is no such table on the source.'),
    409: refused('It is followed already, or cannot be followed now.'),
    ...NOT_CONNECTED,
  },
};

const RESYNC = {
  ...tableOperation('Copy a table again, or say what that would come down to.'),
  parameters: [...TABLE_PARAMETERS, DRY_RUN],
  responses: {
    200: PLANNED,
    400: refused('A parameter is not as described.'),
    ...(tableOperation('')['responses'] as Json),
  },
};

/** The description at GET /api/v1/openapi.json, kept by hand; a test holds it against the routes. */
export function openApi(version: string): Json {
  const list = (name: string, item: string): Json => ({
    type: 'object',
    properties: { [name]: { type: 'array', items: ref(item) } },
    required: [name],
  });
  return {
    openapi: '3.1.0',
    info: {
      title: 'pgfollow',
      version,
      description: 'State and control of one pipeline. Errors are application/problem+json (RFC 9457) with code and remedy.',
    },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }, {}],
    paths: {
      '/': { get: read('The status page.', ok('HTML', { type: 'string' }, 'text/html')) },
      '/livez': { get: { summary: 'Whether the process turns over.', security: [], responses: { 200: plain('It does.') } } },
      '/readyz': {
        get: {
          summary: 'Whether both databases answer and the pipeline works, or is paused.',
          security: [],
          parameters: [{ name: 'verbose', in: 'query', allowEmptyValue: true, schema: { type: 'string' } }],
          responses: { 200: plain('Ready.'), 503: plain('Not ready, and why.') },
        },
      },
      '/metrics': {
        get: read('Metrics for Prometheus.', plain('Exposition format.'), { security: [{ bearer: [] }, { basic: [] }, {}] }),
      },
      '/api/v1/status': { get: read('The pipeline.', ok('Its status.', ref('Status'))) },
      '/api/v1/tables': {
        get: read('All followed tables.', ok('The tables.', list('tables', 'Table'))),
        post: ADD_TABLE,
      },
      '/api/v1/tables/{schema}/{table}': {
        get: read('One table, by its name on the source.', ok('The table.', ref('Table')), {
          parameters: TABLE_PARAMETERS,
          responses: UNKNOWN,
        }),
        delete: tableOperation('Stop following a table; its rows on the target stay.'),
      },
      '/api/v1/tables/{schema}/{table}/resync': { post: RESYNC },
      '/api/v1/tables/{schema}/{table}/retry': {
        post: tableOperation('Try a table in error again, or what the target refuses of one that was created, at once.'),
      },
      '/api/v1/findings': {
        get: read(
          'What a look at both databases found that is no problem, but worth knowing.',
          ok('The last look.', ref('Findings')),
        ),
      },
      '/api/v1/events': {
        get: read('What happened, newest last.', ok('The last thousand at most.', list('events', 'Event')), {
          parameters: [AFTER, LEVEL],
          responses: BAD_QUERY,
        }),
      },
      '/api/v1/history': {
        get: read('The last 15 minutes by the second, or the last 24 hours by the minute.', ok('The curves.', ref('History')), {
          parameters: [{ name: 'range', in: 'query', schema: { type: 'string', enum: Object.keys(RANGES), default: '15m' } }],
          responses: { 400: refused('There is no such range.') },
        }),
      },
      '/api/v1/config': {
        get: read('The configuration in effect, without secrets.', ok('As `pgfollow config --json` gives it.', ref('Config'))),
      },
      '/api/v1/diagnostics': {
        get: read(
          'Everything that is known, in one file for a report: without secrets, without rows.',
          ok('Status, tables, findings, events, history, configuration, metrics.', ref('Diagnostics')),
        ),
      },
      '/api/v1/stream': {
        get: read(
          'Server-sent events: `status` at most once a second, `event` as they happen, with ids to go on from (Last-Event-ID).',
          ok('The stream.', { type: 'string' }, 'text/event-stream'),
          { parameters: [AFTER], responses: { ...BAD_QUERY, 503: refused('Too many streams are open.') } },
        ),
      },
      '/api/v1/pipeline/pause': { put: control('Stop applying; survives a restart.') },
      '/api/v1/pipeline/resume': { put: control('Go on applying.') },
      '/api/v1/sequences': { post: SEQUENCES },
      '/api/v1/validations': {
        get: read('The comparison under way, or the last one of this process.', ok('Table by table.', ref('Validations'))),
        post: VALIDATE,
        delete: {
          summary: 'End the comparison under way.',
          responses: { 202: ok('It ends.', requested({})), ...UNAUTHORIZED, ...FOREIGN, ...NOT_NOW },
        },
      },
      '/api/v1/openapi.json': { get: read('This description.', ok('OpenAPI 3.1.', { type: 'object' })) },
    },
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        basic: { type: 'http', scheme: 'basic', description: 'The token is the password.' },
      },
      schemas: SCHEMAS,
    },
  };
}
