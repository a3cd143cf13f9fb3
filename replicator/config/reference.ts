import { z } from 'zod';
import { variableOf, VARIABLES, fileKeyPath } from './environment.ts';
import { fileSchema } from './schema.ts';
import { settings } from './setting-kinds.ts';
import { SETTINGS, type Setting } from './setting-list.ts';

/** The Markdown table of all settings: what the README shows between its markers. */
export function configTable(): string {
  const rows = SETTINGS.map((setting) => [
    code(setting.path),
    environmentOf(setting),
    defaultText(setting),
    `${setting.description} Allowed: ${setting.allowed}.`,
  ]);
  const lines = [['setting', 'environment', 'default', 'what it does'], ['---', '---', '---', '---'], ...rows];
  return lines.map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`).join('\n');
}

/** JSON Schema of pgfollow.yaml, for editors. */
export function configJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(fileSchema, {
    io: 'input',
    target: 'draft-2020-12',
    override({ zodSchema, jsonSchema }) {
      const meta = settings.get(zodSchema as z.core.$ZodType);
      if (meta) jsonSchema.description = `${meta.description} Allowed: ${meta.allowed}.`;
    },
  }) as JsonObject;
  for (const variable of VARIABLES) {
    const path = fileKeyPath(variable)?.split('.');
    if (!path) continue;
    const [section = '', key = ''] = path;
    const object = (schema['properties'] as JsonObject)[section] as JsonObject;
    const properties = object['properties'] as JsonObject;
    properties[key] = { type: 'string', description: `Name of a file that holds ${variable.path}.` };
    // Either of the two will do, so the URL alone cannot be required.
    delete object['required'];
  }
  return { title: 'pgfollow.yaml', ...schema };
}

type JsonObject = Record<string, unknown>;

function code(text: string): string {
  return `\`${text}\``;
}

function environmentOf(setting: Setting): string {
  const variable = variableOf(setting.path);
  if (variable === null) return '';
  return variable.fileKey === undefined ? code(variable.name) : `${code(variable.name)}, ${code(`${variable.name}_FILE`)}`;
}

function defaultText({ defaultText, defaultValue }: Setting): string {
  if (defaultText !== undefined) return defaultText;
  if (defaultValue === undefined) return '(required)';
  if (Array.isArray(defaultValue)) return defaultValue.length === 0 ? 'none' : code(defaultValue.join(','));
  if (typeof defaultValue === 'object') return 'none';
  return code(typeof defaultValue === 'string' ? defaultValue : JSON.stringify(defaultValue));
}
