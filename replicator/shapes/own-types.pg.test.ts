import { describe, expect, test } from 'vitest';
import { value } from '../testing/databases.ts';
import { stageShapes } from '../testing/shapes.ts';
import { typeShapes } from '../testing/type-shapes.ts';
import { CONTRIB, EXTENSIONS, NOT_KEYS, OWN, OWN_TYPES } from '../testing/type-values.ts';

// Arrays, composites and ranges of such types hold OIDs of the source, which mean something else on the target.
describe.each([
  { what: 'types of ones own', values: OWN, ddl: OWN_TYPES, binary: 'auto' },
  { what: 'types of ones own', values: OWN, ddl: OWN_TYPES, binary: 'never' },
  { what: 'types of ones own', values: OWN, ddl: OWN_TYPES, binary: 'auto', gathered: true },
  { what: 'types of ones own', values: OWN, ddl: OWN_TYPES, binary: 'never', gathered: true },
  { what: 'types of extensions', values: CONTRIB, ddl: [], binary: 'auto' },
  { what: 'types of extensions', values: CONTRIB, ddl: [], binary: 'auto', gathered: true },
  { what: 'types of extensions', values: CONTRIB, ddl: [], binary: 'never', gathered: true },
])('$what, binary: $binary, gathered: $gathered', ({ values, ddl, binary, gathered = false }) => {
  const all = typeShapes(values, { ddl: ddl.join('; '), notKeys: NOT_KEYS });
  const format = binary === 'auto' ? 'binary' : 'text';
  const stage = stageShapes(all, { format, gathered, before: EXTENSIONS, settings: { apply: { binary } } });
  test.each(all)('$name', (shape) => stage.expectSame(shape));

  test('their OIDs differ between the sides', async () => {
    const oid = `SELECT 'public.hstore'::regtype::oid`;
    expect(await value(stage.db.source, oid)).not.toBe(await value(stage.db.target, oid));
  });
});
