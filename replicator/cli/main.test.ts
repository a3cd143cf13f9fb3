import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from './command.ts';
import { main } from './main.ts';
import { chooseStart } from './start.ts';
import { testIo } from '../testing/cli-io.ts';
import { VERSION } from './version.ts';

const SHOWN = Object.keys(COMMANDS).filter((name) => !COMMANDS[name]?.hidden);

describe('help', () => {
  it('lists every command, but not what is internal', async () => {
    const io = testIo();
    expect(await main(['--help'], io)).toBe(0);
    const contract =
      'run demo doctor status tables events wait pause resume add remove resync retry validate teardown config completion version'.split(
        ' ',
      );
    expect(SHOWN).toEqual(contract);
    for (const name of contract) expect(io.out()).toMatch(new RegExp(`^  ${name} +\\S`, 'm'));
    expect(io.out()).not.toMatch(/^  start/m);
    expect(io.err()).toBe('');
  });

  it.each(SHOWN)('of %s shows its usage and options on stdout', async (name) => {
    const io = testIo();
    expect(await main([name, '--nonsense', '--help'], io)).toBe(0);
    expect(io.out()).toContain(`Usage: pgfollow ${name}`);
    expect(io.out()).toContain('--help');
    expect(io.out()).toMatch(/^Examples:\n {2}.*pgfollow \w+/m);
    const same = testIo();
    expect(await main(['help', name], same)).toBe(0);
    expect(same.out()).toBe(io.out());
  });

  it('is shown on stderr, as a usage error, without a command', async () => {
    const io = testIo();
    expect(await main([], io)).toBe(2);
    expect(io.err()).toContain('Usage: pgfollow COMMAND');
    expect(io.out()).toBe('');
  });
});

it('prints the version of the package', async () => {
  const io = testIo();
  expect(await main(['--version'], io)).toBe(0);
  expect(io.out()).toBe(`${VERSION}\n`);
  expect(VERSION).toMatch(/^\d+\.\d+\.\d+/);
});

it('version says more for a report', async () => {
  const io = testIo();
  expect(await main(['version'], io)).toBe(0);
  expect(io.out()).toBe(`pgfollow ${VERSION}, Node.js ${process.version}, ${process.platform} ${process.arch}\n`);
  const json = testIo();
  expect(await main(['version', '--json'], json)).toBe(0);
  expect(JSON.parse(json.out())).toMatchObject({ version: VERSION, node: process.version });
});

describe('usage errors end with 2 and say what was meant', () => {
  it.each<[argv: string, hint: string]>([
    ['statsu', 'did you mean status?'],
    ['tear-down', 'did you mean teardown?'],
    ['frobnicate', 'unknown command frobnicate'],
    ['__proto__', 'unknown command __proto__'],
    ['--config x run', 'the command comes first'],
    ['status --jsno', 'unknown option --jsno; did you mean --json?'],
    ['status -x', 'unknown option -x'],
    ['status --url', '--url needs a value: --url http://HOST:PORT'],
    ['status --url --json', '--url needs a value'],
    ['status --json=yes', '--json takes no value'],
    ['status extra', 'unexpected extra'],
    ['status --url nowhere', 'no address such as http://127.0.0.1:5884'],
    ['wait --timeout soon', 'no number of seconds'],
    ['wait --lsn here', 'no position such as 16/B374D848'],
    ['wait', 'PGFOLLOW_SOURCE_URL'],
    ['run --set nonsense=1', 'no such setting'],
    ['demo --http-port x', 'http.port: "x" (flag --http-port)'],
  ])('%s', async (argv, hint) => {
    const io = testIo();
    expect(await main(argv.split(' '), io)).toBe(2);
    expect(io.err()).toContain(hint);
    expect(io.out()).toBe('');
  });

  it('reports all of a line at once', async () => {
    const io = testIo();
    expect(await main(['tables', '--jsn', '--lsn', '1/2'], io)).toBe(2);
    expect(io.err()).toContain('--jsn; did you mean --json?');
    expect(io.err()).toContain('unknown option --lsn');
  });
});

it('run lists every configuration error and shows no secret', async () => {
  const io = testIo({ env: { PGFOLLOW_SOURCE_URL: 'postgresql://app:hunter2@x:port/shop', PGFOLLOW_NAME: 'No!' } });
  expect(await main(['run'], io)).toBe(2);
  expect(io.err()).toContain('3 errors');
  for (const part of ['name: "No!"', 'source.url: postgresql://app:***@', 'target.url: not set'])
    expect(io.err()).toContain(part);
  expect(io.err()).not.toContain('hunter2');
});

describe('start', () => {
  it.each<[env: Record<string, string>, flags: Record<string, unknown>, expected: string]>([
    [{}, {}, 'demo'],
    [{ PGFOLLOW_SOURCE_URL: '' }, {}, 'demo'],
    [{ PGFOLLOW_HTTP_PORT: '6000' }, {}, 'demo'],
    [{ PGFOLLOW_SOURCE_URL: 'postgresql://x/y' }, {}, 'run'],
    [{ PGFOLLOW_SOURCE_URL_FILE: '/run/secrets/x' }, {}, 'run'],
    [{ PGFOLLOW_CONFIG: 'x.yaml' }, {}, 'run'],
    [{}, { config: 'x.yaml' }, 'run'],
    [{}, { 'source-url': 'postgresql://x/y' }, 'run'],
  ])('with %j and flags %j is %s', (env, flags, expected) => {
    expect(chooseStart(flags, testIo({ env }))).toBe(expected);
  });

  it('is run where pgfollow.yaml is', async () => {
    const cwd = mkdtempSync(join(tmpdir(), 'pgfollow-start-'));
    try {
      expect(chooseStart({}, testIo({ cwd }))).toBe('demo');
      writeFileSync(join(cwd, 'pgfollow.yaml'), 'name: shop\n');
      expect(chooseStart({}, testIo({ cwd }))).toBe('run');
      const io = testIo({ cwd });
      expect(await main(['start', '--http-port', 'x'], io)).toBe(2);
      expect(io.err()).toContain('target.url: not set');
      expect(await main(['start', '--keep', 'x'], io)).toBe(2);
      expect(io.err()).toContain('run: unknown option --keep');
    } finally {
      rmSync(cwd, { recursive: true });
    }
  });
});
