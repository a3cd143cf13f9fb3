import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { SESSION_COOKIE, SESSION_SECONDS } from '../access.ts';
import type { HttpContext } from '../context.ts';
import { APP_SCRIPT, FAVICON, STYLE } from '../page/assets.ts';
import { renderLogin } from '../page/message.ts';
import { renderMain, renderPage } from '../page/render.ts';
import type { PageView } from '../page/view.ts';

const HTML = 'text/html; charset=utf-8';
/** A wrong token costs the asker this much. */
const WRONG_TOKEN_MS = 300;

/** The status page, what it is made of, and the forms on it. Not part of the API. */
export function pageRoutes(app: FastifyInstance, context: HttpContext): void {
  const { access, controls, now } = context;
  const internal = { config: { internal: true } };

  app.get('/', async (_, reply) => reply.type(HTML).send(renderPage(viewOf(context))));
  app.get('/fragments/main', internal, async (_, reply) => reply.type(HTML).send(renderMain(viewOf(context))));
  app.get('/assets/style.css', internal, async (_, reply) => reply.type('text/css; charset=utf-8').send(STYLE));
  app.get('/assets/app.js', internal, async (_, reply) => reply.type('text/javascript; charset=utf-8').send(APP_SCRIPT));
  app.get('/favicon.svg', internal, async (_, reply) => reply.type('image/svg+xml').send(FAVICON));

  app.post('/actions/pause', internal, async (request, reply) => {
    await controls.pause(visitor(request));
    return reply.redirect('/', 303);
  });
  app.post('/actions/resume', internal, async (request, reply) => {
    await controls.resume(visitor(request));
    return reply.redirect('/', 303);
  });

  app.post<{ Body: { token?: unknown } | undefined }>('/login', internal, async (request, reply) => {
    const candidate = request.body?.token;
    if (access.needsToken && !(typeof candidate === 'string' && access.isToken(candidate.trim()))) {
      await sleep(WRONG_TOKEN_MS);
      return reply
        .code(401)
        .type(HTML)
        .send(renderLogin({ failed: true }));
    }
    if (access.needsToken) {
      const secure = request.headers['x-forwarded-proto'] === 'https';
      const options = { httpOnly: true, sameSite: 'strict', path: '/', maxAge: SESSION_SECONDS, secure } as const;
      reply.setCookie(SESSION_COOKIE, access.newSession(now()), options);
    }
    return reply.redirect('/', 303);
  });
  app.post('/logout', internal, async (_, reply) => reply.clearCookie(SESSION_COOKIE, { path: '/' }).redirect('/', 303));
}

function viewOf({ model, events, access, now }: HttpContext): PageView {
  return {
    status: model.status(),
    tables: model.tables(),
    findings: model.findings.read(),
    events: events.after(),
    curves: model.history('15m'),
    queue: model.queueReading,
    slot: model.slotReading,
    lagAtLeast: model.lag().atLeast,
    nowMs: now(),
    canLogOut: access.needsToken,
    formToken: access.formToken,
  };
}

function visitor(request: FastifyRequest): string {
  return `the status page, from ${request.ip}`;
}
