import { describe, expect, test } from 'vitest';
import { value } from '../testing/databases.ts';
import { stageShapes } from '../testing/shapes.ts';
import { typeShapes } from '../testing/type-shapes.ts';
import { CONTRIB, EXTENSIONS, NOT_KEYS, OWN, OWN_TYPES } from '../testing/type-values.ts';

// Arrays, composites and ranges of such types hold OIDs of the source, so these make the stream text by themselves.
describe.each([
  { what: 'types of ones own', values: OWN, ddl: OWN_TYPES, binary: 'auto' },
  { what: 'types of ones own', values: OWN, ddl: OWN_TYPES, binary: 'never' },
  { what: 'types of ones own', values: OWN, ddl: OWN_TYPES, binary: 'auto', gathered: true },
  { what: 'types of extensions', values: CONTRIB, ddl: [], binary: 'auto' },
  { what: 'types of extensions', values: CONTRIB, ddl: [], binary: 'auto', gathered: true },
])('$what, binary: $binary, gathered: $gathered', ({ values, ddl, binary, gathered = false }) => {
  const all = typeShapes(values, { ddl: ddl.join('; '), notKeys: NOT_KEYS });
  const stage = stageShapes(all, { format: 'text', gathered, before: EXTENSIONS, settings: { apply: { binary } } });
  test.each(all)('$name', (shape) => stage.expectSame(shape));

  test('their OIDs differ between the sides', async () => {
    const oid = `SELECT 'public.hstore'::regtype::oid`;
    expect(await value(stage.db.source, oid)).not.toBe(await value(stage.db.target, oid));
  });
});
