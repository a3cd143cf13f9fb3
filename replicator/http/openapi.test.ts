import fastify from 'fastify';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { serve } from '../testing/http-harness.ts';
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

it('refers only to schemas that are there', () => {
  for (const [, name] of JSON.stringify(openApi('1.0.0')).matchAll(/#\/components\/schemas\/(\w+)/g))
    expect(SCHEMAS).toHaveProperty(name!);
});

it('describes what is given', async () => {
  server.model.problem({ code: 'APPLY_FAILED', message: 'no', remedy: 'mend', table: 'public.orders' });
  server.model.tableState('public.orders', 'error', { code: 'APPLY_FAILED', message: 'no', remedy: 'mend' });
  server.events.append({ level: 'error', code: 'APPLY_FAILED', message: 'no', remedy: 'mend', table: 'public.orders' });
  const get = async (path: string): Promise<unknown> => (await server.fetch(path)).json();
  expect(mismatches(SCHEMAS['Status']!, await get('/api/v1/status'))).toEqual([]);
  expect(mismatches(SCHEMAS['Table']!, await get('/api/v1/tables/public/orders'))).toEqual([]);
  expect(mismatches(SCHEMAS['Event']!, ((await get('/api/v1/events')) as { events: unknown[] }).events[0])).toEqual([]);
  const finding = { level: 'warning', where: 'source', table: null, message: 'so', remedy: 'mend' } as const;
  server.model.findings.replace([{ ...finding, code: 'SLOT_WAL_LIMIT' }]);
  expect(mismatches(SCHEMAS['Findings']!, await get('/api/v1/findings'))).toEqual([]);
  server.model.sample();
  expect(mismatches(SCHEMAS['History']!, await get('/api/v1/history'))).toEqual([]);
  expect(mismatches(SCHEMAS['History']!, await get('/api/v1/history?range=24h'))).toEqual([]);
  expect(mismatches(SCHEMAS['Problem']!, await get('/api/v1/history?range=1y'))).toEqual([]);
  expect(mismatches(SCHEMAS['Problem']!, await get('/api/v1/nothing'))).toEqual([]);
});

/** As much of JSON Schema as the description uses: where the value is not as described, or has what is not described. */
function mismatches(schema: Record<string, unknown>, value: unknown, at = '$'): string[] {
  const options = schema['oneOf'] as Record<string, unknown>[] | undefined;
  if (options) return options.some((option) => mismatches(option, value, at).length === 0) ? [] : [`${at} fits no option`];
  const types = [schema['type']].flat();
  const type = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
  const fits = types.includes(type) || (type === 'number' && types.includes('integer') && Number.isInteger(value));
  if (!fits) return [`${at} is ${type}, not ${types.join(' or ')}`];
  if (schema['enum'] && !(schema['enum'] as unknown[]).includes(value)) return [`${at} is ${String(value)}`];
  if (type === 'array')
    return (value as unknown[]).flatMap((item, i) => mismatches(schema['items'] as Record<string, unknown>, item, `${at}[${i}]`));
  if (type !== 'object') return [];
  const properties = schema['properties'] as Record<string, Record<string, unknown>>;
  const given = value as Record<string, unknown>;
  const missing = (schema['required'] as string[]).filter((name) => !(name in given)).map((name) => `${at}.${name} is missing`);
  const extra = Object.keys(given)
    .filter((name) => !(name in properties))
    .map((name) => `${at}.${name} is not described`);
  return [
    ...missing,
    ...extra,
    ...Object.entries(given).flatMap(([name, item]) => mismatches(properties[name] ?? {}, item, `${at}.${name}`)),
  ];
}
