// Writes the generated tables of README.md and docs/ anew, between <!-- name:begin --> and <!-- name:end -->:
//   npm run docs
// and docs/pgfollow.schema.json and docs/openapi.json as a whole. docs.test.ts says so when that was forgotten.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

export const GENERATED = [
  'README.md',
  'docs/cli.md',
  'docs/configuration.md',
  'docs/doctor.md',
  'docs/http.md',
  'docs/operations.md',
];

/**
 * What the code says of itself.
 * @typedef {object} Sources
 * @property {string} configTable Markdown, a row a setting: path, environment, default, what it does
 * @property {{name: string, help: string}[]} commands each with what --help shows
 * @property {Readonly<Record<string, string>>} problemCodes code and meaning
 * @property {Readonly<Record<string, string>>} findingCodes code and what the check looks at
 * @property {string} metricsText as GET /metrics gives it
 * @property {Record<string, object>} files what the program describes itself with, by file name
 */

/**
 * Asks the modules of the program, compiled or not.
 * @param {any} modules configTable, configJsonSchema, PROBLEM_CODES, FINDING_CODES, Metrics, StatusModel, openApi, COMMANDS and commandHelp
 * @returns {Promise<Sources>}
 */
export async function readSources({
  configTable,
  configJsonSchema,
  PROBLEM_CODES,
  FINDING_CODES,
  Metrics,
  StatusModel,
  openApi,
  COMMANDS,
  commandHelp,
}) {
  const model = new StatusModel({ name: 'x', version: '0', now: Date.now });
  // One table, so that metrics of tables show their labels.
  model.followed.list([{ source: 's.t', target: 's.t', identity: 'full', state: 'streaming', rowsEstimated: 0 }]);
  model.followed.validated('s.t', { state: 'equal', finishedAt: '2026-01-01T00:00:00Z', missing: 0, extra: 0, different: 0 });
  const metricsText = await new Metrics({ model, defaultMetrics: false }).text();
  const { version } = JSON.parse(read('package.json'));
  const files = { 'docs/pgfollow.schema.json': configJsonSchema(), 'docs/openapi.json': openApi(version) };
  const shown = Object.entries(COMMANDS).filter(([, { hidden }]) => !hidden);
  const commands = await Promise.all(shown.map(async ([name, { load }]) => ({ name, help: commandHelp(name, await load()) })));
  return {
    configTable: configTable(),
    commands,
    problemCodes: PROBLEM_CODES,
    findingCodes: FINDING_CODES,
    metricsText,
    files,
  };
}

/**
 * A description as it stands in its file.
 * @param {object} description
 */
export function fileText(description) {
  return `${JSON.stringify(description, null, 2)}\n`;
}

/** @param {string} path */
function read(path) {
  return readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
}

/**
 * A document with its tables as they should be.
 * @param {string} document
 * @param {Sources} sources
 * @returns {string}
 */
export function fill(document, sources) {
  return document.replaceAll(/(<!-- (\w+):begin -->\n)(.*?)(<!-- \2:end -->)/gs, (_, begin, name, body, end) => {
    const table = TABLES[name];
    if (!table) throw new Error(`nothing is known of <!-- ${name}:begin -->`);
    return `${begin}${table(sources, body)}\n${end}`;
  });
}

/** @type {Record<string, (sources: Sources, body: string) => string>} */
const TABLES = {
  config: ({ configTable }) => configTable,
  commands: ({ commands }) => commands.map(({ name, help }) => `## pgfollow ${name}\n\n\`\`\`text\n${help}\`\`\`\n`).join('\n'),
  environment: ({ configTable }) => environmentTable(configTable),
  codes: ({ problemCodes }, body) => codesTable(problemCodes, body),
  findings: ({ findingCodes }) =>
    markdown(
      ['code', 'what is looked at'],
      Object.entries(findingCodes).map(([code, about]) => [`\`${code}\``, about]),
    ),
  metrics: ({ metricsText }) => metricsTable(metricsText),
  alerts: () => alertsTable(parse(read('grafana/prometheus/alerts.yml'))),
};

/** @param {{groups: {rules: {alert: string, labels: {severity: string}, annotations: Record<string, string>}[]}[]}} rules */
function alertsTable({ groups }) {
  const lines = groups
    .flatMap(({ rules }) => rules)
    .map(({ alert, labels, annotations: { cause, remedy = '', runbook = '' } }) => {
      const anchor = runbook.replace('docs/operations.md', '');
      return [`[${alert}](${anchor})`, labels.severity, cause, remedy.replaceAll('|', '\\|')];
    });
  return markdown(['alert', 'severity', 'cause', 'what to do'], lines);
}

/**
 * Only what has a variable, without what is allowed: the short form.
 * @param {string} configTable
 */
function environmentTable(configTable) {
  const rows = configTable
    .split('\n')
    .slice(2)
    .map((row) => row.slice(2, -2).split(' | '));
  const lines = rows
    .filter(([, environment]) => environment !== '')
    .map(([path, environment, byDefault, about = '']) => [environment, path, byDefault, about.split(' Allowed: ', 1)[0]]);
  return markdown(['environment', 'in the file', 'default', 'what it is'], lines);
}

/**
 * Code and meaning from the program; the last column is written by hand and stays.
 * @param {Readonly<Record<string, string>>} problemCodes
 * @param {string} body
 */
function codesTable(problemCodes, body) {
  const advice = new Map([...body.matchAll(/^\| `(\w+)` \| .* \| (.*) \|$/gm)].map(([, code, text]) => [code, text]));
  const lines = Object.entries(problemCodes).map(([code, meaning]) => [`\`${code}\``, meaning, advice.get(code) ?? '']);
  return markdown(['code', 'meaning', 'what to do'], lines);
}

/** @param {string} metricsText */
function metricsTable(metricsText) {
  const lines = [...metricsText.matchAll(/^# HELP (\w+) (.*)\n# TYPE \w+ (\w+)\n(?:\1\{(.*)\})?/gm)].map(
    ([, name, help = '', type, labels = '']) => {
      const names = [...labels.matchAll(/(\w+)="/g)].map(([, label]) => `\`${label}\``).join(', ');
      return [`\`${name}\``, type, names, help.replaceAll('|', '\\|')];
    },
  );
  return markdown(['metric', 'type', 'labels', 'what it says'], lines);
}

/**
 * @param {string[]} heading
 * @param {(string | undefined)[][]} lines
 */
function markdown(heading, lines) {
  const rule = heading.map(() => '---');
  return [heading, rule, ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const built = (/** @type {string} */ path) => import(new URL(`../dist/${path}`, import.meta.url).href);
  const modules = [
    'config/reference.js',
    'problem.js',
    'observe/metrics.js',
    'observe/model.js',
    'http/openapi.js',
    'finding.js',
    'cli/command.js',
    'cli/help.js',
  ].map(built);
  const sources = await readSources(Object.assign({}, ...(await Promise.all(modules))));
  for (const name of GENERATED) {
    const url = new URL(`../${name}`, import.meta.url);
    writeFileSync(url, fill(readFileSync(url, 'utf8'), sources));
  }
  for (const [name, description] of Object.entries(sources.files))
    writeFileSync(new URL(`../${name}`, import.meta.url), fileText(description));
}
