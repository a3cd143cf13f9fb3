import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigProblem, loadClientConfig, loadConfig, redact, type ConfigIssue } from './load.ts';

const SOURCE = 'postgresql://app:hunter2@x.example/shop';
const TARGET = 'postgresql://app:hunter3@y.example/shop';
const URLS = { PGFOLLOW_SOURCE_URL: SOURCE, PGFOLLOW_TARGET_URL: TARGET };

let cwd: string;
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'pgfollow-config-'));
});
afterEach(() => rmSync(cwd, { recursive: true }));

function file(text: string, name = 'pgfollow.yaml'): string {
  writeFileSync(join(cwd, name), text);
  return name;
}

function load(env: Record<string, string> = {}, flags: Record<string, unknown> = {}) {
  return loadConfig({ flags, env: { ...URLS, ...env }, cwd });
}

/** What is wrong, by path. */
function issuesOf(run: () => unknown): Record<string, ConfigIssue> {
  try {
    run();
  } catch (error) {
    if (!(error instanceof ConfigProblem)) throw error;
    expect(error.code).toBe('CONFIG_INVALID');
    for (const { path } of error.issues) expect(error.message).toContain(path);
    return Object.fromEntries(error.issues.map((issue) => [issue.path, issue]));
  }
  throw new Error('no ConfigProblem was thrown');
}

describe('defaults', () => {
  it('are those of the contract', () => {
    const { config, origins } = load();
    expect(config).toEqual({
      name: 'pgfollow',
      source: { url: SOURCE },
      target: { url: TARGET },
      tables: { include: ['*.*'], exclude: [], map: [] },
      publication: { names: ['pgfollow'], managed: true, viaPartitionRoot: true },
      slot: { name: 'pgfollow', failover: false },
      schema: { create: 'missing' },
      snapshot: { copy: true, workers: 4, existingRows: 'error' },
      apply: {
        onConflict: 'error',
        onMissing: 'skip',
        onError: 'table',
        maxBatchBytes: 16 * 1024 * 1024,
        binary: 'auto',
        streaming: 'auto',
        spillDirectory: null,
        maxSpillBytes: 8 * 1024 ** 3,
      },
      origin: 'any',
      sequences: 'auto',
      heartbeat: { interval: 1000 },
      validation: { interval: null },
      http: { host: '127.0.0.1', port: 5884, token: null, insecure: false, metricsTables: 200 },
      log: { level: 'info' },
    });
    expect(origins.get('name')).toBe('default');
    expect(origins.get('source.url')).toBe('environment PGFOLLOW_SOURCE_URL');
  });

  it('give slot and publication the name of the pipeline', () => {
    const { config } = load({ PGFOLLOW_NAME: 'shop' });
    expect(config.slot.name).toBe('shop');
    expect(config.publication.names).toEqual(['shop']);
  });
});

describe('precedence', () => {
  it.each<[layers: string, env: Record<string, string>, flags: Record<string, unknown>, level: string, origin: string]>([
    ['file', {}, {}, 'warn', 'file pgfollow.yaml:2'],
    ['environment over file', { PGFOLLOW_LOG_LEVEL: 'error' }, {}, 'error', 'environment PGFOLLOW_LOG_LEVEL'],
    ['flag over all', { PGFOLLOW_LOG_LEVEL: 'error' }, { 'log-level': 'debug' }, 'debug', 'flag --log-level'],
    ['--set over its flag', {}, { 'log-level': 'debug', set: ['log.level=trace'] }, 'trace', 'flag --set'],
    ['an empty variable counts as not set', { PGFOLLOW_LOG_LEVEL: '' }, {}, 'warn', 'file pgfollow.yaml:2'],
  ])('%s', (_, env, flags, level, origin) => {
    file('log:\n  level: warn\n');
    const { config, origins } = load(env, flags);
    expect(config.log.level).toBe(level);
    expect(origins.get('log.level')).toBe(origin);
  });

  it.each<[who: string, env: Record<string, string>, flags: Record<string, unknown>, name: string]>([
    ['pgfollow.yaml in the working directory', {}, {}, 'here'],
    ['PGFOLLOW_CONFIG', { PGFOLLOW_CONFIG: 'env.yaml' }, {}, 'env'],
    ['--config', { PGFOLLOW_CONFIG: 'env.yaml' }, { config: 'flag.yaml' }, 'flag'],
  ])('reads the file that %s names', (_, env, flags, name) => {
    file('name: here\n');
    file('name: env\n', 'env.yaml');
    file('name: flag\n', 'flag.yaml');
    expect(load(env, flags).config.name).toBe(name);
  });

  it('turns the texts of environment and flags into lists, numbers and booleans', () => {
    const { config } = load(
      {
        PGFOLLOW_TABLES: 'public.*, "a,b".c',
        PGFOLLOW_EXCLUDE: 'public.audit_*',
        PGFOLLOW_HTTP_PORT: '6000',
        PGFOLLOW_HTTP_INSECURE: 'yes',
      },
      { set: ['snapshot.workers=8', 'heartbeat.interval=500ms', 'slot.failover=on', 'tables.map=[{from: public.a, to: x.b}]'] },
    );
    expect(config.tables.include).toEqual(['public.*', '"a,b".c']);
    expect(config.tables.exclude).toEqual(['public.audit_*']);
    expect(config.http).toMatchObject({ port: 6000, insecure: true });
    expect(config.snapshot.workers).toBe(8);
    expect(config.heartbeat.interval).toBe(500);
    expect(config.slot.failover).toBe(true);
    expect(config.tables.map).toEqual([{ from: 'public.a', to: 'x.b', columns: { exclude: [], rename: {} }, where: null }]);
    expect(load({}, { 'http-insecure': true }).config.http.insecure).toBe(true);
  });

  it('takes the whole of the contract from a file; empty entries mean the default', () => {
    file(`
name: shop
source: { url: "${SOURCE}" }
target: { url: "${TARGET}" }
tables:
  include: ["public.*"]
  exclude: ["public.audit_*"]
  map:
    - from: public.tb_trx_src
      to: public.tb_trx_dest
      columns: { exclude: [secret], rename: { sale_value: amount } }
      where: "sale_value > 0"
publication: { names: [shop_pub], managed: true, viaPartitionRoot: false }
slot: { name: shop_slot, failover: true }
schema:
snapshot: { copy: false, workers: , existingRows: keep }
apply: { onConflict: source_wins, onMissing: insert, onError: pipeline, maxBatchBytes: 1MB, binary: never, streaming: off }
origin: none
heartbeat: { interval: 1min }
http: { host: "::1", port: 0, token: t0ken }
log: { level: debug }
`);
    const { config } = loadConfig({ flags: {}, env: {}, cwd });
    expect(config.tables.map[0]).toEqual({
      from: 'public.tb_trx_src',
      to: 'public.tb_trx_dest',
      columns: { exclude: ['secret'], rename: { sale_value: 'amount' } },
      where: 'sale_value > 0',
    });
    expect(config.slot).toEqual({ name: 'shop_slot', failover: true });
    expect(config.publication.names).toEqual(['shop_pub']);
    expect(config.snapshot).toEqual({ copy: false, workers: 4, existingRows: 'keep' });
    expect(config.schema.create).toBe('missing');
    expect(config.apply).toMatchObject({ maxBatchBytes: 1_048_576, streaming: 'off' });
    expect(config.heartbeat.interval).toBe(60_000);
  });
});

describe('secrets in files', () => {
  it('are read without one trailing newline, from environment and file', () => {
    file(`${SOURCE}\n`, 'x');
    file('t0ken\n\n', 'token');
    mkdirSync(join(cwd, 'etc'));
    file('target:\n  urlFile: y\n', 'etc/pgfollow.yaml');
    file(TARGET, 'etc/y');
    const env = {
      PGFOLLOW_CONFIG: 'etc/pgfollow.yaml',
      PGFOLLOW_SOURCE_URL_FILE: join(cwd, 'x'),
      PGFOLLOW_API_TOKEN_FILE: 'token',
    };
    const { config, origins } = loadConfig({ flags: {}, env, cwd });
    expect(config.source.url).toBe(SOURCE);
    expect(config.target.url).toBe(TARGET);
    expect(config.http.token).toBe('t0ken\n');
    expect(origins.get('source.url')).toBe('environment PGFOLLOW_SOURCE_URL_FILE');
  });

  it('are an error when they are given twice or cannot be read, and said once', () => {
    file('http: { token: a, tokenFile: b }\n');
    const env = { PGFOLLOW_SOURCE_URL: SOURCE, PGFOLLOW_SOURCE_URL_FILE: 'x', PGFOLLOW_TARGET_URL_FILE: 'missing' };
    const issues = issuesOf(() => loadConfig({ flags: {}, env, cwd }));
    expect(Object.keys(issues).sort()).toEqual(['http.tokenFile', 'source.url', 'target.url']);
    expect(issues['source.url']?.allowed).toContain('both PGFOLLOW_SOURCE_URL and PGFOLLOW_SOURCE_URL_FILE');
    expect(issues['target.url']).toMatchObject({ value: 'missing', origin: 'environment PGFOLLOW_TARGET_URL_FILE' });
    expect(issues['target.url']?.allowed).toContain('ENOENT');
    expect(issues['http.tokenFile']?.allowed).toContain('both http.token and http.tokenFile');
  });

  it('never come back in a message or a redacted configuration', () => {
    file(
      'source: { url: "postgresql://app:hunter2@x@y/shop", pass: hunter2 }\ntarget: "postgresql://a:hunter2@b/c"\nhttp: { token: [hunter2] }\npassword: hunter2\n',
    );
    const env = { PGFOLLOW_SORCE_URL: SOURCE };
    try {
      loadConfig({ flags: {}, env, cwd });
      expect.unreachable();
    } catch (error) {
      expect((error as ConfigProblem).issues).toHaveLength(6);
      expect(JSON.stringify([(error as ConfigProblem).message, (error as ConfigProblem).issues])).not.toContain('hunter2');
    }
    rmSync(join(cwd, 'pgfollow.yaml'));
    const redacted = JSON.stringify(redact(load({ PGFOLLOW_API_TOKEN: 'hunter2' }).config));
    expect(redacted).not.toContain('hunter');
    expect(redacted).toContain('"token":"***"');
  });
});

describe('errors', () => {
  it('are reported all at once, with path, value, what is allowed and where it was said', () => {
    file(`name: Shop!
source: { url: "${SOURCE}" }
tables:
  include: [public.*, nodot]
  map:
    - from: public.*
apply:
  on_conflict: error
  onError: tabel
http: { host: 0.0.0.0 }
workers: 3
heartbeat:
  interval: 5
extra:
`);
    const issues = issuesOf(() => loadConfig({ flags: { set: ['apply.binry=x'] }, env: { PGFOLLOW_HTTP_PORT: 'http' }, cwd }));
    expect(Object.keys(issues).sort()).toEqual([
      'apply.binry',
      'apply.onError',
      'apply.on_conflict',
      'extra',
      'heartbeat.interval',
      'http.host',
      'http.port',
      'name',
      'tables.include[1]',
      'tables.map[0].from',
      'tables.map[0].to',
      'target.url',
      'workers',
    ]);
    expect(issues['apply.onError']).toEqual({
      path: 'apply.onError',
      value: '"tabel"',
      allowed: 'allowed: one of table, pipeline',
      origin: 'file pgfollow.yaml:9',
    });
    expect(issues['http.port']).toMatchObject({ value: '"http"', origin: 'environment PGFOLLOW_HTTP_PORT' });
    expect(issues['target.url']?.value).toBe('not set');
    expect(issues['target.url']?.allowed).toContain('PGFOLLOW_TARGET_URL_FILE');
    expect(issues['tables.include[1]']?.allowed).toContain('schema is missing');
  });

  it.each([
    ['apply:\n  on_conflict: error\n', 'apply.on_conflict', 'did you mean apply.onConflict?'],
    ['workers: 3\n', 'workers', 'did you mean snapshot.workers?'],
    ['soruce: {}\n', 'soruce', 'did you mean source?'],
    ['source: { ulr: x }\n', 'source.ulr', 'did you mean source.url?'],
    ['target: { urlfile: x }\n', 'target.urlfile', 'did you mean target.urlFile?'],
    [
      'tables: { map: [{ from: a.b, to: c.d, columns: { exlude: [x] } }] }\n',
      'tables.map[0].columns.exlude',
      'did you mean tables.map[0].columns.exclude?',
    ],
    ['zzz: 1\n', 'zzz', 'known at the top: name, source'],
  ])('for unknown keys say what was meant: %j', (text, path, hint) => {
    file(text);
    expect(issuesOf(() => load())[path]?.allowed).toContain(hint);
  });

  it.each<[name: string, value: string, hint: string | null]>([
    ['PGFOLLOW_SORCE_URL', 'x', 'did you mean PGFOLLOW_SOURCE_URL?'],
    ['PGFOLLOW_PORT', '5884', 'did you mean PGFOLLOW_HTTP_PORT?'],
    ['PGFOLLOW_HTTP_TOKEN', 'x', 'did you mean PGFOLLOW_API_TOKEN?'],
    ['PGFOLLOW_ZZZ', 'x', 'nothing reads this variable'],
    ['PGFOLLOW_PORT', 'tcp://10.0.0.1:5884', null],
    ['PGFOLLOW_SERVICE_HOST', '10.0.0.1', null],
    ['PGFOLLOW_SERVICE_PORT_HTTP', '5884', null],
    ['PGFOLLOW_PORT_5884_TCP_ADDR', '10.0.0.1', null],
  ])('for unknown variables: %s=%s', (name, value, hint) => {
    if (hint === null) expect(load({ [name]: value }).config.name).toBe('pgfollow');
    else expect(issuesOf(() => load({ [name]: value }))[name]?.allowed).toContain(hint);
  });

  it.each<[what: string, text: string, hint: string]>([
    ['no mapping', '- a\n', 'a mapping of settings'],
    ['no YAML', 'source: {\n', 'not valid YAML'],
    ['a key twice', 'name: a\nname: b\n', 'duplicate key'],
  ])('for a file that holds %s', (_, text, hint) => {
    file(text);
    const issues = issuesOf(() => loadConfig({ flags: {}, env: {}, cwd }));
    expect(Object.keys(issues)).toEqual(['config']);
    expect(issues['config']?.allowed).toContain(hint);
  });

  it('for a file that is not there name who asked for it', () => {
    const issues = issuesOf(() => load({ PGFOLLOW_CONFIG: 'none.yaml' }));
    expect(issues).toEqual({ config: expect.objectContaining({ value: 'none.yaml', origin: 'environment PGFOLLOW_CONFIG' }) });
  });

  it.each<[setting: string, values: string[]]>([
    ['name', ['', 'Shop', 'a-b', 'x'.repeat(64)]],
    ['http.port', ['-1', '65536', '1.5']],
    ['snapshot.workers', ['0', '65', 'many']],
    ['apply.maxBatchBytes', ['1kB', '2GB', '16 Mb/s']],
    ['heartbeat.interval', ['1ms', '1000', '2h']],
    ['validation.interval', ['never', '10ms', '31d']],
    ['slot.name', ['Slot']],
    ['log.level', ['verbose']],
    ['publication.managed', ['maybe']],
  ])('%s is refused outside its range', (setting, values) => {
    for (const value of values) expect(issuesOf(() => load({}, { set: [`${setting}=${value}`] }))).toHaveProperty([setting]);
  });
});

describe('rules between settings', () => {
  it.each<[what: string, text: string, path: string, hint: string]>([
    ['an open address needs a token', 'http: { host: 0.0.0.0 }', 'http.host', 'http.token is needed'],
    ['so does a name', 'http: { host: db.example }', 'http.host', 'http.token is needed'],
    ['one database on both sides', `target: { url: "${SOURCE}" }`, 'target.url', 'two databases'],
    ['two managed publications', 'publication: { names: [a, b] }', 'publication.names', 'one name'],
    [
      'a filter for a foreign publication',
      'publication: { managed: false }\ntables: { map: [{ from: a.b, to: c.d, where: "x" }] }',
      'tables.map[0].where',
      'row filter',
    ],
    [
      'a table mapped twice',
      'tables: { map: [{ from: a.b, to: c.d }, { from: \'"a".b\', to: c.e }] }',
      'tables.map[1].from',
      'same table',
    ],
    [
      'two tables into one',
      'tables: { map: [{ from: a.b, to: c.d }, { from: a.c, to: c.d }] }',
      'tables.map[1].to',
      'same table',
    ],
    [
      'a mapped table that is not included',
      'tables: { include: [b.*], map: [{ from: a.b, to: c.d }] }',
      'tables.map[0].from',
      'does not match',
    ],
    [
      'a mapped table that is excluded',
      'tables: { exclude: [a.*], map: [{ from: a.b, to: c.d }] }',
      'tables.map[0].from',
      'leaves it out',
    ],
    [
      'a column excluded and renamed',
      'tables: { map: [{ from: a.b, to: c.d, columns: { exclude: [x], rename: { x: y } } }] }',
      'tables.map[0].columns.rename.x',
      'leaves this column out',
    ],
    [
      'two columns of one name',
      'tables: { map: [{ from: a.b, to: c.d, columns: { rename: { x: z, y: z } } }] }',
      'tables.map[0].columns.rename.y',
      'x takes this name',
    ],
  ])('%s', (_, text, path, hint) => {
    file(`source: { url: "${SOURCE}" }\n${text.includes('target:') ? '' : `target: { url: "${TARGET}" }\n`}${text}\n`);
    const issues = issuesOf(() => loadConfig({ flags: {}, env: {}, cwd }));
    expect(Object.keys(issues)).toEqual([path]);
    expect(issues[path]?.allowed).toContain(hint);
  });

  it.each([
    { host: '0.0.0.0', token: 't' },
    { host: '0.0.0.0', insecure: true },
    { host: 'localhost' },
    { host: '127.1.2.3' },
    { host: '::1' },
  ])('%j may be bound', (http) => {
    file(JSON.stringify({ http }));
    expect(load().config.http).toMatchObject(http);
  });
});

describe('loadClientConfig', () => {
  it('needs no databases and minds nothing but http.* and source.url', () => {
    file('http: { host: 0.0.0.0, port: 6000 }\nsnapshot: { workers: none }\n');
    const { http, sourceUrl } = loadClientConfig({ flags: {}, env: { PGFOLLOW_NONSENSE: 'x' }, cwd });
    expect(http).toMatchObject({ host: '0.0.0.0', port: 6000 });
    expect(sourceUrl).toBeNull();
  });

  it('still refuses what it needs', () => {
    const issues = issuesOf(() =>
      loadClientConfig({ flags: { 'http-port': 'x' }, env: { PGFOLLOW_SOURCE_URL: 'mysql://a' }, cwd }),
    );
    expect(Object.keys(issues).sort()).toEqual(['http.port', 'source.url']);
  });
});
