import { describe, expect, it } from 'vitest';
import { addressOf } from './api.ts';
import { main } from './main.ts';
import { eventually } from '../testing/eventually.ts';
import { sampleStatus, sampleTable, testApi, testIo } from '../testing/cli-io.ts';

const STATUS = 'GET /api/v1/status';
const TABLES = 'GET /api/v1/tables';

it.each([
  ['127.0.0.1', 'http://127.0.0.1:1'],
  ['0.0.0.0', 'http://127.0.0.1:1'],
  ['::', 'http://[::1]:1'],
  ['::1', 'http://[::1]:1'],
  ['db.example', 'http://db.example:1'],
])('a server that binds %s is at %s', (host, expected) => {
  expect(addressOf({ host, port: 1 })).toBe(expected);
});

describe('status and tables', () => {
  it('find the server by configuration, send the token and print', async () => {
    await using api = await testApi({ [STATUS]: { status: 200, body: sampleStatus() } });
    const { port } = new URL(api.url);
    const io = testIo({
      env: { PGFOLLOW_HTTP_PORT: port, PGFOLLOW_API_TOKEN: 't0ken', PGFOLLOW_SOURCE_URL: 'postgresql://x/y' },
    });
    expect(await main(['status'], io)).toBe(0);
    expect(io.out()).toContain('Streaming. pg_y is 0.2 s behind pg_x.');
    expect(io.err()).toBe('');
    expect(api.requests).toEqual([{ method: 'GET', path: '/api/v1/status', authorization: 'Bearer t0ken' }]);
  });

  it('--url wins over the configuration; --json is the answer as it is', async () => {
    const body = { tables: [sampleTable({ state: 'error' })], more: 1 };
    await using api = await testApi({ [TABLES]: { status: 200, body } });
    const io = testIo({ env: { PGFOLLOW_HTTP_PORT: '1' } });
    expect(await main(['tables', '--json', '--url', `${api.url}/`], io)).toBe(0);
    expect(JSON.parse(io.out())).toEqual(body);
  });

  it('tables prints one line a table and nothing else', async () => {
    const tables = [sampleTable(), sampleTable({ source: 'public.b', target: 'x.b' })];
    await using api = await testApi({
      [TABLES]: { status: 200, body: { tables } },
      [STATUS]: { status: 200, body: sampleStatus() },
    });
    const io = testIo();
    expect(await main(['tables', '--url', api.url], io)).toBe(0);
    const lines = io.out().trimEnd().split('\n');
    expect(lines).toHaveLength(2);
    expect(lines[1]).toMatch(/^public\.b -> x\.b +streaming +10 +1 +0\.2 s$/);
  });

  it('--watch goes on until a signal', async () => {
    let asked = 0;
    const io = testIo();
    await using api = await testApi({
      [STATUS]: () => {
        if (++asked === 2) setTimeout(() => io.signal('SIGINT'), 20);
        return { status: 200, body: sampleStatus({ name: `shop${asked}` }) };
      },
    });
    expect(await main(['status', '--watch', '--json', '--url', api.url], io)).toBe(0);
    const names = io
      .out()
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { name: string }).name);
    expect(names).toEqual(['shop1', 'shop2']);
    expect(io.listening()).toBe(0);
  });

  it('--watch on a terminal gives the screen back', async () => {
    const io = testIo({ tty: true, env: { NO_COLOR: '1' } });
    await using api = await testApi({
      [STATUS]: { status: 200, body: sampleStatus() },
      [TABLES]: { status: 200, body: { tables: [sampleTable()] } },
    });
    setTimeout(() => io.signal('SIGINT'), 300);
    expect(await main(['status', '--watch', '--url', api.url], io)).toBe(0);
    expect(io.out()).toContain('\u001b[?1049h');
    expect(io.out()).toContain('public.orders  streaming');
    expect(io.out().endsWith('\u001b[?1049l')).toBe(true);
    expect(io.listening()).toBe(0);
  });

  it('--watch on a terminal outlives a restart of pgfollow, and ends with q', async () => {
    const io = testIo({ tty: true, env: { NO_COLOR: '1' } });
    const routes = {
      [STATUS]: { status: 200, body: sampleStatus() },
      [TABLES]: { status: 200, body: { tables: [sampleTable()] } },
    };
    const first = await testApi(routes);
    const watching = main(['status', '--watch', '--url', first.url], io);
    await eventually(() => io.out().includes('TABLE'));
    await first[Symbol.asyncDispose]();
    await eventually(() => io.out().includes('No answer for'));
    await using second = await testApi(
      { ...routes, [STATUS]: { status: 200, body: sampleStatus({ name: 'restarted' }) } },
      Number(new URL(first.url).port),
    );
    await eventually(() => io.out().includes('restarted'));
    expect(second.requests.length).toBeGreaterThan(0);
    io.press('x');
    io.press('q');
    expect(await watching).toBe(0);
    expect(io.listening()).toBe(0);
  });

  it('--watch on a terminal that can do nothing prints one after the other', async () => {
    const io = testIo({ tty: true, env: { TERM: 'dumb' } });
    await using api = await testApi({ [STATUS]: { status: 200, body: sampleStatus() } });
    setTimeout(() => io.signal('SIGINT'), 100);
    expect(await main(['status', '--watch', '--url', api.url], io)).toBe(0);
    expect(io.out()).toContain('Streaming.');
    expect(io.out()).not.toContain('\u001b');
  });
});

describe('when the server refuses or is not there', () => {
  it('shows what it says is wrong and what to do', async () => {
    const body = { code: 'X', detail: 'There is no such thing.\u001b[2J', remedy: 'Try another.' };
    await using api = await testApi({ 'PUT /api/v1/pipeline/pause': { status: 409, body } });
    const io = testIo();
    expect(await main(['pause', '--url', api.url], io)).toBe(1);
    expect(io.err()).toBe('pgfollow: There is no such thing.\u{fffd}[2J\nTry another.\n');
  });

  it('names the token for 401, also when the answer is not ours', async () => {
    await using api = await testApi({ [STATUS]: { status: 401, body: 'nothing' } });
    const io = testIo();
    expect(await main(['status', '--url', api.url], io)).toBe(1);
    expect(io.err()).toContain('401');
    expect(io.err()).toContain('PGFOLLOW_API_TOKEN');
  });

  it('says how to start it or where to look', async () => {
    const api = await testApi({});
    await api[Symbol.asyncDispose]();
    const io = testIo();
    expect(await main(['status', '--url', api.url], io)).toBe(1);
    expect(io.err()).toContain(`does not answer at ${api.url}: ECONNREFUSED`);
    expect(io.err()).toContain('pgfollow run');
    expect(io.out()).toBe('');
  });
});

it.each(['pause', 'resume'])('%s --json is the answer of the API', async (name) => {
  const body = { requested: name, state: 'streaming' };
  await using api = await testApi({ [`PUT /api/v1/pipeline/${name}`]: { status: 202, body } });
  const io = testIo();
  expect(await main([name, '--json', '--url', api.url], io)).toBe(0);
  expect(JSON.parse(io.out())).toEqual(body);
});

it.each(['pause', 'resume'])('%s asks for it and says so on stderr', async (name) => {
  await using api = await testApi({ [`PUT /api/v1/pipeline/${name}`]: { status: 202, body: {} } });
  const io = testIo();
  expect(await main([name, '--url', api.url], io)).toBe(0);
  expect(api.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([`PUT /api/v1/pipeline/${name}`]);
  expect(io.err()).toMatch(/^(Paus|Resum)ed\./);
  expect(io.out()).toBe('');
});

describe('wait --lsn', () => {
  it('comes back when the position is there and the tables are ready', async () => {
    const answers = [
      sampleStatus({}, { copying: 1 }),
      sampleStatus({ position: { received: null, applied: '0/1', acknowledged: null } }),
      sampleStatus(),
    ];
    let asked = 0;
    await using api = await testApi({ [STATUS]: () => ({ status: 200, body: answers[Math.min(asked++, 2)] }) });
    const io = testIo();
    expect(await main(['wait', '--lsn', '0/1A2B3C8', '--url', api.url], io)).toBe(0);
    expect(asked).toBe(3);
    expect(io.out() + io.err()).toBe('');
    const json = testIo();
    expect(await main(['wait', '--lsn', '0/1A2B3C8', '--json', '--url', api.url], json)).toBe(0);
    expect(JSON.parse(json.out())).toEqual({ lsn: '0/1A2B3C8', seconds: expect.any(Number), sequenceFaults: [] });
  });

  it('ends with 4 at the timeout and says what is missing', async () => {
    await using api = await testApi({ [STATUS]: { status: 200, body: sampleStatus({}, { error: 2 }) } });
    const io = testIo();
    expect(await main(['wait', '--lsn', '1/0', '--timeout', '0.3', '--url', api.url], io)).toBe(4);
    expect(io.err()).toContain('after 0.3 s: applied 0/1A2B3C8, wanted 1/0; 2 tables are in error.');
  });

  it('is patient while pgfollow itself starts, but not for ever', async () => {
    const api = await testApi({});
    await api[Symbol.asyncDispose]();
    const io = testIo();
    const started = performance.now();
    expect(await main(['wait', '--lsn', '1/0', '--timeout', '0.4', '--url', api.url], io)).toBe(1);
    expect(performance.now() - started).toBeGreaterThan(300);
    expect(io.err()).toContain('does not answer');
  });
});
