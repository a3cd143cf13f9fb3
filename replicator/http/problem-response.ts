import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { PROBLEM_CODES, Problem } from '../problem.ts';
import type { ProblemCode } from '../problem.ts';
import { renderMessage } from './page/message.ts';
import { isPagePath } from './page/paths.ts';

/** What is wrong with a request rather than with the pipeline: status and title of each. */
const REQUEST_CODES = {
  BAD_REQUEST: [400, 'The request is not as the API describes it.'],
  UNAUTHORIZED: [401, 'This needs the API token.'],
  FORBIDDEN_ORIGIN: [403, 'The request comes from a page of another origin.'],
  FORBIDDEN_FORM: [403, 'The form was not made by the page as it is now.'],
  FORBIDDEN_HOST: [403, 'The request names a host that this server does not answer to.'],
  NOT_FOUND: [404, 'There is nothing at this path.'],
  UNKNOWN_TABLE: [404, 'This table is not followed.'],
  CONFLICT: [409, 'This is not possible in the present state.'],
  TOO_MANY_STREAMS: [503, 'Too many event streams are open.'],
} as const satisfies Record<string, readonly [number, string]>;

export type RequestCode = keyof typeof REQUEST_CODES;

/** A request that is refused: how a route says so. */
export class RefusedRequest extends Error {
  readonly code: RequestCode;
  readonly remedy: string;

  constructor(code: RequestCode, detail: string, remedy: string) {
    super(detail);
    this.name = 'RefusedRequest';
    this.code = code;
    this.remedy = remedy;
  }
}

/** RFC 9457, with `code` and `remedy`. */
interface ProblemDocument {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance: string;
  code: RequestCode | ProblemCode;
  remedy: string;
}

/** Answers with application/problem+json, or with a page where a browser asked for one. */
export async function sendError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  log: Logger,
): Promise<FastifyReply> {
  const problem = describe(error, request);
  if (problem.status >= 500 && problem.code !== 'NOT_IMPLEMENTED')
    log.error({ err: error, path: problem.instance }, 'request failed');
  if (problem.status === 401) {
    const scheme = problem.instance === '/metrics' ? 'Basic realm="pgfollow", charset="UTF-8", ' : '';
    reply.header('www-authenticate', `${scheme}Bearer realm="pgfollow"`);
  }
  reply.code(problem.status);
  if (wantsPage(request)) return reply.type('text/html; charset=utf-8').send(renderMessage(problem));
  return reply.type('application/problem+json; charset=utf-8').send(JSON.stringify(problem));
}

function describe(error: unknown, request: FastifyRequest): ProblemDocument {
  const instance = request.url.split('?', 1)[0] ?? '/';
  const document = (
    status: number,
    code: ProblemDocument['code'],
    title: string,
    detail: string,
    remedy: string,
  ): ProblemDocument => ({ type: `urn:pgfollow:problem:${code}`, title, status, detail, instance, code, remedy });

  if (error instanceof RefusedRequest) {
    const [status, title] = REQUEST_CODES[error.code];
    return document(status, error.code, title, error.message, error.remedy);
  }
  if (error instanceof Problem)
    return document(statusOf(error.code), error.code, PROBLEM_CODES[error.code], error.message, error.remedy);
  if (isClientError(error)) {
    const remedy = 'See GET /api/v1/openapi.json for what this path takes.';
    return document(error.statusCode, 'BAD_REQUEST', REQUEST_CODES.BAD_REQUEST[1], error.message, remedy);
  }
  return document(
    500,
    'INTERNAL',
    PROBLEM_CODES.INTERNAL,
    'The request could not be answered.',
    'See the log; please report this.',
  );
}

function statusOf(code: ProblemCode): number {
  if (code === 'NOT_IMPLEMENTED') return 501;
  if (code === 'SOURCE_TABLE_MISSING') return 404;
  if (code === 'SOURCE_UNREACHABLE' || code === 'TARGET_UNREACHABLE') return 503;
  return code === 'INTERNAL' ? 500 : 409;
}

function isClientError(error: unknown): error is FastifyError & { statusCode: number } {
  if (!(error instanceof Error) || !('statusCode' in error)) return false;
  return typeof error.statusCode === 'number' && error.statusCode >= 400 && error.statusCode < 500;
}

/** The page's own forms; a browser that opens an API path still gets the API's answer. */
function wantsPage(request: FastifyRequest): boolean {
  const path = request.url.split('?', 1)[0] ?? '';
  return isPagePath(path) && (request.headers.accept ?? '').includes('text/html');
}
