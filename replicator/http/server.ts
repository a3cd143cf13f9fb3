import cookie from '@fastify/cookie';
import formbody from '@fastify/formbody';
import fastify from 'fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import type { EventLog } from '../observe/events.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { StatusModel } from '../observe/model.ts';
import type { PipelineControls } from '../observe/status.ts';
import { Problem } from '../problem.ts';
import { Access, FORM_FIELD, SESSION_COOKIE, isLoopback } from './access.ts';
import { compressAnswers } from './compress.ts';
import type { HttpContext, Settings } from './context.ts';
import { SECURITY_HEADERS } from './headers.ts';
import { renderLogin } from './page/message.ts';
import { isPagePath } from './page/paths.ts';
import { RefusedRequest, sendError } from './problem-response.ts';
import { actionRoutes } from './routes/actions.ts';
import { diagnosticsRoutes } from './routes/diagnostics.ts';
import { healthRoutes } from './routes/health.ts';
import { pageRoutes } from './routes/page.ts';
import { controlRoutes } from './routes/control.ts';
import { statusRoutes } from './routes/status.ts';
import { STREAM_PATH, StreamHub, streamRoutes } from './routes/stream.ts';
import { tableRoutes } from './routes/tables.ts';
import { validationRoutes } from './routes/validations.ts';

export interface HttpOptions {
  readonly config: { host: string; port: number; token?: string | null | undefined; insecure: boolean };
  readonly model: StatusModel;
  readonly events: EventLog;
  readonly metrics: Metrics;
  readonly controls: PipelineControls;
  readonly settings: Settings;
  readonly log: Logger;
  readonly version: string;
}

export interface HttpServer {
  /** `http://127.0.0.1:5884`, with the port that was given when 0 was asked for. */
  readonly address: string;
  /** Ends open event streams too. */
  close(): Promise<void>;
}

/** Serves page, API and metrics from memory: it answers whether or not a database does. Throws Problem when it cannot listen. */
export async function startHttpServer(options: HttpOptions): Promise<HttpServer> {
  const { config } = options;
  const token = config.token ? config.token : null;
  if (token === null && !config.insecure && !isLoopback(config.host)) {
    throw new Problem('CONFIG_INVALID', `http.host ${config.host} can be reached by other machines, and there is no http.token`, {
      remedy: 'Set PGFOLLOW_API_TOKEN, or http.host to 127.0.0.1, or http.insecure to true.',
    });
  }
  const { app, hub } = await buildServer({ ...options, token });
  try {
    await app.listen({ host: config.host, port: config.port });
  } catch (error) {
    await app.close();
    throw listenProblem(error, config);
  }
  hub.start();
  const bound = app.server.address();
  const port = typeof bound === 'object' && bound ? bound.port : config.port;
  const address = `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`;
  options.log.info({ address, authentication: token === null ? 'none' : 'token' }, 'listening');
  return {
    address,
    close: async () => {
      hub.close();
      await app.close();
    },
  };
}

/** The application without its socket. */
async function buildServer(
  options: Omit<HttpOptions, 'config'> & { config: { host: string }; token: string | null },
): Promise<{ app: FastifyInstance; hub: StreamHub }> {
  const { model, events, metrics, controls, settings, log } = options;
  const access = new Access({ token: options.token, host: options.config.host });
  const context: HttpContext = { model, events, metrics, controls, settings, access, log, now: Date.now };
  const app = fastify({ logger: false, forceCloseConnections: true, bodyLimit: 65_536, return503OnClosing: false });
  await app.register(cookie);
  await app.register(formbody);
  allowEmptyJson(app);
  compressAnswers(app);

  app.addHook('onRequest', async (request, reply) => {
    reply.headers(SECURITY_HEADERS);
    return guard(context, request, reply);
  });
  app.addHook('preHandler', async (request) => guardForm(context, request));
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? '(unknown)';
    // A stream ends when its reader leaves, which tells nothing.
    if (route === STREAM_PATH) return;
    const { method } = request;
    metrics.answered({ method, route, status: reply.statusCode, seconds: reply.elapsedTime / 1000 });
  });
  app.setErrorHandler((error, request, reply) => sendError(error, request, reply, log));
  app.setNotFoundHandler((request) => {
    const remedy = 'GET /api/v1/openapi.json lists every path and its methods.';
    throw new RefusedRequest('NOT_FOUND', `There is no ${request.method} ${request.url.split('?', 1)[0]}.`, remedy);
  });

  return { app, hub: registerRoutes(app, context) };
}

/** Every path there is. */
export function registerRoutes(app: FastifyInstance, context: HttpContext): StreamHub {
  const hub = new StreamHub(context);
  healthRoutes(app, context);
  statusRoutes(app, context);
  streamRoutes(app, hub);
  controlRoutes(app, context);
  tableRoutes(app, context);
  validationRoutes(app, context);
  diagnosticsRoutes(app, context);
  pageRoutes(app, context);
  actionRoutes(app, context);
  return hub;
}

const OPEN_PATHS = new Set(['/livez', '/readyz']);

/** Before any route: the token, then, for what changes something, where the request comes from. */
async function guard(
  { access, now }: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply | undefined> {
  const path = request.url.split('?', 1)[0] ?? '/';
  const changes = !['GET', 'HEAD', 'OPTIONS'].includes(request.method);
  if (OPEN_PATHS.has(path) && !changes) return undefined;
  if (path !== '/login') {
    const { authorization } = request.headers;
    const credentials = { authorization, sessionCookie: request.cookies[SESSION_COOKIE], path };
    if (!access.allows(credentials, now())) {
      if (isPagePath(path) && !changes)
        return reply
          .code(401)
          .type('text/html; charset=utf-8')
          .send(renderLogin({ failed: false }));
      const how = 'Send the header "Authorization: Bearer TOKEN"; the token is http.token (PGFOLLOW_API_TOKEN).';
      throw new RefusedRequest('UNAUTHORIZED', authorization ? 'The token is not the right one.' : 'No token was sent.', how);
    }
  }
  const refusal = changes ? access.refusal(request.headers) : access.hidesFrom(request.headers.host) ? 'host' : null;
  if (refusal === 'origin') {
    throw new RefusedRequest(
      'FORBIDDEN_ORIGIN',
      `A page of ${request.headers.origin ?? 'another site'} may not change anything here.`,
      'Use the status page itself; a proxy in front of it must pass the Host header on as it came.',
    );
  }
  if (refusal === 'host') {
    throw new RefusedRequest(
      'FORBIDDEN_HOST',
      `Without a token nothing is answered under the host name ${request.headers.host ?? ''}.`,
      'Use localhost or an IP address, or set http.token (PGFOLLOW_API_TOKEN).',
    );
  }
  return undefined;
}

/** The page's own forms: whoever sends one must have been able to read the page. The API's clients have no forms. */
function guardForm({ access }: HttpContext, request: FastifyRequest): void {
  const path = request.url.split('?', 1)[0] ?? '/';
  if (request.method !== 'POST' || !(path.startsWith('/actions/') || path === '/logout')) return;
  const fields = request.body as Record<string, unknown> | null | undefined;
  if (access.isFormToken(fields?.[FORM_FIELD])) return;
  throw new RefusedRequest(
    'FORBIDDEN_FORM',
    'This form does not come from the status page as it is now: pgfollow may have been started again since.',
    'Load the status page again and repeat what you did.',
  );
}

/** Clients that always say application/json also send it with nothing in it. */
function allowEmptyJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined);
    else void parse(request, body.toString(), done);
  });
}

function listenProblem(error: unknown, { host, port }: { host: string; port: number }): Problem {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE') {
    return new Problem('PORT_IN_USE', `another process listens on ${host}:${port}`, {
      remedy: 'Stop it, or set http.port (PGFOLLOW_HTTP_PORT) to a free port; 0 takes any.',
      cause: error,
    });
  }
  return new Problem(
    'CONFIG_INVALID',
    `cannot listen on ${host}:${port}: ${error instanceof Error ? error.message : String(error)}`,
    {
      remedy:
        'Set http.host (PGFOLLOW_HTTP_HOST) to an address of this machine and http.port (PGFOLLOW_HTTP_PORT) to a port above 1023.',
      cause: error,
    },
  );
}
