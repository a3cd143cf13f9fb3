import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ConfigProblem, loadClientConfig, loadConfig, redact } from './load.ts';
import { serviceIn, withService } from './service.ts';

const folder = mkdtempSync(join(tmpdir(), 'pgfollow-service-'));
afterAll(() => rmSync(folder, { recursive: true }));

const FILE = join(folder, 'services');
const TEXT = `# of ours
[other]
host=elsewhere

[shop]
host=db1,db2
port=5433
dbname=shop x
user=app@x
password=hunter2/=
  sslmode=verify-full  \n
# the first counts
sslmode=disable
sslrootcert=/etc/ssl/our root.crt
[socket]
host=/run/postgresql
hostaddr=10.0.0.1
[six]
hostaddr=::1
port=1,2
`;
writeFileSync(FILE, TEXT);

describe('a URI', () => {
  it.each<[given: string, wanted: string, environment?: Record<string, string>]>([
    ['postgresql://a:b@c/d', 'postgresql://a:b@c/d', {}],
    [
      'postgresql://?service=shop',
      'postgresql://app%40x:hunter2%2F%3D@db1:5433,db2:5433/shop%20x?sslmode=verify-full&sslrootcert=%2Fetc%2Fssl%2Four%20root.crt',
    ],
    ['postgresql:///mine?service=other', 'postgresql://elsewhere/mine'],
    [
      'postgresql://me:mine@here/mine?sslmode=require&service=shop&options=-c%20a',
      'postgresql://me:mine@here:5433/mine?sslmode=require&options=-c%20a&sslrootcert=%2Fetc%2Fssl%2Four%20root.crt',
    ],
    ['postgresql://here:1?service=socket', 'postgresql://here:1'],
    ['postgresql://me@/x?service=socket', 'postgresql://me@%2Frun%2Fpostgresql/x'],
    ['postgresql://?service=six', 'postgresql://[::1]:1'],
    ['postgresql:///x', 'postgresql://elsewhere/x', { PGSERVICEFILE: FILE, PGSERVICE: 'other' }],
    ['postgresql:///x?service=socket', 'postgresql://%2Frun%2Fpostgresql/x', { PGSERVICEFILE: FILE, PGSERVICE: 'other' }],
    [`postgresql://?service=other&servicefile=${encodeURIComponent(FILE)}`, 'postgresql://elsewhere', {}],
    ['host=x service=shop', 'host=x service=shop'],
  ])('%s is %s', (given, wanted, environment = { PGSERVICEFILE: FILE }) => {
    expect(withService(given, environment)).toBe(wanted);
  });

  it('is looked for in the own file, then in that of the system', () => {
    const [home, system] = [join(folder, 'home'), join(folder, 'system')];
    for (const path of [home, system]) mkdirSync(path);
    const environment = { HOME: home, PGSYSCONFDIR: system };
    writeFileSync(join(system, 'pg_service.conf'), '[shop]\nhost=common\n[all]\nhost=all\n');
    expect(withService('postgresql://?service=shop', environment)).toBe('postgresql://common');
    writeFileSync(join(home, '.pg_service.conf'), '[shop]\nhost=own\n');
    expect(withService('postgresql://?service=shop', environment)).toBe('postgresql://own');
    expect(withService('postgresql://?service=all', environment)).toBe('postgresql://all');
  });
});

it.each<[text: string, why: string]>([
  ['[s]\nhost', 'line 2'],
  ['[s]\n\nservice=other', 'a service cannot name another'],
  ['[s]\nldap://x/y', 'LDAP is not asked'],
])('%j is refused, and nothing of it is repeated', (text, why) => {
  expect(() => serviceIn(text, 's', 'file')).toThrow(why);
  expect(() => serviceIn('[s]\nhunter2', 's', 'file')).not.toThrow('hunter2');
});

it('the configuration has what came of it, without its password, or says what is wrong', () => {
  const env = { PGSERVICEFILE: FILE, PGFOLLOW_SOURCE_URL: 'postgresql://?service=shop', PGFOLLOW_TARGET_URL: 'postgresql://b/y' };
  const { config } = loadConfig({ flags: {}, env, cwd: null });
  expect(config.source.url).toContain('@db1:5433,db2:5433/shop%20x');
  expect(JSON.stringify(redact(config))).not.toContain('hunter2');
  expect(loadClientConfig({ flags: {}, env, cwd: null }).sourceUrl).toBe(config.source.url);
  const wrong = { ...env, PGFOLLOW_TARGET_URL: 'postgresql://:hunter3@?service=none' };
  expect(() => loadConfig({ flags: {}, env: wrong, cwd: null })).toThrow(ConfigProblem);
  expect(() => loadConfig({ flags: {}, env: wrong, cwd: null })).toThrow(
    /target\.url.*definition of service "none" not found in .*services/s,
  );
  expect(() => loadConfig({ flags: {}, env: { ...env, PGSERVICEFILE: '/nothing' }, cwd: null })).toThrow(
    'service file /nothing not found',
  );
});
