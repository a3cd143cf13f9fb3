// What Grafana would show wrong without a word: units that it does not know, thresholds out of order, columns of tables that
// no query brings, variables that nobody defines.
import { readFileSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';

interface Options {
  unit?: string;
  thresholds?: { mode: string; steps: { color: string; value: number | null }[] };
}

interface Panel {
  type: string;
  title: string;
  targets?: { expr: string; refId: string; format?: string; instant?: boolean; range?: boolean }[];
  fieldConfig?: {
    defaults: Options;
    overrides: { matcher: { options: string }; properties: { id: string; value: unknown }[] }[];
  };
  options?: { sortBy?: { displayName: string }[]; reduceOptions?: { calcs: string[] } };
  transformations?: { id: string; options: { renameByName?: Record<string, string>; indexByName?: Record<string, number> } }[];
  panels?: Panel[];
}

interface Dashboard {
  panels: Panel[];
  templating: { list: { name: string; definition: string }[] };
}

/** Of those in Grafana's list (packages/grafana-data/src/valueFormats/categories.ts); any other is shown as a mere suffix. */
const UNITS = ['none', 'short', 'percentunit', 'bytes', 'Bps', 's', 'dateTimeFromNow', 'ops', 'reqps', 'rowsps'];
/** Named colours, and those of Grafana's palette that have a name. */
const COLOURS = ['transparent', 'green', 'yellow', 'orange', 'red', 'blue', 'purple', 'gray'];
const BUILT_IN = ['__rate_interval', '__range', '__interval'];

const folder = new URL('../grafana/dashboards/', import.meta.url);
const flat = (panels: Panel[]): Panel[] => panels.flatMap((panel) => [panel, ...flat(panel.panels ?? [])]);
const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
const dashboards = files.map((name) => JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as Dashboard);
const panels = dashboards.flatMap((dashboard, at) =>
  flat(dashboard.panels)
    .filter(({ type }) => type !== 'row')
    .map((panel) => [`${files[at]}: ${panel.title}`, panel] as const),
);

test.each(panels)('%s: units and colours that Grafana knows, thresholds in order', (_name, { fieldConfig }) => {
  const { defaults, overrides } = fieldConfig ?? { defaults: {}, overrides: [] };
  const properties = overrides.flatMap((override) => override.properties);
  for (const unit of [defaults.unit ?? [], properties.filter(({ id }) => id === 'unit').map(({ value }) => value)].flat())
    expect(UNITS).toContain(unit);
  for (const { value } of properties.filter(({ id }) => id === 'color'))
    expect(COLOURS).toContain((value as { fixedColor: string }).fixedColor);
  const { mode, steps } = defaults.thresholds ?? { mode: 'absolute', steps: [{ color: 'green', value: null }] };
  expect(mode).toBe('absolute');
  // The first colour is that of everything below the second.
  const [first, ...rest] = steps.map(({ value }) => value);
  expect(first).toBeNull();
  expect(rest).toEqual(rest.toSorted((a, b) => Number(a) - Number(b)));
  for (const { color } of steps) expect(COLOURS).toContain(color);
});

test.each(panels)(
  '%s: each query once, of the kind that the panel takes',
  (_name, { type, targets = [], fieldConfig, options }) => {
    expect(targets.length).toBeGreaterThan(0);
    expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
    for (const { expr, format, instant, range } of targets) {
      if (type === 'table') expect({ format, instant, range }).toEqual({ format: 'table', instant: true, range: false });
      if (type === 'heatmap') expect({ format, by: expr.includes('by (le)') }).toEqual({ format: 'heatmap', by: true });
      if (type === 'timeseries' || type === 'state-timeline') expect(range).toBe(true);
      // Prometheus counts seconds, dates are in milliseconds.
      if (fieldConfig?.defaults.unit === 'dateTimeFromNow') expect(expr).toMatch(/^1000 \* /);
    }
    if (type === 'stat') expect(options?.reduceOptions?.calcs).toEqual(['lastNotNull']);
  },
);

test.each(panels.filter(([, { type }]) => type === 'table'))(
  '%s: a column for each query, and nothing is said of others',
  (_name, { targets = [], transformations = [], options, fieldConfig }) => {
    const organized = transformations.find(({ id }) => id === 'organize')?.options;
    const renamed = organized?.renameByName ?? {};
    const shown = Object.values(renamed);
    if (targets.length > 1) {
      // Several results are one table only after this, and its columns are named after the queries.
      expect(transformations[0]?.id).toBe('merge');
      const values = targets.map(({ refId }) => `Value #${refId}`).toSorted();
      expect(Object.keys(renamed).toSorted()).toEqual(values);
      expect(Object.keys(organized?.indexByName ?? {}).toSorted()).toEqual([...values, 'table'].toSorted());
    }
    for (const { displayName } of options?.sortBy ?? []) expect(shown).toContain(displayName);
    for (const { matcher } of fieldConfig?.overrides ?? []) expect(shown).toContain(matcher.options);
  },
);

test.each(dashboards.map((dashboard, at) => [files[at], dashboard] as const))(
  '%s: asks by variables that it has, and by all of them',
  (_file, { panels, templating }) => {
    const names = templating.list.map(({ name }) => name);
    const texts = [
      ...flat(panels).flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
      ...templating.list.map(({ definition }) => definition),
    ];
    const used = new Set(texts.flatMap((text) => [...text.matchAll(/\$(\w+)/g)].map(([, name = '']) => name)));
    expect([...used].filter((name) => !BUILT_IN.includes(name)).toSorted()).toEqual(names.toSorted());
  },
);
