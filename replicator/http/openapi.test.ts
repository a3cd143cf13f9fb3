import { get } from 'node:http';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import fastify from 'fastify';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { waiting } from '../observe/validation.ts';
import { Problem } from '../problem.ts';
import { TOKEN, serve } from '../testing/http-harness.ts';
import type { Harness } from '../testing/http-harness.ts';
import { SCHEMAS } from './openapi-schemas.ts';
import { openApi } from './openapi.ts';
import { registerRoutes } from './server.ts';

let server: Harness;
beforeAll(async () => {
  server = await serve();
});
afterAll(() => server.close());

it('describes every route of the API, and no other', () => {
  const registered = new Set<string>();
  const app = fastify();
  app.addHook('onRoute', ({ method, url, config }) => {
    if (config && 'internal' in config) return;
    for (const verb of [method].flat()) if (verb !== 'HEAD') registered.add(`${verb} ${url.replace(/:(\w+)/g, '{$1}')}`);
  });
  registerRoutes(app, { model: server.model, events: server.events, now: Date.now } as never);
  const paths = openApi('1.0.0')['paths'] as Record<string, Record<string, unknown>>;
  const described = Object.entries(paths).flatMap(([path, verbs]) =>
    Object.keys(verbs).map((verb) => `${verb.toUpperCase()} ${path}`),
  );
  expect(described.toSorted()).toEqual([...registered].toSorted());
});

describe('every response is as described', () => {
  const problem = (code: 'NOT_POSSIBLE_NOW' | 'SOURCE_TABLE_MISSING' | 'TARGET_UNREACHABLE') =>
    new Problem(code, 'not now', { remedy: 'later', retry: 'transient' });
  const json = (body: unknown): RequestInit => ({
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const failing = (code: Parameters<typeof problem>[0]) => () => void (server.failWith = problem(code));
  const table = '/api/v1/tables/{schema}/{table}';
  const orders = { '{schema}': 'public', '{table}': 'orders' };
  const nothing = { '{schema}': 'public', '{table}': 'nothing' };

  interface Ask {
    readonly query?: string;
    readonly names?: Record<string, string>;
    readonly init?: RequestInit;
    readonly before?: () => void | Promise<void>;
  }
  const OPERATIONS = [`DELETE ${table}`, `POST ${table}/resync`, `POST ${table}/retry`];
  const CASES: [operation: string, status: number, ask?: Ask][] = [
    ...[
      '/',
      '/livez',
      '/readyz',
      '/metrics',
      '/api/v1/status',
      '/api/v1/tables',
      '/api/v1/findings',
      '/api/v1/events',
      '/api/v1/config',
      '/api/v1/diagnostics',
    ].map((path): [string, number] => [`GET ${path}`, 200]),
    ['GET /api/v1/openapi.json', 200],
    ['GET /api/v1/history', 200],
    ['GET /api/v1/history', 200, { query: '?range=24h' }],
    ['GET /api/v1/history', 400, { query: '?range=1y' }],
    ['GET /api/v1/events', 200, { query: '?after=1' }],
    ['GET /api/v1/events', 200, { query: '?level=warn' }],
    ['GET /api/v1/events', 400, { query: '?after=x' }],
    ['GET /api/v1/events', 400, { query: '?level=bad' }],
    ['GET /api/v1/stream', 200],
    ['GET /api/v1/stream', 400, { query: '?after=-1' }],
    ['GET /api/v1/stream', 503, { before: () => openStreams(100) }],
    ['GET /readyz', 503, { before: () => server.model.database('source', { connected: false }) }],
    [`GET ${table}`, 200, { names: orders }],
    [`GET ${table}`, 404, { names: nothing }],
    ['POST /api/v1/tables', 202, { init: json({ table: 'public.more' }) }],
    ['POST /api/v1/tables', 200, { init: json({ table: 'public.more' }), query: '?dryRun=true' }],
    ['POST /api/v1/tables', 400, { init: json({ tabel: 'public.more' }) }],
    ['POST /api/v1/tables', 404, { init: json({ table: 'public.more' }), before: failing('SOURCE_TABLE_MISSING') }],
    ['POST /api/v1/tables', 409, { init: json({ table: 'public.orders' }) }],
    ['POST /api/v1/tables', 503, { init: json({ table: 'public.more' }), before: failing('TARGET_UNREACHABLE') }],
    ...OPERATIONS.flatMap((operation): [string, number, Ask][] => [
      [operation, 202, { names: orders }],
      [operation, 404, { names: nothing }],
      [operation, 409, { names: orders, before: failing('NOT_POSSIBLE_NOW') }],
      [operation, 503, { names: orders, before: failing('TARGET_UNREACHABLE') }],
    ]),
    [`POST ${table}/resync`, 200, { names: orders, query: '?dryRun=true' }],
    [`POST ${table}/resync`, 400, { names: orders, query: '?dryRun=x' }],
    ['POST /api/v1/sequences', 200],
    ['POST /api/v1/sequences', 409, { before: failing('NOT_POSSIBLE_NOW') }],
    ['POST /api/v1/sequences', 503, { before: failing('TARGET_UNREACHABLE') }],
    ['GET /api/v1/validations', 200],
    ['POST /api/v1/validations', 202, { init: json({ tables: ['public.orders'] }) }],
    ['POST /api/v1/validations', 202, { init: { method: 'POST' } }],
    ['POST /api/v1/validations', 400, { init: json({ tables: ['orders'] }) }],
    ['POST /api/v1/validations', 404, { init: json({ tables: ['public.nothing'] }) }],
    ['POST /api/v1/validations', 409, { before: failing('NOT_POSSIBLE_NOW') }],
    ['DELETE /api/v1/validations', 202],
    ['DELETE /api/v1/validations', 409, { before: failing('NOT_POSSIBLE_NOW') }],
    ...['pause', 'resume'].flatMap((name): [string, number, Ask?][] => [
      [`PUT /api/v1/pipeline/${name}`, 202],
      [`PUT /api/v1/pipeline/${name}`, 503, { before: failing('TARGET_UNREACHABLE') }],
    ]),
  ];
  // What holds for all: nobody without the token, nobody from elsewhere.
  for (const [operation, statuses] of documented()) {
    if (statuses.has(401)) CASES.push([operation, 401, { names: orders, before: () => startAnew({ token: TOKEN }) }]);
    if (statuses.has(403)) CASES.push([operation, 403, { names: orders }]);
  }
  const tried = new Set<string>();
  let streams: AbortController;

  beforeEach(async () => {
    await startAnew();
    streams = new AbortController();
    server.model.problem({ code: 'APPLY_FAILED', message: 'no', remedy: 'mend', table: 'public.orders' });
    server.model.followed.state('public.orders', 'error', { code: 'APPLY_FAILED', message: 'no', remedy: 'mend' });
    server.events.append({ level: 'error', code: 'APPLY_FAILED', message: 'no', remedy: 'mend', table: 'public.orders' });
    const finding = { level: 'warning', where: 'source', table: null, message: 'so', remedy: 'mend' } as const;
    server.model.findings.replace([{ ...finding, code: 'SLOT_WAL_LIMIT' }]);
    server.model.validations.begin(['public.orders'], 'a test', new Date().toISOString());
    const found = {
      ...waiting(),
      state: 'different' as const,
      missing: 1,
      examples: [{ kind: 'missing' as const, key: 'id=1' }],
    };
    server.model.validations.table('public.orders', found);
    server.model.followed.validated('public.orders', found);
    server.model.sample();
  });
  afterEach(() => streams.abort());

  async function startAnew(options: { token?: string } = {}): Promise<void> {
    await server.close();
    server = await serve(options);
  }

  async function openStreams(count: number): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => server.fetch('/api/v1/stream', { signal: streams.signal })));
  }

  it.each(CASES)('%s %i', async (operation, status, ask: Ask = {}) => {
    await ask.before?.();
    const [method = '', path = ''] = operation.split(' ');
    const real = path.replaceAll(/\{\w+\}/g, (name) => ask.names?.[name] ?? 'x') + (ask.query ?? '');
    const { code, type, body } =
      status === 403 && method === 'GET'
        ? await underHost('attacker.example', real)
        : await answer(real, {
            method,
            signal: streams.signal,
            ...ask.init,
            ...(status === 403 && { headers: { origin: 'https://attacker.example' } }),
          });
    expect([code, body]).toEqual([status, body]);
    const response = documented().get(operation)?.get(status);
    const media = type.split(';', 1)[0] ?? '';
    // The page's own answers to browsers and programs are none of the API's.
    const schema = path === '/' && status === 401 ? { type: 'string' } : response?.content[media]?.schema;
    expect([media, schema]).toEqual([media, expect.anything()]);
    const value: unknown = media.endsWith('json') ? JSON.parse(body) : body;
    const fits = AJV.compile({ ...closed(schema), components: { schemas: closed(SCHEMAS) } } as object);
    expect([fits(value), fits.errors, value]).toEqual([true, null, value]);
    tried.add(`${operation} ${status}`);
  });

  it('and there is no other that is described', () => {
    const described = [...documented()].flatMap(([operation, statuses]) =>
      [...statuses.keys()].map((code) => `${operation} ${code}`),
    );
    expect(described.toSorted()).toEqual([...tried].toSorted());
  });

  async function answer(path: string, init: RequestInit): Promise<{ code: number; type: string; body: string }> {
    const response = await server.fetch(path, init);
    const type = response.headers.get('content-type') ?? '';
    const reader = response.body?.getReader();
    // A stream has no end: its first piece.
    const body = type.startsWith('text/event-stream') ? new TextDecoder().decode((await reader?.read())?.value) : null;
    if (body !== null) return { code: response.status, type, body };
    reader?.releaseLock();
    return { code: response.status, type, body: await response.text() };
  }

  // fetch does not let anybody choose the Host header.
  function underHost(host: string, path: string): Promise<{ code: number; type: string; body: string }> {
    return new Promise((resolve, reject) => {
      get(`${server.address}${path}`, { headers: { host } }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => (body += text));
        response.on('end', () => resolve({ code: response.statusCode ?? 0, type: response.headers['content-type'] ?? '', body }));
      }).on('error', reject);
    });
  }
});

type Responses = Map<number, { content: Record<string, { schema: object }> }>;

const AJV = new Ajv2020({ strict: true, strictTypes: false, allErrors: true, keywords: ['components'] });
addFormats.default(AJV);

/** `GET /path` -> the responses that are described. */
function documented(): Map<string, Responses> {
  const paths = openApi('1.0.0')['paths'] as Record<string, Record<string, { responses: object }>>;
  const operations = Object.entries(paths).flatMap(([path, verbs]) =>
    Object.entries(verbs).map(([verb, { responses }]): [string, Responses] => [
      `${verb.toUpperCase()} ${path}`,
      new Map(Object.entries(responses).map(([code, response]) => [Number(code), response as never])),
    ]),
  );
  return new Map(operations);
}

/** The same, but what is not described must not be there either. */
function closed<T>(schema: T): T {
  if (Array.isArray(schema)) return schema.map(closed) as T;
  if (typeof schema !== 'object' || schema === null) return schema;
  const inside = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  return ('properties' in schema && 'type' in schema ? { ...inside, additionalProperties: false } : inside) as T;
}
