import { expect, it } from 'vitest';
import { waiting, type TableValidation } from '../observe/validation.ts';
import { testApi, testIo } from '../testing/cli-io.ts';
import { main } from './main.ts';

const at = '2026-01-02T03:04:05.000Z';

function answers(tables: readonly ({ table: string } & Partial<TableValidation>)[], running = false) {
  const body = {
    running,
    requestedBy: 'x',
    startedAt: at,
    finishedAt: running ? null : at,
    tables: tables.map((found) => ({ ...waiting(), startedAt: at, finishedAt: running ? null : at, ...found })),
  };
  return {
    'POST /api/v1/validations': { status: 202, body: {} },
    'DELETE /api/v1/validations': { status: 202, body: {} },
    'GET /api/v1/validations': { status: 200, body },
  };
}

const equal = { table: 'public.a', state: 'equal', rows: 12345 } as const;
const different: { table: string } & Partial<TableValidation> = {
  table: 'public.b',
  state: 'different',
  rows: 9,
  missing: 2,
  extra: 1,
  examples: [
    { kind: 'missing', key: 'id=1' },
    { kind: 'extra', key: 'id=\u001b[31m2' },
  ],
};

it('prints a line a table, examples by their keys, and 1 where rows differ', async () => {
  await using api = await testApi(answers([equal, different]));
  const io = testIo();
  expect(await main(['validate', '--url', api.url], io)).toBe(1);
  expect(io.out()).toBe(
    'public.a  equal  12 345 rows compared\n' +
      'public.b  different  9 rows compared, 2 missing on the target, 1 only on the target\n' +
      '  missing on the target: id=1\n' +
      '  only on the target: id=\u{fffd}[31m2\n',
  );
  expect(io.err()).toBe('');
});

it.each([
  [[equal], 0],
  [[equal, { table: 'public.c', state: 'unsettled', unsettled: 3 }], 0],
  [[equal, { table: 'public.c', state: 'failed', reason: 'permission denied' }], 1],
  [[{ table: 'public.c', state: 'cancelled' }], 1],
] as const)('what the exit code says: %#', async (tables, code) => {
  await using api = await testApi(answers(tables));
  const io = testIo();
  expect(await main(['validate', 'public.a', 'public.c', '--url', api.url], io)).toBe(code);
  if (tables.some((found) => 'reason' in found)) expect(io.out()).toContain('permission denied');
});

it('--json is what the API gives, once', async () => {
  const api_ = answers([different]);
  await using api = await testApi(api_);
  const io = testIo();
  expect(await main(['validate', '--json', '--url', api.url], io)).toBe(1);
  expect(JSON.parse(io.out())).toEqual(api_['GET /api/v1/validations'].body);
});

it('waits no longer than --timeout, and leaves the comparison alone', async () => {
  await using api = await testApi(answers([{ table: 'public.a', state: 'running', rows: 5 }], true));
  const io = testIo({ tty: true });
  expect(await main(['validate', '--timeout', '0.1', '--url', api.url], io)).toBe(4);
  expect(io.err()).toContain('public.a  5 rows so far');
  expect(io.err()).toContain('--cancel');
  expect(api.requests.map(({ method }) => method)).not.toContain('DELETE');
});

it('Ctrl-C ends it', async () => {
  await using api = await testApi(answers([{ table: 'public.a', state: 'running' }], true));
  const io = testIo();
  const running = main(['validate', '--url', api.url], io);
  while (io.listening() === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  io.signal('SIGINT');
  expect(await running).toBe(1);
  expect(api.requests.at(-1)?.method).toBe('DELETE');
});

it('passes on why it is not possible', async () => {
  const body = { detail: 'The pipeline is paused.', remedy: '`pgfollow resume` first.' };
  await using api = await testApi({ 'POST /api/v1/validations': { status: 409, body } });
  const io = testIo();
  expect(await main(['validate', '--url', api.url], io)).toBe(1);
  expect(io.err()).toContain('paused');
});

it.each([['validate orders'], ['validate --timeout soon'], ['validate a.b.c']])('%s is a usage error', async (line) => {
  expect(await main(line.split(' '), testIo())).toBe(2);
});
