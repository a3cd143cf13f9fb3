import { describe, test } from 'vitest';
import { ownServers } from '../testing/databases.ts';
import { stageShapes } from '../testing/shapes.ts';
import { typeShapes } from '../testing/type-shapes.ts';
import { BUILT_IN, CONTRIB, EXTENSIONS, NOT_KEYS, OWN, OWN_TYPES, type Values } from '../testing/type-values.ts';

// Known to one of them only, or read otherwise there: a scale below 0 since 15, "char" with its highest bit since 16.
const { 'numeric(5,-2)': _scale, '"char"': _char, ...SHARED } = BUILT_IN;
const { interval, 'interval day to second(2)': seconds, ...WITHOUT_INTERVALS } = SHARED;

// Since 17 an interval can be infinite. Older servers would take its binary form for 178 million years, so it comes as text.
describe.each([
  { source: 14, target: 18, what: 'built-in types', values: SHARED, format: 'binary' },
  { source: 18, target: 14, what: 'built-in types', values: WITHOUT_INTERVALS, format: 'binary' },
  { source: 18, target: 14, what: 'intervals', values: { interval, 'interval day to second(2)': seconds }, format: 'text' },
  { source: 14, target: 18, what: 'all others', values: { ...OWN, ...CONTRIB }, format: 'binary' },
  { source: 18, target: 14, what: 'all others', values: { ...OWN, ...CONTRIB }, format: 'binary' },
] as const)('$what, from $source to $target', ({ source, target, values, format }) => {
  const all = typeShapes(values as Values, { ddl: 'mood' in values ? OWN_TYPES.join('; ') : '', notKeys: NOT_KEYS });
  const databases = () => ownServers({ source: { version: source }, target: { version: target } });
  const stage = stageShapes(all, { format, databases, before: EXTENSIONS, gathered: true });
  test.each(all)('$name', (shape) => stage.expectSame(shape));
});
