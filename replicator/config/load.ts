import { crossCheck } from './cross-checks.ts';
import { ConfigProblem, fromZod, valueAt, type ConfigIssue } from './issues.ts';
import { readLayers, type Layers, type Sources } from './layers.ts';
import { NOT_SET, showValue } from './redact.ts';
import { configSchema, type Config } from './schema.ts';
import { formatPath, SETTINGS, settingAt, type Path } from './setting-list.ts';

export { ConfigProblem, type ConfigIssue } from './issues.ts';
export { configFileName, type Sources } from './layers.ts';
export { redact } from './redact.ts';

export interface LoadedConfig {
  readonly config: Config;
  /** Setting -> `default`, `file pgfollow.yaml:12`, `environment PGFOLLOW_NAME` or `flag --name`. */
  readonly origins: ReadonlyMap<string, string>;
}

/**
 * The effective configuration: flags over environment over file over defaults. Throws ConfigProblem with everything that
 * is wrong at once.
 */
export function loadConfig(sources: Sources): LoadedConfig {
  const layers = readLayers(sources);
  const { config, issues } = validate(layers);
  const all = [...layers.issues, ...issues];
  if (config === null || all.length > 0) throw new ConfigProblem(withoutEchoes(all));
  const origins = SETTINGS.filter(({ path }) => !path.includes('[')).map(
    ({ path }) => [path, layers.originOf(path.split('.'))] as const,
  );
  return { config, origins: new Map(origins) };
}

/** What a command needs that talks to a running pgfollow. */
export interface ClientConfig {
  readonly http: Config['http'];
  readonly sourceUrl: string | null;
}

/** Only http.* and source.url; what is wrong or missing elsewhere does not matter to the caller. Throws ConfigProblem. */
export function loadClientConfig(sources: Sources): ClientConfig {
  const layers = readLayers(sources);
  const { http, source } = layers.tree;
  const part = { ...(http === undefined ? {} : { http }), ...(source === undefined ? {} : { source }) };
  const { issues, rest } = parseTree({ ...layers, tree: part });
  const concerning = withoutEchoes([...layers.issues, ...issues]).filter(
    ({ path, value }) => path === 'config' || /^http(\.|$)/.test(path) || (path.startsWith('source.url') && value !== NOT_SET),
  );
  if (rest === null || concerning.length > 0) throw new ConfigProblem(concerning);
  const url = valueAt(part, ['source', 'url']);
  return { http: rest.http, sourceUrl: typeof url === 'string' ? url : null };
}

/** Stand-ins for databases that are missing or wrong, so that the other rules can still be checked. */
const PLACEHOLDER = { source: 'postgresql://source/', target: 'postgresql://target/' };

/**
 * The schema first; then, with what it refused taken out, the rules between settings, so that both kinds of errors are
 * reported together. `config` is only fit for use when there are no issues.
 */
function validate(layers: Layers): { config: Config | null; issues: ConfigIssue[] } {
  const { issues, rest: config } = parseTree(layers);
  if (config === null) return { config, issues };
  const wrong = [...layers.issues, ...issues].map(({ path }) => path);
  for (const { path, allowed, dependsOn } of crossCheck(config)) {
    if (dependsOn.some((setting) => wrong.some((each) => each === setting || each.startsWith(`${setting}[`)))) continue;
    const value = showValue(path, valueAt(layers.tree, path) ?? valueAt(config, path));
    issues.push({ path: formatPath(path), value, allowed, origin: layers.originOf(path) });
  }
  return { config, issues };
}

/** What the schema refuses, and the configuration without it (null where not even that can be had). */
function parseTree(layers: Layers): { issues: ConfigIssue[]; rest: Config | null } {
  const first = configSchema.safeParse(layers.tree);
  if (first.success) return { issues: [], rest: first.data };
  const rest = structuredClone(layers.tree);
  for (const issue of first.error.issues) {
    const place = issue.path as (string | number)[];
    if (issue.code === 'unrecognized_keys') for (const key of issue.keys) cut(rest, [...place, key]);
    else cut(rest, place);
  }
  for (const side of ['source', 'target'] as const) {
    if (valueAt(rest, [side, 'url']) === undefined) rest[side] = { url: PLACEHOLDER[side] };
  }
  const second = configSchema.safeParse(rest);
  return {
    issues: first.error.issues.flatMap((issue) => fromZod(issue, layers.tree, layers.originOf)),
    rest: second.success ? second.data : null,
  };
}

/** Removes the setting that a place lies in, or the section where there is none. */
function cut(tree: Record<string, unknown>, path: Path): void {
  const listAt = path.findIndex((step) => typeof step === 'number');
  const setting = settingAt(path)?.path.split(/\[|$/, 1)[0]?.split('.');
  const place = listAt >= 0 ? path.slice(0, listAt) : (setting ?? path);
  const parent = valueAt(tree, place.slice(0, -1));
  if (typeof parent === 'object' && parent !== null) delete (parent as Record<string | number, unknown>)[place.at(-1) ?? ''];
}

/** A setting whose file could not be read is missing, too: only the reason is worth a line. */
function withoutEchoes(issues: readonly ConfigIssue[]): ConfigIssue[] {
  const reasons = new Set(issues.filter(({ value }) => value !== NOT_SET).map(({ path }) => path));
  return issues.filter(
    ({ path, value }) => value !== NOT_SET || !(reasons.has('config') || reasons.has(path) || reasons.has(`${path}File`)),
  );
}
