import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { listing, serve } from '../../testing/http-harness.ts';
import type { Harness } from '../../testing/http-harness.ts';
import { FAVICON, SCRIPTS, STYLE } from './assets.ts';

const KB = 1024;
const zipped = (text: string): number => gzipSync(text).length;

let server: Harness;
beforeAll(async () => {
  server = await serve();
  const { model, events } = server;
  model.followed.list(Array.from({ length: 5000 }, (_, i) => listing(`tenant_${i}.table_with_a_name_${i}`)));
  for (let i = 0; i < 1000; i++)
    events.append({ level: 'info', code: `EVENT_${i}`, message: `Something number ${i} has happened here.` });
});
afterAll(() => server.close());

it('script and style are small', () => {
  expect(zipped([...SCRIPTS.values()].join(''))).toBeLessThan(15 * KB);
  expect(zipped(STYLE)).toBeLessThan(8 * KB);
});

it('all that a first visit loads at five thousand tables is small', async () => {
  const page = await (await server.fetch('/')).text();
  const all =
    zipped(page) + zipped(STYLE) + zipped(FAVICON) + [...SCRIPTS.values()].reduce((sum, script) => sum + zipped(script), 0);
  expect(all).toBeLessThan(60 * KB);
});

it('goes out compressed to who takes that', async () => {
  for (const path of ['/', '/assets/style.css', '/api/v1/tables', '/metrics']) {
    const packed = await server.fetch(path, { headers: { 'accept-encoding': 'gzip' } });
    expect([path, packed.headers.get('content-encoding')]).toEqual([path, 'gzip']);
    const plain = await server.fetch(path, { headers: { 'accept-encoding': 'identity' } });
    expect([path, plain.headers.get('content-encoding')]).toEqual([path, null]);
    if (path !== '/' && path !== '/metrics') expect(await packed.text()).toBe(await plain.text());
  }
});
