import type { Config } from './schema.ts';
import { findSetting, SETTINGS, type Path, formatPath, settingAt } from './setting-list.ts';
import { passwordsOf, redactUrl } from './source-url.ts';

/** The configuration for printing: passwords in URLs and the token become `***`. */
export function redact(config: Config): Config {
  return {
    ...config,
    source: { url: redactUrl(config.source.url) },
    target: { url: redactUrl(config.target.url) },
    http: { ...config.http, token: config.http.token === null ? null : '***' },
  };
}

/** Every secret of the configuration, for a log that must not repeat them. */
export function secretsOf({ source, target, http }: Config): string[] {
  return [...passwordsOf(source.url), ...passwordsOf(target.url), ...(http.token === null ? [] : [http.token])];
}

/** Longest text of a value that a message repeats. */
const MAX_SHOWN = 80;

/** What stands for the value of a setting that has none. */
export const NOT_SET = 'not set';

/** A value as an error message may show it. Nothing that is, holds or could be a secret is ever repeated. */
export function showValue(path: Path, value: unknown): string {
  if (value === undefined) return NOT_SET;
  const setting = settingAt(path);
  if (setting?.secret) {
    return typeof value === 'string' && findSetting(setting.path)?.path.endsWith('.url') ? redactUrl(value) : '(not shown)';
  }
  if (setting === null && holdsSecret(path)) return '(not shown)';
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}

function holdsSecret(section: Path): boolean {
  const prefix = `${formatPath(section)}.`;
  return section.length === 0 || SETTINGS.some(({ path, secret }) => secret && path.startsWith(prefix));
}
