import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { SESSION_COOKIE, SESSION_SECONDS } from '../access.ts';
import type { HttpContext } from '../context.ts';
import { FAVICON, SCRIPTS, STYLE } from '../page/assets.ts';
import { configPage } from '../page/config-page.ts';
import { addPage, removePage, resyncPage } from '../page/confirm-page.ts';
import { eventsPage } from '../page/events-section.ts';
import { renderDocument, renderPart } from '../page/layout.ts';
import { renderLogin } from '../page/message.ts';
import { parseQuery } from '../page/page-query.ts';
import { planPage } from '../page/plan-page.ts';
import { overviewPage } from '../page/render.ts';
import { tablePage } from '../page/table-page.ts';
import { THEME_COOKIE, parseTheme } from '../page/theme.ts';
import type { PageBody, PageView } from '../page/view.ts';
import { tableName } from './actions.ts';
import { followedTable, notFollowed } from './status.ts';
import type { TablePath } from './status.ts';

const HTML = 'text/html; charset=utf-8';
/** A wrong token costs the asker this much. */
const WRONG_TOKEN_MS = 300;
const INTERNAL = { config: { internal: true } };
/** With this header a page gives only what changes. */
const PART_HEADER = 'x-pgfollow-part';

/** The pages, and what they are made of. Not part of the API. */
export function pageRoutes(app: FastifyInstance, context: HttpContext): void {
  const { model, controls, settings } = context;
  const show = (request: FastifyRequest, reply: FastifyReply, page: (view: PageView) => PageBody): FastifyReply => {
    const view = viewOf(context, request);
    const render = request.headers[PART_HEADER] === 'main' ? renderPart : renderDocument;
    return reply.type(HTML).send(render(view, page(view)));
  };

  app.get('/', async (request, reply) => show(request, reply, overviewPage));
  app.get('/events', INTERNAL, async (request, reply) => show(request, reply, eventsPage));
  app.get('/config', INTERNAL, async (request, reply) => show(request, reply, () => configPage(settings.yaml)));
  app.get<{ Querystring: { table?: string } }>('/add', INTERNAL, async (request, reply) => {
    const { table } = request.query;
    if (table === undefined) return show(request, reply, addPage);
    // Only this page asks the databases: somebody wants to know.
    const plan = await controls.planTable(notFollowed(model, tableName(table)));
    return show(request, reply, (view) => planPage(view, plan));
  });
  for (const [path, page] of [
    ['', tablePage],
    ['/resync', resyncPage],
    ['/remove', removePage],
  ] as const) {
    app.get<{ Params: TablePath }>(`/tables/:schema/:table${path}`, INTERNAL, async (request, reply) => {
      const table = followedTable(model, request.params);
      return show(request, reply, (view) => page(view, table));
    });
  }

  app.get('/assets/style.css', INTERNAL, async (_, reply) => reply.type('text/css; charset=utf-8').send(STYLE));
  for (const [name, script] of SCRIPTS)
    app.get(`/assets/${name}`, INTERNAL, async (_, reply) => reply.type('text/javascript; charset=utf-8').send(script));
  app.get('/favicon.svg', INTERNAL, async (_, reply) => reply.type('image/svg+xml').send(FAVICON));
  loginRoutes(app, context);
}

function loginRoutes(app: FastifyInstance, { access, now }: HttpContext): void {
  app.post<{ Body: { token?: unknown } | undefined }>('/login', INTERNAL, async (request, reply) => {
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
  app.post('/logout', INTERNAL, async (_, reply) => reply.clearCookie(SESSION_COOKIE, { path: '/' }).redirect('/', 303));
}

function viewOf({ model, events, access, now }: HttpContext, request: FastifyRequest): PageView {
  const [path = '/', search = ''] = request.url.split('?', 2);
  const query = parseQuery(search);
  return {
    status: model.status(),
    tables: model.followed.all(),
    factsOf: (source) => model.followed.facts(source),
    findings: model.findings.read(),
    validations: model.validations.read(),
    events: events.after(),
    curves: model.history(query.range),
    queue: model.stream.queueReading,
    slot: model.stream.slotReading,
    lagAtLeast: model.stream.lag().atLeast,
    nowMs: now(),
    canLogOut: access.needsToken,
    formToken: access.formToken,
    query,
    path,
    theme: parseTheme(request.cookies[THEME_COOKIE]),
  };
}
