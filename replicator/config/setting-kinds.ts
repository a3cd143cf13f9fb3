import { z } from 'zod';
import { patternFault } from './table-pattern.ts';
import { formatDuration, formatSize, parseDuration, parseSize } from './units.ts';
import { urlFault } from './source-url.ts';

/** What is said of a setting in the documentation and in error messages. */
export interface SettingMeta {
  readonly description: string;
  /** What may be written, as a phrase: "one of error, truncate, keep". */
  readonly allowed: string;
  /** Never printed as it is. */
  readonly secret?: true;
  /** How the default is described where it is not a plain value. */
  readonly defaultText?: string;
}

/** Description and allowed values of every setting; reference.ts prints it, issues.ts quotes it. */
export const settings = z.registry<SettingMeta>();

/** A schema with what is said of it. */
export function setting<T extends z.ZodType>(schema: T, meta: SettingMeta): T {
  settings.add(schema, meta);
  return schema;
}

/** One of some words. */
export function choice<const T extends readonly [string, ...string[]]>(values: T, fallback: T[number], description: string) {
  return setting(z.enum(values).default(fallback as never), { description, allowed: `one of ${values.join(', ')}` });
}

/** true or false. */
export function flag(fallback: boolean, description: string) {
  return setting(z.boolean().default(fallback), { description, allowed: 'true or false' });
}

/** A whole number. */
export function integer(range: { min: number; max: number; fallback: number }, description: string) {
  return setting(z.int().min(range.min).max(range.max).default(range.fallback), {
    description,
    allowed: `a whole number from ${range.min} to ${range.max}`,
  });
}

/** Text with a unit -> milliseconds. */
export function duration(range: { min: number; max: number; fallback: string }, description: string) {
  const allowed = `a duration from ${formatDuration(range.min)} to ${formatDuration(range.max)}, such as 500ms, 1s, 1min`;
  return setting(
    z
      .string()
      .prefault(range.fallback)
      .transform((text, context) => inRange(parseDuration(text), range, allowed, context)),
    { description, allowed },
  );
}

/** As duration(), or `off` -> null, which is the default. */
export function durationOrOff(range: { min: number; max: number }, description: string) {
  const allowed = `off, or a duration from ${formatDuration(range.min)} to ${formatDuration(range.max)}, such as 30min, 6h, 1d`;
  return setting(
    z
      .string()
      .prefault('off')
      .transform((text, context) => (text === 'off' ? null : inRange(parseDuration(text), range, allowed, context))),
    { description, allowed },
  );
}

/** Text with a unit, or a number of bytes -> bytes. */
export function size(range: { min: number; max: number; fallback: string }, description: string) {
  const allowed = `a size from ${formatSize(range.min)} to ${formatSize(range.max)}, such as 512kB, 16MB`;
  return setting(
    z
      .union([z.string(), z.int()])
      .prefault(range.fallback)
      .transform((value, context) => inRange(typeof value === 'number' ? value : parseSize(value), range, allowed, context)),
    { description, allowed },
  );
}

function inRange(value: number | null, range: { min: number; max: number }, allowed: string, context: z.RefinementCtx): number {
  if (value !== null && value >= range.min && value <= range.max) return value;
  context.addIssue({ code: 'custom', message: allowed });
  return z.NEVER;
}

/** A connection URI. */
export function url(description: string) {
  return setting(
    z.string().superRefine((text, context) => {
      const fault = urlFault(text);
      if (fault !== null) context.addIssue({ code: 'custom', message: fault });
    }),
    { description, allowed: 'a libpq URI: postgresql://user:password@host:5432/database?sslmode=require', secret: true },
  );
}

/** The name of a table, or a pattern of names. */
export function tableText(kind: 'pattern' | 'concrete') {
  return z.string().superRefine((text, context) => {
    const fault = patternFault(text, kind);
    if (fault !== null) context.addIssue({ code: 'custom', message: fault });
  });
}
