import { expect, it } from 'vitest';
import { testApi, testIo } from '../testing/cli-io.ts';
import { samplePlan } from '../testing/http-harness.ts';
import { main } from './main.ts';

it.each([
  ['add', 'POST /api/v1/tables', 'going to be followed'],
  ['remove', 'DELETE /api/v1/tables/public/orders', 'no longer followed'],
  ['resync', 'POST /api/v1/tables/public/orders/resync', 'copied again'],
  ['retry', 'POST /api/v1/tables/public/orders/retry', 'tried again'],
])('%s asks for %s and says so on stderr', async (name, route, said) => {
  await using api = await testApi({ [route]: { status: 202, body: {} } });
  const io = testIo();
  expect(await main([name, 'public.orders', '--url', api.url], io)).toBe(0);
  expect(api.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([route]);
  expect(io.err()).toContain(said);
  expect(io.out()).toBe('');
});

it('says what a command waits for', async () => {
  const body = {
    requested: 'add',
    table: 'public.orders',
    note: 'The pipeline is paused: it is copied after `pgfollow resume`.',
  };
  await using api = await testApi({ 'POST /api/v1/tables': { status: 202, body } });
  const io = testIo();
  expect(await main(['add', 'public.orders', '--url', api.url], io)).toBe(0);
  expect(io.err().split('\n').slice(1)).toEqual([body.note, '']);
});

it.each(['add', 'remove', 'resync', 'retry'])('%s --json is the answer of the API', async (name) => {
  const answer = { status: 202, body: { requested: name, table: 'public.orders' } };
  await using api = await testApi({
    'POST /api/v1/tables': answer,
    'DELETE /api/v1/tables/public/orders': answer,
    'POST /api/v1/tables/public/orders/resync': answer,
    'POST /api/v1/tables/public/orders/retry': answer,
  });
  const io = testIo();
  expect(await main([name, 'public.orders', '--json', '--url', api.url], io)).toBe(0);
  expect(JSON.parse(io.out())).toEqual(answer.body);
  expect(io.err()).toBe('');
});

it('add --dry-run tells what would happen, and ends with 1 where something stands in the way', async () => {
  const plan = samplePlan('public.orders');
  const answers = [plan, plan, { ...plan, possible: false }];
  await using api = await testApi({ 'POST /api/v1/tables?dryRun=true': () => ({ status: 200, body: answers.shift() }) });
  const said = testIo();
  expect(await main(['add', 'public.orders', '--dry-run', '--url', api.url], said)).toBe(0);
  expect(said.out().split('\n')).toEqual([
    '- public.orders is put into the publication on the source.',
    '- About 1,200 rows are copied (8.0 kB).',
    'warning  source   REPLICA_IDENTITY  public.orders has no key.  ->  Nothing.',
    '',
  ]);
  const machine = testIo();
  expect(await main(['add', 'public.orders', '-n', '--json', '--url', api.url], machine)).toBe(0);
  expect(JSON.parse(machine.out())).toEqual(plan);
  expect(await main(['add', 'public.orders', '-n', '--url', api.url], testIo())).toBe(1);
  expect(await main(['remove', 'public.orders', '-n', '--url', api.url], testIo())).toBe(2);
  await using other = await testApi({ 'POST /api/v1/tables/public/orders/resync?dryRun=true': { status: 200, body: plan } });
  expect(await main(['resync', 'public.orders', '-n', '--url', other.url], testIo())).toBe(0);
});

it('passes on why something is not possible', async () => {
  const body = { detail: 'public.orders is not in error.', remedy: 'Nothing needs to be done.' };
  await using api = await testApi({ 'POST /api/v1/tables/public/orders/retry': { status: 409, body } });
  const io = testIo();
  expect(await main(['retry', 'public.orders', '--url', api.url], io)).toBe(1);
  expect(io.err()).toContain('not in error');
});

it.each([['add'], ['add orders'], ['resync a.b c.d'], ['retry a.b.c']])('%s is a usage error', async (line) => {
  const io = testIo();
  expect(await main(line.split(' '), io)).toBe(2);
  expect(io.err()).toContain('SCHEMA.TABLE');
});
