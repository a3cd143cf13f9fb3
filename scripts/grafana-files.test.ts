// Dashboards, alerts and how Prometheus and Grafana are set up, checked without either: above all that they ask for
// metrics which the process really has.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { Metrics } from '../replicator/observe/metrics.ts';
import { waiting } from '../replicator/observe/validation.ts';
import { StatusModel } from '../replicator/observe/model.ts';

interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  datasource?: { uid: string };
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { expr: string; datasource: { uid: string } }[];
  panels?: Panel[];
}

interface Dashboard {
  links: { type: string; tags: string[] }[];
  tags: string[];
  uid: string;
  title: string;
  id: null;
  schemaVersion: number;
  panels: Panel[];
  annotations: { list: { expr?: string }[] };
  templating: { list: { datasource: { uid: string }; definition: string }[] };
}

interface Rule {
  alert: string;
  expr: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
}

interface RuleTest {
  input_series: { series: string }[];
  promql_expr_test: { exp_samples: { labels: string }[] }[];
}

interface Service {
  volumes?: string[];
  environment?: Record<string, string>;
  entrypoint?: string[];
}

interface DataSource {
  uid: string;
  url: string;
  editable: boolean;
  jsonData: { timeInterval: string };
}

interface Provider {
  options: { path: string };
  allowUiUpdates: boolean;
}

interface Scrape {
  global: { scrape_interval: string };
  rule_files: string[];
  scrape_configs: { job_name: string; authorization: { credentials_file: string }; static_configs: { targets: string[] }[] }[];
}

const root = new URL('../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');
const yaml = (path: string): unknown => parse(read(path), { merge: true });

const compose = (yaml('docker-compose.yml') as { services: Record<string, Service> }).services;
const [datasource] = (yaml('grafana/provisioning/datasources/prometheus.yml') as { datasources: DataSource[] }).datasources;
const [provider] = (yaml('grafana/provisioning/dashboards/pgfollow.yml') as { providers: Provider[] }).providers;
const scrape = yaml('grafana/prometheus/prometheus.yml') as Scrape;
const rules = (yaml('grafana/prometheus/alerts.yml') as { groups: { rules: Rule[] }[] }).groups.flatMap((group) => group.rules);
const ruleTests = (yaml('grafana/prometheus/alerts.test.yml') as { tests: RuleTest[] }).tests;

const dashboardFiles = readdirSync(new URL('grafana/dashboards/', root)).filter((name) => name.endsWith('.json'));
const dashboards = dashboardFiles.map((name) => JSON.parse(read(`grafana/dashboards/${name}`)) as Dashboard);
const everyDashboard = dashboards.map((dashboard) => [dashboard.uid, dashboard] as const);
const allPanels = (panels: Panel[]): Panel[] => panels.flatMap((panel) => [panel, ...allPanels(panel.panels ?? [])]);

/** The names that others may rely on. */
const PROMISED = `
  build_info pipeline_state database_up tables errors_total reconnects_total conflicts_total
  replication_lag_seconds replication_lag_bytes heartbeat_applied_timestamp_seconds
  rows_applied_total transactions_applied_total received_bytes_total queue_bytes queue_limit_bytes
  apply_batch_duration_seconds apply_batch_rows snapshot_rows_total snapshot_bytes_total spool_bytes
  slot_active slot_retained_wal_bytes slot_wal_limit_bytes slot_safe_wal_bytes slot_wal_status
  heartbeat_emitted_timestamp_seconds receive_lag_bytes transaction_latency_seconds source_clock_offset_seconds
  backpressure_seconds_total snapshot_start_timestamp_seconds snapshot_completion_timestamp_seconds slot_spilled_bytes_total
  source_oldest_xact_start_timestamp_seconds source_sample_timestamp_seconds http_request_duration_seconds`
  .trim()
  .split(/\s+/)
  .map((name) => `pgfollow_${name}`);
/** Prometheus makes these itself. */
const BUILT_IN = ['up', 'ALERTS'];
const OPERATORS = new Set(['unless', 'and', 'or', 'bool', 'group_left', 'group_right']);

/** The metrics that a PromQL expression asks for. */
function metricsIn(expression: string): string[] {
  const bare = expression
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, '')
    .replaceAll(/\{[^}]*\}/g, '')
    .replaceAll(/\[[^\]]*\]/g, '')
    .replaceAll(/\b(?:by|on|without|ignoring)\s*\([^)]*\)/g, '')
    .replaceAll(/\boffset\s+\w+/g, '')
    .replaceAll(/\b\d[\d.]*(?:e\d+)?\b/g, '');
  return [...bare.matchAll(/[A-Za-z_]\w*(?!\w|\s*\()/g)].map(([name]) => name).filter((name) => !OPERATORS.has(name));
}

/** All that is asked of Prometheus. */
const asked = [
  ...dashboards.flatMap(({ panels }) => allPanels(panels).flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))),
  ...dashboards.flatMap(({ annotations }) => annotations.list.flatMap(({ expr }) => expr ?? [])),
  ...dashboards.flatMap(({ templating }) =>
    templating.list.map(({ definition }) => definition.replace(/^label_values\(|, \w+\)$/g, '')),
  ),
  ...rules.map(({ expr }) => expr),
  ...ruleTests.flatMap(({ input_series }) => input_series.map(({ series }) => series)),
];

/** What Prometheus adds, `le` of histograms, and the labels of its own ALERTS. */
const SCRAPED_LABELS = new Set(['instance', 'job', 'le', 'alertname', 'alertstate', 'severity']);
const base = (name: string): string => name.replace(/_(?:bucket|sum|count)$/, '');

/** Of each metric of a process that follows a table: its labels, and the values they have. */
async function liveSeries(): Promise<Map<string, Map<string, Set<string>>>> {
  const model = new StatusModel({ name: 'x', version: '0', now: Date.now });
  model.followed.list([{ source: 's.t', target: 's.t', identity: 'full', state: 'streaming', rowsEstimated: 1 }]);
  model.followed.validated('s.t', { ...waiting(), state: 'equal', finishedAt: new Date().toISOString() });
  const found = new Map<string, Map<string, Set<string>>>();
  const metrics = new Metrics({ model });
  metrics.answered({ method: 'GET', route: '/', status: 200, seconds: 0 });
  for (const [, name = '', pairs = ''] of (await metrics.text()).matchAll(/^(\w+)(?:\{(.*)\})? /gm)) {
    const labels = found.get(base(name)) ?? new Map<string, Set<string>>();
    found.set(base(name), labels);
    for (const [, label = '', value = ''] of pairs.matchAll(/(\w+)="([^"]*)"/g))
      labels.set(label, (labels.get(label) ?? new Set()).add(value));
  }
  return found;
}

/** What GET /metrics of the process names. */
async function exposed(): Promise<Set<string>> {
  const metrics = new Metrics({ model: new StatusModel({ name: 'x', version: '0', now: Date.now }) });
  return new Set([...(await metrics.text()).matchAll(/^# TYPE (\w+)/gm)].map(([, name = '']) => name));
}

describe('metrics', () => {
  test.each([
    ['sum by (op) (rate(a_total{x=~"b|c"}[$__rate_interval]))', ['a_total']],
    ['time() - a > 60 unless on (job, instance) b{s="x"} == 1', ['a', 'b']],
    ['predict_linear(a[30m], 4 * 3600) < 20e9 or absent(up{job="x"})', ['a', 'up']],
    ['a unless (a offset 15s == 1)', ['a', 'a']],
    ['label_values(a, instance)', ['a', 'instance']],
  ])('what %s asks for', (expression, names) => expect(metricsIn(expression)).toEqual(names));

  test('the process exposes every promised name', async () => {
    const names = await exposed();
    expect(PROMISED.filter((name) => !names.has(name))).toEqual([]);
  });

  test('dashboards, alerts and their tests ask for what the process has, and for labels and values that it gives', async () => {
    const live = await liveSeries();
    const known = new Set([...(await exposed()), ...BUILT_IN]);
    expect(asked.length).toBeGreaterThan(100);
    const unknown = asked.flatMap(metricsIn).filter((name) => !known.has(name) && !known.has(base(name)));
    // One case of the tests is about a Prometheus that does not scrape pgfollow at all.
    expect([...new Set(unknown)]).toEqual(['other_metric']);
    for (const [text, name = '', matchers = ''] of asked.flatMap((each) => [...each.matchAll(/(\w+)\{([^}]*)\}/g)])) {
      if (!live.has(base(name))) continue;
      for (const [, label = '', operator, value = ''] of matchers.matchAll(/(\w+)\s*(=~|=)\s*"([^"]*)"/g)) {
        if (SCRAPED_LABELS.has(label)) continue;
        const values = live.get(base(name))?.get(label);
        expect([text, label, values !== undefined]).toEqual([text, label, true]);
        // Names of tables and what the user chose are whatever they are.
        if (label === 'table' || value.startsWith('$')) continue;
        for (const one of operator === '=~' ? value.split('|') : [value])
          expect([text, one, values?.has(one)]).toEqual([text, one, true]);
      }
    }
    for (const [text, labels = ''] of asked.flatMap((each) => [...each.matchAll(/\bby\s*\(([^)]*)\)/g)])) {
      const every = new Set([...SCRAPED_LABELS, ...[...live.values()].flatMap((labels) => [...labels.keys()])]);
      for (const label of labels.split(',')) expect([text, label, every.has(label.trim())]).toEqual([text, label, true]);
    }
  });
});

describe('grafana', () => {
  test('the data source is the Prometheus of docker-compose.yml, at its scrape interval', () => {
    expect(datasource).toMatchObject({ uid: 'pgfollow-prom', url: 'http://prometheus:9090', editable: false });
    expect(datasource?.jsonData.timeInterval).toBe(scrape.global.scrape_interval);
  });

  test('provisioning reads the folder that is mounted, and the home page is one of its dashboards', () => {
    const path = provider?.options.path ?? '';
    expect(provider?.allowUiUpdates).toBe(false);
    expect(compose['grafana']?.volumes).toContain(`./grafana/dashboards:${path}:ro`);
    const home = compose['grafana']?.environment?.['GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH'];
    expect(dashboardFiles.map((name) => `${path}/${name}`)).toContain(home);
  });

  test('dashboards have their own uid and title', () => {
    expect(dashboards.map(({ uid }) => uid).toSorted()).toEqual(
      ['overview', 'runtime', 'snapshot', 'tables'].map((name) => `pgfollow-${name}`),
    );
    expect(new Set(dashboards.map(({ uid }) => uid)).size).toBe(dashboards.length);
    expect(new Set(dashboards.map(({ title }) => title)).size).toBe(dashboards.length);
  });

  test.each(everyDashboard)('%s loads as it is, everything from that data source', (_uid, dashboard) => {
    expect(dashboard.id).toBeNull();
    expect(dashboard.schemaVersion).toBeGreaterThanOrEqual(39);
    expect(dashboard.schemaVersion).toBeLessThanOrEqual(41);
    expect(JSON.stringify(dashboard)).not.toMatch(/__inputs|\$\{DS_/);
    // From each to all the others.
    expect(dashboard.tags).toContain('pgfollow');
    expect(dashboard.links.filter(({ type }) => type === 'dashboards').flatMap(({ tags }) => tags)).toEqual(['pgfollow']);
    for (const variable of dashboard.templating.list) expect(variable.datasource.uid).toBe(datasource?.uid);
    const panels = allPanels(dashboard.panels);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    for (const panel of panels.filter(({ type }) => type !== 'row')) {
      expect(['timeseries', 'stat', 'state-timeline', 'heatmap', 'table']).toContain(panel.type);
      expect([panel.title, panel.description]).toEqual([panel.title, expect.stringMatching(/\.$/)]);
      const asked = [panel.datasource?.uid, ...(panel.targets ?? []).map((target) => target.datasource.uid)];
      expect(new Set(asked)).toEqual(new Set([datasource?.uid]));
    }
  });

  test.each(everyDashboard)('%s: no two panels overlap, none leaves the grid', (_uid, dashboard) => {
    const taken = new Map<string, string>();
    for (const { title, gridPos } of allPanels(dashboard.panels)) {
      expect([title, gridPos.x + gridPos.w <= 24]).toEqual([title, true]);
      for (let cell = 0; cell < gridPos.w * gridPos.h; cell++) {
        const place = `${gridPos.x + (cell % gridPos.w)}/${gridPos.y + Math.floor(cell / gridPos.w)}`;
        expect([title, taken.get(place)]).toEqual([title, undefined]);
        taken.set(place, title);
      }
    }
  });
});

/** The headings of a document as links name them. */
const headings = (document: string): string[] =>
  [...read(document).matchAll(/^## (.+)$/gm)].map(([, text = '']) => text.toLowerCase().replaceAll(' ', '-').replaceAll("'", ''));

describe('prometheus', () => {
  const COMMANDS = ['run', 'doctor', 'status', 'tables', 'pause', 'resume', 'add', 'remove', 'resync', 'retry', 'teardown'];

  test('asks the replicator with the token that it is given, and reads the rules next to it', () => {
    const [job] = scrape.scrape_configs;
    expect(job).toMatchObject({ job_name: 'pgfollow', static_configs: [{ targets: ['replicator:5884'] }] });
    const token = job?.authorization.credentials_file.replace('/run/secrets/', '');
    expect(compose['prepare']?.entrypoint?.join('\n')).toContain(`> ${token}`);
    for (const file of scrape.rule_files) expect(existsSync(new URL(`grafana/prometheus/${file}`, root))).toBe(true);
  });

  test.each(rules.map((rule) => [rule.alert, rule] as const))(
    '%s says how bad, why and what to do, and is tested',
    (alert, rule) => {
      const severity = rule.labels['severity'];
      expect(['critical', 'warning']).toContain(severity);
      for (const key of ['summary', 'cause', 'remedy']) expect(rule.annotations[key]).toMatch(/\S/);
      const [document = '', anchor = ''] = rule.annotations['runbook']?.split('#') ?? [];
      expect(headings(document)).toContain(anchor);
      expect(dashboards.map(({ uid }) => `/d/${uid}`)).toContain(rule.annotations['dashboard']);
      for (const [, command] of rule.annotations['remedy']?.matchAll(/pgfollow ([a-z]+)/g) ?? [])
        expect(COMMANDS).toContain(command);
      const fired = ruleTests.flatMap((test) => test.promql_expr_test.flatMap(({ exp_samples }) => exp_samples));
      expect(fired.map(({ labels }) => labels)).toContain(`{alertname="${alert}", severity="${severity}"}`);
    },
  );
});
