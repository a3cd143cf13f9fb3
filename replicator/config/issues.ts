import type { z } from 'zod';
import { Problem } from '../problem.ts';
import { fileKeyPath, variableOf, VARIABLES } from './environment.ts';
import { showValue } from './redact.ts';
import { findSetting, formatPath, keysAt, SETTINGS, settingAt, type Path } from './setting-list.ts';
import { closest } from './suggest.ts';

/** One thing that is wrong with the configuration. Nothing in it is secret. */
export interface ConfigIssue {
  /** `apply.onError`, or the name of an environment variable or flag that nothing reads. */
  readonly path: string;
  readonly value: string;
  /** What may be written, and what else there is to say. */
  readonly allowed: string;
  /** `default`, `file pgfollow.yaml:12`, `environment PGFOLLOW_NAME` or `flag --name`. */
  readonly origin: string;
}

/** CONFIG_INVALID with every issue, not only the first. */
export class ConfigProblem extends Problem {
  readonly issues: readonly ConfigIssue[];

  constructor(issues: readonly ConfigIssue[]) {
    const count = issues.length === 1 ? '1 error' : `${issues.length} errors`;
    super('CONFIG_INVALID', [`The configuration has ${count}:`, ...issues.map((issue) => `  ${formatIssue(issue)}`)].join('\n'), {
      remedy: 'Correct what is listed; `pgfollow config` then prints every setting with where its value comes from.',
    });
    this.name = 'ConfigProblem';
    this.issues = issues;
  }
}

/** `apply.onError: "x" (file pgfollow.yaml:3); allowed: one of table, pipeline` */
function formatIssue(issue: ConfigIssue): string {
  const origin = issue.origin === 'default' ? '' : ` (${issue.origin})`;
  return `${issue.path}: ${issue.value}${origin}; ${issue.allowed}`;
}

/** What zod found, in our words. `raw` is what it was given. */
export function fromZod(issue: z.core.$ZodIssue, raw: unknown, originOf: (path: Path) => string): ConfigIssue[] {
  const path = issue.path.map((step) => (typeof step === 'number' ? step : String(step)));
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => unknownKey(path, key, originOf([...path, key])));
  }
  const value = valueAt(raw, path);
  const setting = settingAt(path);
  const section = keysAt(path);
  const reason = issue.code === 'custom' && issue.message !== setting?.allowed ? `${issue.message}; ` : '';
  const missing = value === undefined && setting ? howToSet(setting.path) : '';
  const allowed = setting?.allowed ?? `a mapping with ${section?.join(', ') ?? 'the documented keys'}`;
  return [
    {
      path: formatPath(path) || 'the file',
      value: showValue(path, value),
      allowed: `${reason}allowed: ${allowed}${missing}`,
      origin: originOf(path),
    },
  ];
}

/** A key that no setting has. Its value is never shown: it may well be a password. */
export function unknownKey(section: Path, key: string, origin: string): ConfigIssue {
  const known = keysIncludingFiles(section);
  const near = closest(key, known);
  const elsewhere = near === null ? SETTINGS.find(({ path }) => path.endsWith(`.${key}`))?.path : undefined;
  const suggestion = near === null ? elsewhere : formatPath([...section, near]);
  return {
    path: formatPath([...section, key]),
    value: '(not shown)',
    allowed:
      suggestion === undefined
        ? `no such setting; known ${section.length === 0 ? 'at the top' : `in ${formatPath(section)}`}: ${known.join(', ')}`
        : `no such setting; did you mean ${suggestion}?`,
    origin,
  };
}

/** What a parsed file or tree holds at a place; undefined when nothing. */
export function valueAt(tree: unknown, path: Path): unknown {
  let value = tree;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}

function keysIncludingFiles(section: Path): string[] {
  const keys = keysAt(section) ?? [];
  const prefix = section.length === 0 ? '' : `${formatPath(section)}.`;
  const files = VARIABLES.map(fileKeyPath).filter((path) => path !== null && prefix !== '' && path.startsWith(prefix));
  return [...keys, ...files.map((path) => (path ?? '').slice(prefix.length))];
}

function howToSet(path: string): string {
  const variable = variableOf(path);
  if (variable === null || findSetting(path) === null) return '';
  return `. Set ${variable.name}${variable.fileKey ? ` or ${variable.name}_FILE` : ''}, or ${path} in pgfollow.yaml`;
}
