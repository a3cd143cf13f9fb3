import { z } from 'zod';
import { fileSchema } from './schema.ts';
import { settings, type SettingMeta } from './setting-kinds.ts';

/** One setting, as the file writes it. Inside a list the path has `[]`: `tables.map[].from`. */
export interface Setting extends SettingMeta {
  readonly path: string;
  /** How a text from a flag or the environment becomes a value. */
  readonly kind: 'text' | 'boolean' | 'integer' | 'list';
  /** As the file would write it; undefined where the setting has none. */
  readonly defaultValue: unknown;
}

/** A place in the configuration, as zod and YAML name it. */
export type Path = readonly (string | number)[];

/** Every setting in the order of the schema. */
export const SETTINGS: readonly Setting[] = collect(fileSchema, '');

const BY_PATH = new Map(SETTINGS.map((setting) => [setting.path, setting]));

export function findSetting(path: string): Setting | null {
  return BY_PATH.get(path) ?? null;
}

/** The setting that a place lies in: `tables.include[3]` belongs to `tables.include`. Null for a section. */
export function settingAt(path: Path): Setting | null {
  for (let length = path.length; length > 0; length--) {
    const setting = findSetting(settingPath(path.slice(0, length)));
    if (setting) return setting;
  }
  return null;
}

/** Keys that a section knows, or null where there is no section: `['apply']` -> onConflict, onMissing, … */
export function keysAt(path: Path): string[] | null {
  const section = settingPath(path);
  const prefix = section === '' ? '' : `${section}.`;
  const keys = SETTINGS.filter(({ path }) => path.startsWith(prefix)).map(
    ({ path }) => path.slice(prefix.length).split(/[.[]/, 1)[0] ?? '',
  );
  return keys.length === 0 ? null : [...new Set(keys)];
}

/** As messages write a place: `tables.map[0].from`. */
export function formatPath(path: Path): string {
  return path.map((step, at) => (typeof step === 'number' ? `[${step}]` : at === 0 ? step : `.${step}`)).join('');
}

function settingPath(path: Path): string {
  return formatPath(path).replaceAll(/\[\d+\]/g, '[]');
}

function collect(schema: z.core.$ZodType, path: string): Setting[] {
  const found: Setting[] = [];
  const meta = settings.get(schema);
  if (meta) found.push({ ...meta, path, kind: kindOf(schema), defaultValue: defaultOf(schema) });
  const inner = unwrap(schema);
  if (inner instanceof z.ZodObject) {
    for (const [key, child] of Object.entries(inner.shape)) {
      found.push(...collect(child as z.core.$ZodType, path === '' ? key : `${path}.${key}`));
    }
  } else if (inner instanceof z.ZodArray) {
    found.push(...collect(inner.element, `${path}[]`));
  }
  return found;
}

function kindOf(schema: z.core.$ZodType): Setting['kind'] {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodBoolean) return 'boolean';
  if (inner instanceof z.ZodNumber) return 'integer';
  return inner instanceof z.ZodArray || inner instanceof z.ZodRecord ? 'list' : 'text';
}

function defaultOf(schema: z.core.$ZodType): unknown {
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) return schema.def.defaultValue;
  return schema instanceof z.ZodPipe ? defaultOf(schema.in) : undefined;
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  if (
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable
  ) {
    return unwrap(schema.unwrap());
  }
  return schema instanceof z.ZodPipe ? unwrap(schema.in) : schema;
}
