import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { parse } from 'yaml';
import { unreachable } from '../problem.ts';
import { CONFIG_VARIABLE, fileKeyPath, flagName, unknownVariables, VARIABLES, type Variable } from './environment.ts';
import { readConfigFile, readSecretFile, type ConfigFile } from './file.ts';
import { unknownKey, valueAt, type ConfigIssue } from './issues.ts';
import { showValue } from './redact.ts';
import { withService } from './service.ts';
import { findSetting, type Path, type Setting } from './setting-list.ts';
import { urlFault } from './source-url.ts';
import { splitOutsideQuotes } from './table-pattern.ts';

export interface Sources {
  /** Parsed command line: `config`, the flags of VARIABLES, and `set` with texts `path=value`. */
  readonly flags: Readonly<Record<string, unknown>>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where pgfollow.yaml is looked for and relative names start; null: no file is looked for. */
  readonly cwd: string | null;
}

/** Flags, environment and file laid over each other, not validated yet. */
export interface Layers {
  readonly tree: Record<string, unknown>;
  readonly issues: readonly ConfigIssue[];
  readonly originOf: (path: Path) => string;
}

const DEFAULT_FILE = 'pgfollow.yaml';

/** The configuration file that would be read, with who named it; null when there is none. */
export function configFileName(sources: Sources): { name: string; origin: string } | null {
  const flag = sources.flags['config'];
  if (typeof flag === 'string') return { name: flag, origin: 'flag --config' };
  const variable = sources.env[CONFIG_VARIABLE];
  if (variable) return { name: variable, origin: `environment ${CONFIG_VARIABLE}` };
  if (sources.cwd === null || !existsSync(resolve(sources.cwd, DEFAULT_FILE))) return null;
  return { name: DEFAULT_FILE, origin: 'default' };
}

/** Reads every layer. Whatever is wrong is listed in `issues`; the rest is still there to be validated. */
export function readLayers(sources: Sources): Layers {
  const cwd = sources.cwd ?? '.';
  const named = configFileName(sources);
  const file = named === null ? null : readConfigFile(named.name, cwd, named.origin);
  const tree = structuredClone(file?.tree ?? {});
  const origins = new Map<string, string>();
  const issues: ConfigIssue[] = [...(file?.issues ?? [])];
  if (file) issues.push(...readSecretKeys(file, tree));

  const put = (path: string, value: unknown, origin: string): void => {
    setIn(tree, path.split('.'), value);
    origins.set(path, origin);
  };
  for (const variable of VARIABLES) {
    const setting = findSetting(variable.path);
    const found = readVariable(variable, sources.env, cwd);
    if (setting && found && 'text' in found) put(variable.path, readText(setting, found.text), found.origin);
    else if (found && 'issue' in found) issues.push(found.issue);
  }
  for (const variable of VARIABLES) {
    const setting = findSetting(variable.path);
    const given = sources.flags[flagName(variable)];
    const text = given === true ? 'true' : given;
    if (setting && typeof text === 'string') put(variable.path, readText(setting, text), `flag --${flagName(variable)}`);
  }
  const set = sources.flags['set'];
  for (const text of Array.isArray(set) ? set : []) {
    const [path = '', ...rest] = String(text).split('=');
    const setting = path.includes('[') ? null : findSetting(path);
    if (setting && rest.length > 0) put(path, readText(setting, rest.join('=')), 'flag --set');
    else if (setting) issues.push({ path, value: 'not set', allowed: 'allowed: --set path=value', origin: 'flag --set' });
    else issues.push(unknownSet(path));
  }
  for (const { name, suggestion } of unknownVariables(sources.env)) {
    const allowed = `nothing reads this variable${suggestion === null ? '' : `; did you mean ${suggestion}?`}`;
    issues.push({ path: name, value: '(not shown)', allowed, origin: `environment ${name}` });
  }
  const originOf = (path: Path): string => {
    for (let length = path.length; length > 0; length--) {
      const origin = origins.get(path.slice(0, length).join('.'));
      if (origin !== undefined) return origin;
    }
    return file?.originOf(path) ?? 'default';
  };
  issues.push(...fillInServices(tree, sources.env, originOf));
  return { tree, issues, originOf };
}

/** What URLs leave out to a service of libpq; what is no URL is the schema's to refuse. */
function fillInServices(tree: Record<string, unknown>, env: Sources['env'], originOf: Layers['originOf']): ConfigIssue[] {
  return ['source.url', 'target.url'].flatMap((setting): ConfigIssue[] => {
    const path = setting.split('.');
    const url = valueAt(tree, path);
    if (typeof url !== 'string' || urlFault(url) !== null) return [];
    try {
      setIn(tree, path, withService(url, env));
      return [];
    } catch (error) {
      const allowed = error instanceof Error ? error.message : String(error);
      return [{ path: setting, value: showValue(path, url), allowed, origin: originOf(path) }];
    }
  });
}

type Found = { text: string; origin: string } | { issue: ConfigIssue } | null;

/** NAME or the content of the file that NAME_FILE names; an empty variable counts as not set. */
function readVariable(variable: Variable, env: Sources['env'], cwd: string): Found {
  const text = env[variable.name] || undefined;
  const fileVariable = `${variable.name}_FILE`;
  const name = variable.fileKey === undefined ? undefined : env[fileVariable] || undefined;
  if (name === undefined) return text === undefined ? null : { text, origin: `environment ${variable.name}` };
  const origin = `environment ${fileVariable}`;
  if (text !== undefined) {
    const allowed = `both ${variable.name} and ${fileVariable} are set; set one of them`;
    return { issue: { path: variable.path, value: '(not shown)', allowed, origin } };
  }
  const read = readSecretFile(name, cwd);
  if ('fault' in read) return { issue: { path: variable.path, value: name, allowed: read.fault, origin } };
  return { text: read.text, origin };
}

/** source.urlFile and the like: replaced in the tree by what the named file holds. */
function readSecretKeys(file: ConfigFile, tree: Record<string, unknown>): ConfigIssue[] {
  const issues: ConfigIssue[] = [];
  for (const variable of VARIABLES) {
    const path = fileKeyPath(variable)?.split('.');
    if (!path) continue;
    const name = valueAt(tree, path);
    if (name === undefined) continue;
    const origin = file.originOf(path) ?? 'default';
    const issue = { path: path.join('.'), value: showValue(path, name), origin };
    removeIn(tree, path);
    const beside = variable.path.split('.');
    if (valueAt(tree, beside) !== undefined) {
      issues.push({ ...issue, allowed: `both ${variable.path} and ${issue.path} are set; set one of them` });
      continue;
    }
    const read = typeof name === 'string' ? readSecretFile(name, file.folder) : { fault: 'allowed: the name of a file' };
    if ('fault' in read) issues.push({ ...issue, allowed: read.fault });
    else setIn(tree, beside, read.text);
  }
  return issues;
}

/** A text from a flag or the environment as the file would write it; what does not fit stays text, for the schema to refuse. */
function readText(setting: Setting, text: string): unknown {
  switch (setting.kind) {
    case 'text':
      return text;
    case 'boolean':
      if (/^(true|1|yes|on)$/i.test(text)) return true;
      return /^(false|0|no|off)$/i.test(text) ? false : text;
    case 'integer':
      return /^-?\d{1,15}$/.test(text.trim()) ? Number(text) : text;
    case 'list':
      return /^\s*[[{]/.test(text) ? yaml(text) : splitOutsideQuotes(text, ',');
    default:
      return unreachable(setting.kind);
  }
}

function yaml(text: string): unknown {
  try {
    return parse(text, { prettyErrors: false, logLevel: 'silent' });
  } catch {
    return text;
  }
}

function unknownSet(path: string): ConfigIssue {
  const steps = path.split('.');
  return unknownKey(steps.slice(0, -1), steps.at(-1) ?? '', 'flag --set');
}

function setIn(tree: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [key = '', ...rest] = path;
  if (rest.length === 0) {
    tree[key] = value;
    return;
  }
  const child = tree[key];
  const next = typeof child === 'object' && child !== null && !Array.isArray(child) ? (child as Record<string, unknown>) : {};
  tree[key] = next;
  setIn(next, rest, value);
}

function removeIn(tree: Record<string, unknown>, path: readonly string[]): void {
  const parent = valueAt(tree, path.slice(0, -1)) as Record<string, unknown>;
  delete parent[path.at(-1) ?? ''];
}
