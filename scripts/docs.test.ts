// README.md and docs/ say what the program does: tables are as the code has them, and everything that is named exists.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { GLOBAL_OPTIONS } from '../replicator/cli/args.ts';
import { COMMANDS } from '../replicator/cli/command.ts';
import { commandHelp } from '../replicator/cli/help.ts';
import { CONFIG_VARIABLE, VARIABLES } from '../replicator/config/environment.ts';
import { configJsonSchema, configTable } from '../replicator/config/reference.ts';
import { fileSchema } from '../replicator/config/schema.ts';
import { SETTINGS } from '../replicator/config/setting-list.ts';
import { FINDING_CODES } from '../replicator/finding.ts';
import { openApi } from '../replicator/http/openapi.ts';
import { Metrics } from '../replicator/observe/metrics.ts';
import { StatusModel } from '../replicator/observe/model.ts';
import { PROBLEM_CODES } from '../replicator/problem.ts';

interface Sources {
  metricsText: string;
  files: Record<string, object>;
}

interface Generator {
  readonly GENERATED: string[];
  readonly fill: (document: string, sources: Sources) => string;
  readonly readSources: (modules: object) => Promise<Sources>;
  readonly fileText: (description: object) => string;
}

const root = new URL('../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');

const { GENERATED, fileText, fill, readSources } = (await import(new URL('write-docs.mjs', import.meta.url).href)) as Generator;
const sources = await readSources({
  configTable,
  configJsonSchema,
  PROBLEM_CODES,
  FINDING_CODES,
  Metrics,
  StatusModel,
  openApi,
  COMMANDS,
  commandHelp,
});

const pages = [
  'README.md',
  ...readdirSync(new URL('docs/', root)).flatMap((name) => (name.endsWith('.md') ? `docs/${name}` : [])),
];
const blocks = (page: string, language = '\\w*'): string[] =>
  [...read(page).matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(([, block = '']) => block);
const prose = (page: string): string => read(page).replaceAll(/^```.*?^```$/gms, '');
/** `like this`, outside blocks. */
const codes = (page: string): string[] => [...prose(page).matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);
/** Lines of shell, without what a # explains. */
const shell = (page: string): string[] =>
  blocks(page, 'sh').flatMap((block) => block.split('\n').map((line) => line.replace(/(^|\s)#.*/, '')));

test.each(GENERATED)('%s: the generated tables are up to date (npm run docs)', (page) => {
  const text = read(page);
  expect(text.match(/<!-- \w+:begin -->/g)?.length).toBe(text.match(/<!-- \w+:end -->/g)?.length);
  expect(text).toBe(fill(text, sources));
});

test.each(Object.entries(sources.files))('%s is up to date (npm run docs)', (name, description) => {
  expect(read(name)).toBe(fileText(description));
});

test('there is something to do for every problem', () => {
  const advice = new Map(
    [...read('docs/operations.md').matchAll(/^\| `([A-Z_]+)` \| .* \| (.*) \|$/gm)].map(([, code, text]) => [code, text]),
  );
  for (const code of Object.keys(PROBLEM_CODES)) expect([code, advice.get(code)]).toEqual([code, expect.stringMatching(/\.$/)]);
});

test('the README has every command, with options that it takes', async () => {
  const [table = ''] = /^\| command \| does \|\n(\|.*\n)+/m.exec(prose('README.md')) ?? [];
  const named: string[] = [];
  for (const row of table.split('\n')) {
    const names = [...row.matchAll(/`pgfollow ([a-z]+)`/g)].map(([, name = '']) => name);
    const options = (await Promise.all(names.map(optionsOf))).flat();
    for (const [, option = ''] of row.matchAll(/`--([a-z-]+)/g))
      expect([row, options]).toEqual([row, expect.arrayContaining([option])]);
    named.push(...names);
  }
  const shown = Object.keys(COMMANDS).filter((name) => !COMMANDS[name]?.hidden);
  expect(named.toSorted()).toEqual(shown.toSorted());
});

describe.each(pages)('%s', (page) => {
  test('commands and their options exist', async () => {
    const said = [...codes(page), ...shell(page)].flatMap((text) => [...text.matchAll(/(?:^|[ (])pgfollow ([a-z]+)\b(.*)/g)]);
    for (const [, name = '', rest = ''] of said) {
      expect([name, Object.hasOwn(COMMANDS, name)]).toEqual([name, true]);
      const options = await optionsOf(name);
      for (const [, option = ''] of rest.matchAll(/--([a-z-]+)/g))
        expect([name, options]).toEqual([name, expect.arrayContaining([option])]);
    }
  });

  test('scripts of npm exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const said = [...codes(page), ...shell(page)].flatMap((text) => [...text.matchAll(/npm (?:run )?([a-z:]+)/g)]);
    for (const [, name = ''] of said.filter(([, name]) => name !== 'ci')) expect(Object.keys(scripts)).toContain(name);
  });

  test('files and folders exist', () => {
    const top = readdirSync(root);
    const paths = codes(page).filter((code) => /^[\w.-]+(\/[\w.-]+)+\/?$|^[\w-]+\/$|^[\w-]+\.(ts|mjs|json|yml|md)$/.test(code));
    for (const path of paths.filter((path) => top.includes(path.split('/', 1)[0] ?? '') || path.includes('.'))) {
      expect([path, existsSync(new URL(path, root))]).toEqual([path, true]);
    }
  });

  test('links lead somewhere', () => {
    for (const [, link = ''] of prose(page).matchAll(/\]\(([^)]+)\)/g)) {
      if (/^https?:/.test(link)) continue;
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? page : new URL(path, new URL(page, root)).pathname.slice(root.pathname.length);
      expect([link, existsSync(new URL(target, root))]).toEqual([link, true]);
      if (anchor !== undefined) expect([link, anchors(target)]).toEqual([link, expect.arrayContaining([anchor])]);
    }
  });

  test('metrics exist', () => {
    const known = new Set([...sources.metricsText.matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name));
    // Replication origins and the like are called pgfollow_NAME.
    const named = [...read(page).matchAll(/\bpgfollow_([a-z_]+)\b/g)]
      .map(([name]) => name)
      .filter((name) => !name.startsWith('pgfollow_pgfollow'));
    expect(named.filter((name) => !known.has(name))).toEqual([]);
  });

  test('environment variables and settings exist', () => {
    const secrets = VARIABLES.filter(({ fileKey }) => fileKey !== undefined);
    const variables = new Set([
      CONFIG_VARIABLE,
      ...VARIABLES.map(({ name }) => name),
      ...secrets.map(({ name }) => `${name}_FILE`),
    ]);
    const named = [...read(page).matchAll(/\bPGFOLLOW_[A-Z_]+\b/g)].map(([name]) => name);
    expect(named.filter((name) => !variables.has(name))).toEqual([]);

    const settings = new Set(['schema.table', ...SETTINGS.map(({ path }) => path)]);
    for (const { path, fileKey } of secrets) settings.add(path.replace(/\w+$/, fileKey ?? ''));
    const sections = new Set([...settings].map((path) => path.split('.', 1)[0] ?? ''));
    const paths = codes(page).flatMap((code) => /^[a-z]+\.[a-zA-Z.[\]]+(?=:|=|$)/.exec(code)?.[0] ?? []);
    for (const path of paths.filter((path) => sections.has(path.split('.', 1)[0] ?? ''))) {
      expect([path, settings.has(path)]).toEqual([path, true]);
    }
  });

  test('every pgfollow.yaml is one', () => {
    for (const block of blocks(page, 'yaml')) expect(fileSchema.safeParse(parse(block)).error).toBeUndefined();
  });
});

async function optionsOf(command: string): Promise<string[]> {
  return Object.keys({ ...GLOBAL_OPTIONS, ...(await COMMANDS[command]?.load())?.options });
}

/** As GitHub makes them of headings. */
function anchors(page: string): string[] {
  return [...prose(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}
