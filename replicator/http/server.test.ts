import { request } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Problem } from '../problem.ts';
import { samplePlan, TOKEN, serve } from '../testing/http-harness.ts';
import type { Harness } from '../testing/http-harness.ts';

let server: Harness;
const servers: Harness[] = [];
async function start(options: Parameters<typeof serve>[0] = {}): Promise<Harness> {
  const started = await serve(options);
  servers.push(started);
  return started;
}
beforeEach(async () => {
  server = await start();
});
afterEach(async () => {
  await Promise.all(servers.splice(0).map((started) => started.close()));
});

async function json(path: string, init?: RequestInit): Promise<{ status: number; type: string; body: Record<string, unknown> }> {
  const response = await server.fetch(path, init);
  return {
    status: response.status,
    type: response.headers.get('content-type') ?? '',
    body: (await response.json()) as Record<string, unknown>,
  };
}

describe('reading', () => {
  it('gives the status', async () => {
    const { status, body } = await json('/api/v1/status');
    expect(status).toBe(200);
    expect(body).toMatchObject({
      name: 'shop',
      state: 'streaming',
      tables: { total: 3, streaming: 3 },
      position: { applied: '0/1A2B3C8' },
    });
  });

  it('gives tables, and one by its name', async () => {
    expect((await json('/api/v1/tables')).body).toMatchObject({ tables: [{ source: 'public.customers' }, {}, {}] });
    expect((await json('/api/v1/tables/public/tb_trx_src')).body).toMatchObject({
      target: 'public.tb_trx_dest',
      identity: 'full',
    });
    server.model.followed.list([
      { source: 'my schema.ta/ble', target: 'a.b', identity: 'index', state: 'pending', rowsEstimated: null },
    ]);
    expect((await json('/api/v1/tables/my%20schema/ta%2Fble')).body).toMatchObject({ source: 'my schema.ta/ble' });
  });

  it('gives events after one', async () => {
    const first = server.events.append({ level: 'info', code: 'ONE', message: 'one' });
    server.events.append({ level: 'warn', code: 'TWO', message: 'two', table: 'public.orders' });
    expect((await json('/api/v1/events')).body['events']).toHaveLength(2);
    expect((await json(`/api/v1/events?after=${first.id}`)).body).toMatchObject({
      events: [{ code: 'TWO', table: 'public.orders' }],
    });
    const codes = async (level: string) =>
      ((await json(`/api/v1/events?level=${level}`)).body['events'] as { code: string }[]).map(({ code }) => code);
    expect([await codes('info'), await codes('warn'), await codes('error')]).toEqual([['ONE', 'TWO'], ['TWO'], []]);
  });

  it('gives metrics', async () => {
    const response = await server.fetch('/metrics');
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(await response.text()).toContain('pgfollow_pipeline_state{state="streaming"} 1');
  });

  it('measures its answers by the route, never by what was asked for', async () => {
    await server.fetch('/api/v1/tables/public/orders');
    for (const guess of ['/nothing', '/nothing/else']) await server.fetch(guess);
    const counted = (await (await server.fetch('/metrics')).text()).match(/^pgfollow_http_request_duration_seconds_count.*$/gm);
    expect(counted).toEqual(
      expect.arrayContaining([
        'pgfollow_http_request_duration_seconds_count{method="GET",route="/api/v1/tables/:schema/:table",status="200"} 1',
        'pgfollow_http_request_duration_seconds_count{method="GET",route="(unknown)",status="404"} 2',
      ]),
    );
    expect(counted?.join('')).not.toContain('orders');
  });

  it('is live whatever happens, and ready while it works', async () => {
    expect((await server.fetch('/livez')).status).toBe(200);
    expect((await server.fetch('/readyz')).status).toBe(200);
    server.model.database('target', { connected: false });
    const unready = await server.fetch('/readyz');
    expect(unready.status).toBe(503);
    expect(await unready.text()).toBe('not ready\nthe target does not answer\n');
    expect(await (await server.fetch('/readyz?verbose')).text()).toContain('source: ok\ntarget: not ok\npipeline: streaming\n');
    expect((await server.fetch('/livez')).status).toBe(200);
  });

  it('sends headers that keep browsers strict', async () => {
    for (const path of ['/', '/api/v1/status', '/nothing', '/assets/app.js']) {
      const { headers } = await server.fetch(path);
      expect(headers.get('content-security-policy'), path).toMatch(/^default-src 'none'; script-src 'self'; /);
      expect(headers.get('x-content-type-options'), path).toBe('nosniff');
      expect(headers.get('cache-control'), path).toBe('no-store');
      expect(headers.get('access-control-allow-origin'), path).toBeNull();
    }
  });
});

describe('errors', () => {
  it.each([
    ['GET', '/api/v1/nothing', 404, 'NOT_FOUND'],
    ['POST', '/api/v1/pipeline/pause', 404, 'NOT_FOUND'],
    ['GET', '/api/v1/tables/public/nothing', 404, 'UNKNOWN_TABLE'],
    ['DELETE', '/api/v1/tables/public/nothing', 404, 'UNKNOWN_TABLE'],
    ['POST', '/api/v1/tables/public/nothing/resync', 404, 'UNKNOWN_TABLE'],
    ['GET', '/api/v1/events?after=-1', 400, 'BAD_REQUEST'],
    ['GET', '/api/v1/events?after=x', 400, 'BAD_REQUEST'],
  ])('%s %s is a problem document', async (method, path, status, code) => {
    const answer = await json(path, { method });
    expect(answer.status).toBe(status);
    expect(answer.type).toMatch(/^application\/problem\+json/);
    expect(answer.body).toEqual({
      type: `urn:pgfollow:problem:${code}`,
      title: expect.any(String) as string,
      status,
      detail: expect.any(String) as string,
      instance: path.split('?')[0],
      code,
      remedy: expect.any(String) as string,
    });
  });

  it('knows no table at first, and does not say of any that it is not followed', async () => {
    server.model.followed.list([]);
    for (const path of ['/api/v1/tables/public/orders', '/api/v1/validations']) {
      const validation = {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"tables": ["public.orders"]}',
      };
      const answer = await json(path, path.endsWith('orders') ? {} : validation);
      expect([answer.status, answer.body['code']], path).toEqual([409, 'CONFLICT']);
      expect(answer.body['detail']).toContain('not known yet');
    }
  });

  it.each([
    ['POST', '', 'add public.new'],
    ['DELETE', '/public/orders', 'remove public.orders'],
    ['POST', '/public/orders/resync', 'resync public.orders'],
    ['POST', '/public/orders/retry', 'retry public.orders'],
  ])('%s /api/v1/tables%s asks for: %s', async (method, path, call) => {
    const body = path === '' ? { headers: { 'content-type': 'application/json' }, body: '{"table":"public.new"}' } : {};
    expect((await json(`/api/v1/tables${path}`, { method, ...body })).status).toBe(202);
    expect(server.calls.at(-1)).toMatch(new RegExp(`^${call} by the API, from `));
    server.failWith = new Problem('NOT_POSSIBLE_NOW', 'Not now.', { remedy: 'Wait.' });
    const refused = await json(`/api/v1/tables${path}`, { method, ...body });
    server.failWith = undefined;
    expect([refused.status, refused.body]).toEqual([409, expect.objectContaining({ code: 'NOT_POSSIBLE_NOW', remedy: 'Wait.' })]);
  });

  it.each([
    ['{"table":"public.orders"}', 409],
    ['{"table":"orders"}', 400],
    ['{}', 400],
    ['{', 400],
    ['', 400],
  ])('adding a table with %s gives %i', async (body, status) => {
    const headers = { 'content-type': 'application/json' };
    const answer = await json('/api/v1/tables', { method: 'POST', headers, body });
    expect(answer.status).toBe(status);
    expect(answer.type).toMatch(/^application\/problem\+json/);
  });

  it('tells what a control could not do, and nothing of what went wrong inside', async () => {
    server.failWith = new Problem('TARGET_UNREACHABLE', 'The target does not answer.', { remedy: 'Start it.' });
    expect(await json('/api/v1/pipeline/pause', { method: 'PUT' })).toMatchObject({
      status: 503,
      body: { code: 'TARGET_UNREACHABLE', detail: 'The target does not answer.', remedy: 'Start it.' },
    });
    server.failWith = new Error('password=hunter2');
    const inside = await json('/api/v1/pipeline/pause', { method: 'PUT' });
    expect(inside).toMatchObject({ status: 500, body: { code: 'INTERNAL' } });
    expect(JSON.stringify(inside.body)).not.toContain('hunter2');
    expect(server.logged.join('')).toContain('request failed');
  });
});

it('brings sequences over when asked, and says so when it cannot', async () => {
  const post = { method: 'POST' };
  expect(await json('/api/v1/sequences', post)).toMatchObject({ status: 200, body: { followed: 2, faults: [] } });
  server.failWith = new Problem('NOT_POSSIBLE_NOW', 'Another session holds a lock on a sequence.', { remedy: 'Try again.' });
  expect(await json('/api/v1/sequences', post)).toMatchObject({ status: 409, body: { code: 'NOT_POSSIBLE_NOW' } });
});

describe('pause and resume', () => {
  it('are accepted, also twice', async () => {
    for (const action of ['pause', 'pause', 'resume', 'resume'] as const) {
      const { status, body } = await json(`/api/v1/pipeline/${action}`, { method: 'PUT' });
      expect(status).toBe(202);
      expect(body).toMatchObject({ requested: action, state: action === 'pause' ? 'paused' : 'streaming' });
    }
    expect(server.calls[0]).toBe('pause by the API, from 127.0.0.1');
  });

  it.each([['application/json'], ['application/x-www-form-urlencoded']])('do not mind an empty body of %s', async (type) => {
    const { status } = await json('/api/v1/pipeline/pause', { method: 'PUT', headers: { 'content-type': type }, body: '' });
    expect(status).toBe(202);
  });

  it('are plain forms too', async () => {
    const response = await server.submit('/actions/pause');
    expect([response.status, response.headers.get('location')]).toEqual([303, '/']);
    expect(server.calls).toEqual(['pause by the status page, from 127.0.0.1']);
  });

  it.each([
    ['no form token', {}],
    ['a made-up form token', { form_token: 'x' }],
  ])('forms with %s are refused, with where to go from there', async (_, fields) => {
    const headers = { accept: 'text/html' };
    const response = await server.fetch('/actions/pause', { method: 'POST', headers, body: new URLSearchParams(fields) });
    expect([response.status, await response.text()]).toEqual([403, expect.stringContaining('href="/"')]);
    expect(server.calls).toEqual([]);
  });

  it.each([
    ['PUT', '/api/v1/pipeline/pause'],
    ['POST', '/actions/pause'],
    ['DELETE', '/api/v1/tables/public/orders'],
  ])('%s %s is refused from another origin', async (method, path) => {
    for (const headers of [{ origin: 'https://attacker.example' }, { 'sec-fetch-site': 'cross-site' }]) {
      expect(await json(path, { method, headers })).toMatchObject({ status: 403, body: { code: 'FORBIDDEN_ORIGIN' } });
    }
    expect(server.calls).toEqual([]);
  });

  it('is refused under a name that is not ours', async () => {
    expect(await withHost(server, 'attacker.example')).toBe(403);
    expect(await withHost(server, 'localhost')).toBe(202);
    expect(server.calls).toHaveLength(1);
  });

  it('nor is anything shown under such a name, but for health', async () => {
    for (const [path, status] of [
      ['/', 403],
      ['/api/v1/status', 403],
      ['/metrics', 403],
      ['/livez', 200],
      ['/readyz', 200],
    ] as const)
      expect([path, await withHost(server, 'attacker.example', {}, { method: 'GET', path })]).toEqual([path, status]);
    expect(await withHost(server, 'localhost:1', {}, { method: 'GET', path: '/metrics' })).toBe(200);
  });
});

describe('with a token', () => {
  const bearer = { authorization: `Bearer ${TOKEN}` };
  beforeEach(async () => {
    server = await start({ token: TOKEN });
  });

  it('wants it everywhere but for health', async () => {
    for (const path of [
      '/metrics',
      '/api/v1/status',
      '/api/v1/stream',
      '/api/v1/openapi.json',
      '/assets/app.js',
      '/nothing',
      '//',
    ]) {
      const { status, headers } = await server.fetch(path);
      expect([path, status, headers.get('www-authenticate')]).toEqual([
        path,
        401,
        expect.stringContaining('Bearer realm="pgfollow"'),
      ]);
    }
    expect((await json('/api/v1/status')).body).toMatchObject({
      code: 'UNAUTHORIZED',
      remedy: expect.stringContaining('PGFOLLOW_API_TOKEN') as string,
    });
    expect((await server.fetch('/livez')).status).toBe(200);
    expect((await server.fetch('/readyz')).status).toBe(200);
    expect((await server.fetch('/livez', { method: 'POST' })).status).toBe(401);
    expect((await server.fetch('/api/v1/status', { headers: bearer })).status).toBe(200);
    expect((await server.fetch('/api/v1/status', { headers: { authorization: 'Bearer no' } })).status).toBe(401);
  });

  it('takes it as basic auth for metrics', async () => {
    const authorization = `Basic ${Buffer.from(`any:${TOKEN}`).toString('base64')}`;
    expect((await server.fetch('/metrics', { headers: { authorization } })).status).toBe(200);
    expect((await server.fetch('/metrics')).headers.get('www-authenticate')).toMatch(/^Basic /);
  });

  it('logs the page in and out with a cookie that is not the token', async () => {
    const form = await server.fetch('/');
    expect(form.status).toBe(401);
    const text = await form.text();
    expect(text).toContain('action="/login"');
    expect(text).not.toContain('shop');

    const wrong = await server.fetch('/login', { method: 'POST', body: new URLSearchParams({ token: 'no' }) });
    expect([wrong.status, wrong.headers.get('set-cookie')]).toEqual([401, null]);

    const right = await server.fetch('/login', { method: 'POST', body: new URLSearchParams({ token: TOKEN }) });
    const set = right.headers.get('set-cookie') ?? '';
    expect(right.status).toBe(303);
    expect(set).toMatch(/; HttpOnly; SameSite=Strict$/);
    expect(set).not.toContain(TOKEN);

    const cookie = set.split(';')[0]!;
    expect((await server.fetch('/', { headers: { cookie } })).status).toBe(200);
    expect((await server.fetch('/api/v1/status', { headers: { cookie } })).status).toBe(200);
    const foreign = { cookie, origin: 'https://attacker.example' };
    expect((await server.fetch('/api/v1/pipeline/pause', { method: 'PUT', headers: foreign })).status).toBe(403);

    expect((await server.fetch('/logout', { method: 'POST', headers: { cookie } })).status).toBe(403);
    const out = await server.submit('/logout', {}, { cookie });
    expect(out.headers.get('set-cookie')).toMatch(/^pgfollow_session=;/);
  });

  it('does not care for the host name', async () => {
    expect(await withHost(server, 'pgfollow.internal', bearer)).toBe(202);
  });

  it('does not write the token to the log', async () => {
    await server.fetch('/login', { method: 'POST', body: new URLSearchParams({ token: TOKEN }) });
    expect(server.logged.join('')).not.toContain(TOKEN);
  });
});

describe('starting', () => {
  it('says which port is taken and what to do', async () => {
    const port = Number(new URL(server.address).port);
    const failure = await import('./server.ts').then(({ startHttpServer }) =>
      startHttpServer({
        config: { host: '127.0.0.1', port, token: null, insecure: false },
        model: server.model,
        events: server.events,
        metrics: { contentType: '', text: async () => '' } as never,
        controls: {
          pause: async () => undefined,
          resume: async () => undefined,
          addTable: async () => null,
          planTable: async (table) => samplePlan(table),
          planResync: async (table) => samplePlan(table),
          removeTable: async () => null,
          resyncTable: async () => null,
          retryTable: async () => null,
          validate: async () => undefined,
          cancelValidation: async () => undefined,
          bringSequences: async () => ({ followed: 0, faults: [] }),
        },
        settings: { config: {}, origins: {}, yaml: '' },
        log: { info: () => undefined } as never,
        version: '1.0.0',
      }).then(
        () => null,
        (error: unknown) => error,
      ),
    );
    expect(failure).toBeInstanceOf(Problem);
    expect(failure).toMatchObject({
      code: 'PORT_IN_USE',
      message: `another process listens on 127.0.0.1:${port}`,
      remedy: expect.stringContaining('PGFOLLOW_HTTP_PORT') as string,
    });
  });

  it('does not show itself to other machines without a token, unless told to', async () => {
    await expect(serve({ host: '0.0.0.0' })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    const insecure = await start({ host: '0.0.0.0', insecure: true });
    expect(insecure.address).toMatch(/^http:\/\/0\.0\.0\.0:\d+$/);
  });
});

/** PUT pause, or something else, with another Host header, which fetch does not allow. Gives the status. */
async function withHost(
  to: Harness,
  host: string,
  headers: Record<string, string> = {},
  { method, path } = { method: 'PUT', path: '/api/v1/pipeline/pause' },
): Promise<number> {
  return new Promise((resolve, reject) => {
    request(`${to.address}${path}`, { method, headers: { host, ...headers } }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .on('error', reject)
      .end();
  });
}
