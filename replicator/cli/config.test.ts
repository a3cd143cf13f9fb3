import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { loadConfig } from '../config/load.ts';
import { configJsonSchema } from '../config/reference.ts';
import { main } from './main.ts';
import { testIo } from '../testing/cli-io.ts';

const URLS = { PGFOLLOW_SOURCE_URL: 'postgresql://app:hunter2@x/shop', PGFOLLOW_TARGET_URL: 'postgresql://y/shop' };
const FLAGS = [
  '--name=shop',
  '--set=heartbeat.interval=90s',
  '--set=apply.maxBatchBytes=1MB',
  '--set=tables.map=[{from: public.a, to: x.b, where: "n > 0"}]',
];

it('prints every value with where it came from, and no secret', async () => {
  const io = testIo({ env: { ...URLS, PGFOLLOW_API_TOKEN: 'hunter3' } });
  expect(await main(['config', ...FLAGS], io)).toBe(0);
  const lines = io.out().split('\n');
  for (const line of [
    'name: shop # flag --name',
    '  url: postgresql://app:***@x/shop # environment PGFOLLOW_SOURCE_URL',
    '  include: [ "*.*" ] # default',
    '  # flag --set',
    '    - from: public.a',
    '  interval: 90s # flag --set',
    '  maxBatchBytes: 1MB # flag --set',
    '  port: 5884 # default',
    '  token: "***" # environment PGFOLLOW_API_TOKEN',
  ]) {
    expect(lines).toContain(line);
  }
  expect(io.out()).not.toContain('hunter');
  expect(io.err()).toBe('');
});

it('prints a file that means the same', async () => {
  const io = testIo({ env: { ...URLS, PGFOLLOW_SOURCE_URL: 'postgresql://x/shop' } });
  expect(await main(['config', ...FLAGS], io)).toBe(0);
  const cwd = mkdtempSync(join(tmpdir(), 'pgfollow-config-'));
  try {
    writeFileSync(join(cwd, 'pgfollow.yaml'), io.out());
    const { config } = loadConfig({ flags: {}, env: {}, cwd });
    expect(config).toMatchObject({ name: 'shop', heartbeat: { interval: 90_000 }, apply: { maxBatchBytes: 1_048_576 } });
    expect(config.tables.map).toEqual([{ from: 'public.a', to: 'x.b', columns: { exclude: [], rename: {} }, where: 'n > 0' }]);
    expect(config.http.token).toBeNull();
  } finally {
    rmSync(cwd, { recursive: true });
  }
});

it('--json has the values and their origins', async () => {
  const io = testIo({ env: URLS });
  expect(await main(['config', '--json'], io)).toBe(0);
  const { config, origins } = JSON.parse(io.out()) as { config: Record<string, unknown>; origins: Record<string, string> };
  expect(config).toMatchObject({ heartbeat: { interval: '1s' }, source: { url: 'postgresql://app:***@x/shop' } });
  expect(origins).toMatchObject({ name: 'default', 'target.url': 'environment PGFOLLOW_TARGET_URL' });
});

it('--schema has what an editor needs to know, also where nothing is configured yet', async () => {
  const io = testIo({ env: {} });
  expect(await main(['config', '--schema'], io)).toBe(0);
  expect(JSON.parse(io.out())).toEqual(configJsonSchema());
});
