import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { VARIABLES } from './environment.ts';
import { configJsonSchema, configTable } from './reference.ts';
import { SETTINGS } from './setting-list.ts';

it('has a row for every setting, with variable, default and description', () => {
  const lines = configTable().split('\n');
  expect(lines).toHaveLength(SETTINGS.length + 2);
  expect(lines).toContain(
    '| `http.port` | `PGFOLLOW_HTTP_PORT` | `5884` | Port of the status page, API and metrics; 0 takes a free one. Allowed: a whole number from 0 to 65535. |',
  );
  for (const { name } of VARIABLES) expect(configTable()).toContain(`\`${name}\``);
  for (const line of lines) expect(line.match(/(?<!\\)\|/g)).toHaveLength(5);
});

it('knows the settings of the contract', () => {
  expect(SETTINGS.map(({ path }) => path)).toEqual(
    expect.arrayContaining([
      'name',
      'source.url',
      'tables.map[].columns.rename',
      'publication.viaPartitionRoot',
      'apply.onError',
      'log.level',
    ]),
  );
  expect(SETTINGS.filter(({ secret }) => secret).map(({ path }) => path)).toEqual(['source.url', 'target.url', 'http.token']);
  for (const { description, allowed } of SETTINGS) expect(description && allowed).toMatch(/\w/);
});

it('describes the file as JSON Schema: keys, values, and nothing else', () => {
  const schema = configJsonSchema() as { properties: Record<string, Record<string, unknown>>; additionalProperties: boolean };
  expect(schema.additionalProperties).toBe(false);
  expect(schema.properties['apply']).toMatchObject({
    additionalProperties: false,
    properties: {
      onError: { enum: ['table', 'pipeline'], default: 'table', description: expect.stringContaining('What stops') },
    },
  });
  expect(schema.properties['http']).toMatchObject({ properties: { tokenFile: { type: 'string' } } });
  expect(schema.properties['source']).not.toHaveProperty('required');
});

it.each<[string, string, boolean]>([
  ['nothing', '{}', true],
  ['URLs', 'source: { url: postgresql://a/b }', true],
  ['URLs in files', 'source: { urlFile: /run/secrets/source }', true],
  [
    'everything that is nested',
    'tables: { include: [public.*], map: [{ from: a.b, to: c.d, columns: { exclude: [x], rename: { y: z } }, where: n > 0 }] }',
    true,
  ],
  ['sizes and durations', 'apply: { maxBatchBytes: 1MB }\nheartbeat: { interval: 500ms }', true],
  ['an unknown key', 'tabels: {}', false],
  ['an unknown key further down', 'apply: { onErorr: table }', false],
  ['a value that is none of those', 'apply: { onError: nothing }', false],
  ['a number where a list belongs', 'tables: { include: 3 }', false],
])('as a JSON Schema it judges %s', (_, text, valid) => {
  expect(new Ajv2020({ strict: true }).validate(configJsonSchema(), parse(text))).toBe(valid);
});
