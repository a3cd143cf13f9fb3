// What `docker compose up` and `docker build` are given, checked without Docker: pins, ports, passwords, mounts.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { fileSchema } from '../replicator/config/schema.ts';

interface Service {
  image?: string;
  build?: string;
  user?: string;
  restart?: string;
  ports?: string[];
  volumes?: string[];
  tmpfs?: string[];
  cap_drop?: string[];
  security_opt?: string[];
  healthcheck?: { test: string[] };
  logging?: { driver: string; options: Record<string, string> };
  environment?: Record<string, string>;
  entrypoint?: string[];
  depends_on?: Record<string, { condition: string }>;
}

const root = new URL('../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');
const exists = (path: string): boolean => existsSync(new URL(path, root));
/** What stands at the top of the repository and fits a name that may hold one *. */
const topLevel = (pattern: string): string[] => {
  const [start = '', end = ''] = pattern.split('*');
  const fits = (name: string): boolean =>
    pattern.includes('*') ? name.startsWith(start) && name.endsWith(end) : name === pattern;
  return readdirSync(root).filter(fits);
};

const composeText = read('docker-compose.yml');
const compose = parse(composeText, { merge: true }) as { services: Record<string, Service>; volumes: Record<string, unknown> };
const services = Object.entries(compose.services);
/** All but the one that runs once. */
const lasting = services.filter(([name]) => name !== 'prepare');
const prepare = compose.services['prepare'] as Service;
const prepareScript = (prepare.entrypoint ?? []).join('\n');

/** Folders that these images keep in a volume of their own, where nothing else is mounted there. */
const OWN_VOLUMES: Record<string, string[]> = {
  postgres: ['/var/lib/postgresql'],
  'prom/prometheus': ['/prometheus'],
  'grafana/grafana': [],
  'dpage/pgadmin4': ['/var/lib/pgadmin'],
};

const PINNED = /^[a-z0-9./-]+:v?\d+\.\d+[\w.-]*$/;

describe('docker-compose.yml', () => {
  test.each(services)('%s: image with a version, bounded log, no privileges', (_name, service) => {
    if (service.build === undefined) expect(service.image).toMatch(PINNED);
    expect(service.logging).toMatchObject({ driver: 'json-file', options: { 'max-size': '10m', 'max-file': '3' } });
    expect(service.cap_drop).toEqual(['ALL']);
    expect(service.security_opt).toContain('no-new-privileges:true');
    expect(service.user).toBeDefined();
  });

  test.each(lasting)('%s: restarts, says whether it is well, waits for the passwords', (_name, service) => {
    expect(service.restart).toBe('unless-stopped');
    expect(service.healthcheck?.test.length).toBeGreaterThan(1);
    expect(service.depends_on?.['prepare']?.condition).toBe('service_completed_successfully');
    expect(service.user).not.toMatch(/^(0|root)\b/);
  });

  test('the ports that README names, all of them on loopback', () => {
    const published = services.flatMap(([, { ports = [] }]) => ports.map((port) => port.replace(/\$\{\w+:-(\d+)\}/, '$1')));
    for (const port of published) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
    expect(published.map((port) => Number(port.split(':')[1])).sort((a, b) => a - b)).toEqual([
      3000, 5432, 5433, 5884, 9090, 16543,
    ]);
  });

  test('databases are probed over TCP, and the replicator waits for nothing but them', () => {
    for (const name of ['pg_x', 'pg_y']) expect(compose.services[name]?.healthcheck?.test).toContain('127.0.0.1');
    expect(Object.keys(compose.services['replicator']?.depends_on ?? {}).sort()).toEqual(['pg_x', 'pg_y', 'prepare']);
    for (const [, { depends_on = {} }] of services)
      expect(Object.keys(compose.services)).toEqual(expect.arrayContaining(Object.keys(depends_on)));
  });

  test('every mount exists: named volumes are declared, folders are in the repository and read-only', () => {
    const mounts = services.flatMap(([, { volumes = [] }]) => volumes.map((mount) => mount.split(':')));
    for (const [source = '', , mode] of mounts) {
      if (!source.startsWith('./')) expect(Object.keys(compose.volumes)).toContain(source);
      else expect([source, exists(source), mode]).toEqual([source, true, 'ro']);
    }
    for (const volume of Object.keys(compose.volumes)) expect(mounts.map(([source]) => source)).toContain(volume);
    for (const name of ['pg_x', 'pg_y']) expect(compose.services[name]?.volumes).toContain(`${name}:/var/lib/postgresql`);
  });

  test('no service gets a volume without a name, which `docker compose down` would leave behind', () => {
    const built = [...read('Dockerfile').matchAll(/^VOLUME (\S+)$/gm)].map(([, folder = '']) => folder);
    expect(built).toEqual(['/var/tmp']);
    for (const [name, { image, volumes = [], tmpfs = [] }] of services) {
      const mounted = [...volumes.map((mount) => mount.split(':')[1]), ...tmpfs.map((mount) => mount.split(':')[0])];
      const kept = image === undefined ? built : OWN_VOLUMES[image.split(':')[0] ?? ''];
      expect([name, kept?.filter((folder) => !mounted.includes(folder))]).toEqual([name, []]);
    }
  });

  test('no password stands in it: each comes from a file of the one user who runs the service', () => {
    const uids = new Map([...prepareScript.matchAll(/^give (\d+) (\w+)$/gm)].map(([, uid, folder]) => [folder, uid]));
    for (const [name, { environment = {}, user = '' }] of lasting) {
      for (const [key, value] of Object.entries(environment)) {
        if (/PASSWORD|TOKEN|_URL|PGPASS|YAML/.test(key) && !key.endsWith('_REQUIRED'))
          expect([name, key, value]).toEqual([name, expect.stringMatching(/FILE$/), expect.stringMatching(/^\/run\/secrets\//)]);
      }
      const uid = user.startsWith('node') ? '1000' : user.split(':')[0];
      const asked = JSON.stringify(compose.services[name]).matchAll(/\/run\/secrets\/(\w+)\/(\w+(?:\.\w+)?)/g);
      for (const [, folder = '', file] of asked) {
        expect([name, folder, uids.get(folder)]).toEqual([name, folder, uid]);
        if (file !== 'password') expect(prepareScript).toContain(`> ${folder}/${file}`);
      }
    }
    expect(composeText).not.toMatch(/PASSWORD:\s*\S/);
  });

  test('what it hands to the replicator is a valid configuration, to pgAdmin a list of its own services', () => {
    const told = parse(prepare.environment?.['PGFOLLOW_YAML'] ?? '') as object;
    const url = 'postgresql://postgres@pg/app';
    const result = fileSchema.safeParse({ ...told, source: { url }, target: { url } });
    expect(result.error).toBeUndefined();
    expect(told).toMatchObject({
      tables: { include: ['public.*', 'shop.*'], map: [{ from: 'public.tb_trx_src', to: 'public.tb_trx_dest' }] },
    });
    const servers = JSON.parse(prepare.environment?.['PGADMIN_SERVERS'] ?? '') as {
      Servers: Record<string, { Host: string; ConnectionParameters: object }>;
    };
    expect(Object.values(servers.Servers).map(({ Host }) => Host)).toEqual(['pg_x', 'pg_y']);
    for (const server of Object.values(servers.Servers)) {
      expect(server.ConnectionParameters).toMatchObject({ passfile: '.pgpass' });
      expect(prepareScript).toContain(`"${server.Host}:5432:*:postgres:`);
    }
  });

  test('.env.example names exactly the variables there are, with their defaults', () => {
    const used = [...composeText.matchAll(/\$\{(\w+):-(\w+)\}/g)].map(([, name, value]) => `${name}=${value}`);
    const shown = [...read('.env.example').matchAll(/^# ([A-Z_]+=\w+)$/gm)].map(([, line]) => line);
    expect(new Set(shown)).toEqual(new Set(used));
  });
});

describe('Dockerfile', () => {
  const dockerfile = read('Dockerfile').replaceAll(/^#.*\n/gm, '');
  const stages = dockerfile.split(/^(?=FROM )/m);
  const last = stages.at(-1) ?? '';

  test('several stages on one pinned image', () => {
    const bases = new Set([...dockerfile.matchAll(/^FROM (\S+:\S+)/gm)].map(([, image]) => image));
    expect([...bases]).toEqual([expect.stringMatching(PINNED)]);
    expect(stages.length).toBeGreaterThan(3);
  });

  test('runs as nobody special, in production, and knows whether it lives', () => {
    expect(last).toMatch(/^USER node$/m);
    expect(last).toMatch(/NODE_ENV=production/);
    expect(last).toMatch(/PGFOLLOW_HTTP_HOST=0\.0\.0\.0/);
    expect(last).toMatch(/^EXPOSE 5884$/m);
    expect(last).toMatch(/HEALTHCHECK[^]*\/livez/);
    expect(last).toMatch(/^ENTRYPOINT \["node", "--enable-source-maps", "\/app\/dist\/cli\/main\.js"\]$/m);
    expect(last).toMatch(/^CMD \["run"\]$/m);
  });

  test('holds no test servers and runs no install script of a dependency', () => {
    for (const [line] of dockerfile.matchAll(/npm ci.*/g)) expect(line).toContain('--ignore-scripts');
    expect(dockerfile).toMatch(/AS dependencies\nRUN npm ci --omit=dev --omit=optional /);
    expect(last).toMatch(/COPY --from=dependencies /);
  });

  test('everything it copies exists and is sent to the build', () => {
    const sent = read('.dockerignore')
      .split('\n')
      .flatMap((line) => (line.startsWith('!') ? topLevel(line.slice(1)) : []));
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, sources = '']) => sources.split(' '));
    expect(copied).toContain('replicator');
    for (const source of copied.flatMap(topLevel)) expect(sent).toContain(source);
    for (const pattern of copied) expect([pattern, topLevel(pattern).length]).not.toEqual([pattern, 0]);
  });
});
