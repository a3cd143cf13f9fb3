import type { ClientConfig } from '../config/load.ts';
import { textOf, type Arguments } from './args.ts';
import { Failure, UsageError } from './failure.ts';
import type { Io } from './io.ts';
import { loadClientConfigOf } from './load-config.ts';
import { printable } from './style.ts';

/** How long one answer may take; the server answers from memory. */
const TIMEOUT_MS = 10_000;

/** pgfollow does not answer at all: not running, elsewhere, or a network between. */
export class Unreachable extends Failure {}

/** pgfollow answers that it will not, or cannot now. */
export class Refused extends Failure {
  readonly status: number;

  constructor(status: number, message: string, options: { remedy: string }) {
    super(message, options);
    this.status = status;
  }
}

/** Talks to a running pgfollow. Throws Unreachable, or Failure with what the server says is wrong. */
export class ApiClient {
  readonly base: string;
  readonly #token: string | null;

  constructor(base: string, token: string | null) {
    this.base = base;
    this.#token = token;
  }

  /** The answer's JSON. */
  async get<T>(path: string, signal?: AbortSignal): Promise<T> {
    const response = await this.#ask('GET', path, signal);
    return (await response.json()) as T;
  }

  /** Asks for something to be done; the answer's JSON says what was requested. */
  async put(path: string): Promise<unknown> {
    return answerOf(await this.#ask('PUT', path));
  }

  async post(path: string, body?: unknown): Promise<unknown> {
    return answerOf(await this.#ask('POST', path, undefined, body));
  }

  async delete(path: string): Promise<unknown> {
    return answerOf(await this.#ask('DELETE', path));
  }

  async #ask(method: string, path: string, signal?: AbortSignal, body?: unknown): Promise<Response> {
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    let response: Response;
    try {
      response = await fetch(`${this.base}${path}`, {
        method,
        headers: {
          accept: 'application/json',
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(this.#token === null ? {} : { authorization: `Bearer ${this.#token}` }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        redirect: 'error',
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      });
    } catch (error) {
      throw new Unreachable(`pgfollow does not answer at ${this.base}: ${reason(error)}.`, {
        remedy:
          'Start it with `pgfollow run` or `pgfollow demo`, or say where it runs: --url http://HOST:PORT, or PGFOLLOW_HTTP_HOST and PGFOLLOW_HTTP_PORT.',
        cause: error,
      });
    }
    if (!response.ok) throw await refusal(response, this.base);
    return response;
  }
}

/** The client for a command line: `--url`, else http.* of the configuration. Throws ConfigProblem, UsageError. */
export async function apiClient(command: string, args: Arguments, io: Io): Promise<{ api: ApiClient; config: ClientConfig }> {
  const config = await loadClientConfigOf(args, io);
  const url = textOf(args, 'url');
  return { api: new ApiClient(url === undefined ? addressOf(config.http) : readUrl(command, url), config.http.token), config };
}

/** Where a server that binds this can be reached from this machine. */
export function addressOf({ host, port }: { host: string; port: number }): string {
  const plain = host.replace(/^\[(.*)\]$/, '$1');
  const local = plain === '0.0.0.0' ? '127.0.0.1' : plain === '::' ? '::1' : plain;
  return `http://${local.includes(':') ? `[${local}]` : local}:${port}`;
}

function readUrl(command: string, text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new UsageError(`${command}: --url ${printable(text)} is no address such as http://127.0.0.1:5884`, command);
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

async function answerOf(response: Response): Promise<unknown> {
  return parseObject(await response.text());
}

/** RFC 9457: detail says what is wrong, our own `remedy` what to do. */
async function refusal(response: Response, base: string): Promise<Refused> {
  const text = await response.text().catch(() => '');
  const problem = parseObject(text);
  const { detail, title, remedy } = problem;
  const said =
    typeof detail === 'string' ? detail : typeof title === 'string' ? title : `${response.status} ${response.statusText}`.trim();
  const fallback =
    response.status === 401 || response.status === 403
      ? 'Set PGFOLLOW_API_TOKEN, PGFOLLOW_API_TOKEN_FILE or http.token to the token that the running pgfollow has.'
      : `Check that it is pgfollow that answers at ${base}.`;
  return new Refused(response.status, printable(said), { remedy: printable(typeof remedy === 'string' ? remedy : fallback) });
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function reason(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError') return `no answer within ${TIMEOUT_MS / 1000} s`;
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof Error && 'code' in cause && typeof cause.code === 'string') return cause.code;
  return error instanceof Error ? error.message : String(error);
}
