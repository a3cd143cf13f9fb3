import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isUrl, joinUrl, splitUrl } from './source-url.ts';

type Environment = Readonly<Record<string, string | undefined>>;
type ServiceSettings = Readonly<Record<string, string>>;

/**
 * A connection URI in which what it leaves out stands as libpq would take it from a service: the one that `service=` names,
 * else PGSERVICE. Without either, or where it is no URI, it stays as it is. Throws RangeError with what is wrong.
 * https://www.postgresql.org/docs/current/libpq-pgservice.html
 */
export function withService(url: string, environment: Environment): string {
  if (!isUrl(url)) return url;
  const { scheme, userinfo, hosts, path, query } = splitUrl(url);
  const given = new Map(query === '' ? [] : query.split('&').map((pair) => nameAndValue(pair)));
  const name = decode(given.get('service')) || environment['PGSERVICE'];
  if (!name) return url;
  const file = decode(given.get('servicefile')) || environment['PGSERVICEFILE'];
  const { host, hostaddr, port, dbname, user, password, ...others } = readService(name, file, environment);
  given.delete('service');
  given.delete('servicefile');
  for (const [key, value] of Object.entries(others)) if (!given.has(key)) given.set(key, encodeURIComponent(value));
  const [givenUser, ...rest] = (userinfo ?? '').split(':');
  return joinUrl({
    scheme,
    userinfo: login(
      givenUser || (user && encodeURIComponent(user)) || '',
      rest.length > 0 ? rest.join(':') : password && encodeURIComponent(password),
    ),
    hosts: withPorts(hosts === '' ? (host ?? hostaddr ?? '').split(',').map(asHost) : hosts.split(','), port),
    path: path.length > 1 || dbname === undefined ? path : `/${encodeURIComponent(dbname)}`,
    query: [...given].map(([key, value]) => `${key}=${value}`).join('&'),
  });
}

function readService(name: string, file: string | undefined, { HOME, PGSYSCONFDIR }: Environment): ServiceSettings {
  if (file !== undefined && !existsSync(file)) throw new RangeError(`service file ${file} not found`);
  const own = file ?? (HOME ? join(HOME, '.pg_service.conf') : undefined);
  const common = PGSYSCONFDIR ? join(PGSYSCONFDIR, 'pg_service.conf') : undefined;
  const files = [own, common].filter((path) => path !== undefined && existsSync(path)) as string[];
  for (const path of files) {
    const settings = serviceIn(readFileSync(path, 'utf8'), name, path);
    if (settings) return settings;
  }
  throw new RangeError(`definition of service "${name}" not found in ${files.join(' and ') || 'any file'}`);
}

/** Pure: the settings of one service in a file's text, the first of each name; null where it is not in there. */
export function serviceIn(text: string, name: string, path: string): ServiceSettings | null {
  let settings: Record<string, string> | null = null;
  for (const [at, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const section = /^\[(.*?)\]/.exec(line)?.[1];
    if (section !== undefined) {
      if (settings) break;
      if (section === name) settings = {};
      continue;
    }
    if (!settings) continue;
    // What the line holds is not repeated: it may be a password.
    const where = `service "${name}", line ${at + 1} of ${path}`;
    if (line.startsWith('ldap')) throw new RangeError(`${where}: LDAP is not asked; write the settings themselves`);
    const equals = line.indexOf('=');
    if (equals < 1) throw new RangeError(`${where}: not written as name=value`);
    const key = line.slice(0, equals);
    if (key === 'service' || key === 'servicefile') throw new RangeError(`${where}: a service cannot name another`);
    settings[key] ??= line.slice(equals + 1);
  }
  return settings;
}

function nameAndValue(pair: string): [name: string, value: string] {
  const equals = pair.indexOf('=');
  return equals < 0 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)];
}

function decode(value: string | undefined): string {
  return decodeURIComponent(value ?? '');
}

function login(user: string, password: string | undefined): string | null {
  if (password !== undefined) return `${user}:${password}`;
  return user === '' ? null : user;
}

// Folders of sockets have slashes, addresses of IPv6 colons.
function asHost(host: string): string {
  if (host.startsWith('/')) return encodeURIComponent(host);
  return host.includes(':') ? `[${host}]` : host;
}

// One port for all hosts, or one for each.
function withPorts(hosts: readonly string[], port: string | undefined): string {
  if (port === undefined || hosts.some((host) => /:\d+$/.test(host))) return hosts.join(',');
  const ports = port.split(',');
  return hosts.map((host, at) => `${host}:${(ports.length === 1 ? ports[0] : ports[at]) ?? ''}`).join(',');
}
