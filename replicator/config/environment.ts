import { closest } from './suggest.ts';

/** A setting that has an environment variable and a command-line flag of its own. */
export interface Variable {
  readonly name: string;
  readonly path: string;
  /** Also as NAME_FILE, and as this key of the file: the name of a file that holds the value. */
  readonly fileKey?: string;
  /** What the flag takes, in the help. */
  readonly takes: string;
  /** The flag stands for true by itself. */
  readonly boolean?: true;
}

/** Every environment variable but PGFOLLOW_CONFIG, in the order of the documentation. */
export const VARIABLES: readonly Variable[] = [
  { name: 'PGFOLLOW_NAME', path: 'name', takes: 'NAME' },
  { name: 'PGFOLLOW_SOURCE_URL', path: 'source.url', fileKey: 'urlFile', takes: 'URI' },
  { name: 'PGFOLLOW_TARGET_URL', path: 'target.url', fileKey: 'urlFile', takes: 'URI' },
  { name: 'PGFOLLOW_TABLES', path: 'tables.include', takes: 'PATTERN,…' },
  { name: 'PGFOLLOW_EXCLUDE', path: 'tables.exclude', takes: 'PATTERN,…' },
  { name: 'PGFOLLOW_HTTP_HOST', path: 'http.host', takes: 'HOST' },
  { name: 'PGFOLLOW_HTTP_PORT', path: 'http.port', takes: 'PORT' },
  { name: 'PGFOLLOW_API_TOKEN', path: 'http.token', fileKey: 'tokenFile', takes: 'TOKEN' },
  { name: 'PGFOLLOW_HTTP_INSECURE', path: 'http.insecure', takes: 'true|false', boolean: true },
  { name: 'PGFOLLOW_LOG_LEVEL', path: 'log.level', takes: 'LEVEL' },
];

export const CONFIG_VARIABLE = 'PGFOLLOW_CONFIG';

/** PGFOLLOW_SOURCE_URL -> source-url. */
export function flagName(variable: Variable): string {
  return variable.name.slice('PGFOLLOW_'.length).toLowerCase().replaceAll('_', '-');
}

/** The variable of a setting, or null. */
export function variableOf(path: string): Variable | null {
  return VARIABLES.find((variable) => variable.path === path) ?? null;
}

/** `source.url` -> `source.urlFile`, or null where the setting is no secret. */
export function fileKeyPath(variable: Variable): string | null {
  if (variable.fileKey === undefined) return null;
  return [...variable.path.split('.').slice(0, -1), variable.fileKey].join('.');
}

/** Settings of our own test runs, which may start this program. */
const TEST_PREFIX = 'PGFOLLOW_TEST_';

const KNOWN = new Set([
  CONFIG_VARIABLE,
  ...VARIABLES.flatMap(({ name, fileKey }) => (fileKey === undefined ? [name] : [name, `${name}_FILE`])),
]);

/**
 * Variables called PGFOLLOW_… that nothing reads, each with what may have been meant. Kubernetes gives every container
 * PGFOLLOW_SERVICE_HOST, PGFOLLOW_PORT=tcp://… and so on when a service is called pgfollow; these are nobody's mistake.
 * https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
 */
export function unknownVariables(
  env: Readonly<Record<string, string | undefined>>,
): { name: string; suggestion: string | null }[] {
  return Object.entries(env)
    .filter(([name]) => name.startsWith('PGFOLLOW_') && !KNOWN.has(name))
    .filter(([name, value]) => !name.startsWith(TEST_PREFIX) && !isServiceLink(name, value ?? ''))
    .map(([name]) => ({ name, suggestion: suggest(name) }));
}

function isServiceLink(name: string, value: string): boolean {
  return (
    /_SERVICE_(HOST|PORT)(_\w+)?$/.test(name) ||
    /_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(name) ||
    (name.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(value))
  );
}

/** By spelling, else by the words it shares: PGFOLLOW_PORT -> PGFOLLOW_HTTP_PORT. */
function suggest(name: string): string | null {
  const near = closest(
    name.slice('PGFOLLOW_'.length),
    [...KNOWN].map((known) => known.slice('PGFOLLOW_'.length)),
  );
  if (near !== null) return `PGFOLLOW_${near}`;
  const last = name.split('_').at(-1) ?? '';
  return [...KNOWN].find((known) => known.endsWith(`_${last}`)) ?? null;
}
