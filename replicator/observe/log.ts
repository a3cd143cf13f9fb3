import { pino } from 'pino';
import type { DestinationStream, Logger } from 'pino';

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const SECRET_KEYS = ['password', 'token', 'authorization', 'cookie'];

/**
 * JSON lines on `destination` (default: stdout). No secret gets out: keys that hold one are censored, and passwords
 * in URLs and conninfo strings are masked wherever they stand, messages of drivers included. `secrets`: values that
 * must never appear, whatever they are part of.
 */
export function createLog(options: {
  level: LogLevel;
  name?: string;
  secrets?: readonly string[];
  destination?: DestinationStream;
}): Logger {
  // Short secrets would mask parts of words; they are still caught by key and by URL.
  const secrets = (options.secrets ?? [])
    .filter((secret) => secret.length >= 6)
    .map((secret) => JSON.stringify(secret).slice(1, -1));
  const settings = {
    level: options.level,
    base: options.name === undefined ? null : { name: options.name },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: pino.stdSerializers.err },
    redact: { paths: SECRET_KEYS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]), censor: '***' },
    hooks: { streamWrite: (line: string) => maskSecrets(line, secrets) },
  };
  return options.destination ? pino(settings, options.destination) : pino(settings);
}

/** `postgresql://app:secret@host` -> `postgresql://app:***@host`, `password=secret` -> `password=***`. */
export function maskSecrets(text: string, secrets: readonly string[] = []): string {
  let masked = text
    .replace(/(:\/\/[^\s:/?#@"']*):[^\s/?#"']*@/g, '$1:***@')
    .replace(/\b(password|sslpassword|token)=(?:'[^']*'|[^\s&"'\\]+)/gi, '$1=***');
  for (const secret of secrets) masked = masked.replaceAll(secret, '***');
  return masked;
}
