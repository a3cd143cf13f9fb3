import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { HttpContext } from '../context.ts';
import { THEME_COOKIE, parseTheme } from '../page/theme.ts';
import { RefusedRequest } from '../problem-response.ts';
import { followedTable } from './status.ts';

const THEME_SECONDS = 400 * 86_400;

type Fields = Readonly<Record<string, string | undefined>>;

/**
 * The forms of the page. A browser is led back to where it came from; the script, which asks for JSON, gets 204. Events
 * record who did it. Where a form comes from was looked at before (server.ts).
 */
export function actionRoutes(app: FastifyInstance, { controls, model }: HttpContext): void {
  const action = (name: string, perform: (fields: Fields, by: string, reply: FastifyReply) => Promise<unknown>): void => {
    app.post(`/actions/${name}`, { config: { internal: true } }, async (request, reply) => {
      const fields = texts(request.body);
      await perform(fields, visitor(request), reply);
      const wantsPage = (request.headers.accept ?? '').includes('text/html') || request.headers.accept === '*/*';
      return wantsPage ? reply.redirect(back(fields), 303) : reply.code(204).send();
    });
  };
  const followed = (fields: Fields): string => {
    const name = fields['table'] ?? '';
    const dot = name.indexOf('.');
    return followedTable(model, { schema: name.slice(0, Math.max(0, dot)), table: name.slice(dot + 1) }).source;
  };

  action('pause', (_, by) => controls.pause(by));
  action('resume', (_, by) => controls.resume(by));
  action('add', (fields, by) => controls.addTable(tableName(fields['table']), by));
  action('remove', (fields, by) => controls.removeTable(confirmed(fields, followed(fields)), by));
  action('resync', (fields, by) => controls.resyncTable(confirmed(fields, followed(fields)), by));
  action('retry', (fields, by) => controls.retryTable(followed(fields), by));
  action('validate', (fields, by) => controls.validate([followed(fields)], by));
  action('cancel-validation', (_, by) => controls.cancelValidation(by));
  action('theme', async (fields, _, reply) => {
    const options = { httpOnly: true, sameSite: 'strict', path: '/', maxAge: THEME_SECONDS } as const;
    reply.setCookie(THEME_COOKIE, parseTheme(fields['theme']), options);
  });
}

/** Fields that came once. */
function texts(body: unknown): Fields {
  const entries = typeof body === 'object' && body !== null ? Object.entries(body) : [];
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

/** The name of a table as it was typed; RefusedRequest where it is none. */
export function tableName(typed: string | undefined): string {
  const name = (typed ?? '').trim();
  if (/^[^.]+\.[^.]+$/.test(name)) return name;
  throw new RefusedRequest('BAD_REQUEST', `"${name}" is not the name of a table.`, 'Give schema and table: public.orders.');
}

/** What cannot be taken back is done only for who typed the table's name. */
function confirmed(fields: Fields, source: string): string {
  if ((fields['confirm'] ?? '').trim() === source) return source;
  throw new RefusedRequest('BAD_REQUEST', `What was typed is not ${source}.`, `Go back and type ${source} to go on.`);
}

/** Only within the page: an address of another site is none. */
function back(fields: Fields): string {
  const to = fields['back'] ?? '/';
  return /^\/(?![/\\])[^\r\n]*$/.test(to) ? to : '/';
}

function visitor(request: FastifyRequest): string {
  return `the status page, from ${request.ip}`;
}
