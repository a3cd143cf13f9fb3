import { expect, test } from 'vitest';
import { ownServers, sql, testDatabases, type TestDatabases } from '../testing/databases.ts';
import { startPipeline } from '../testing/run-pipeline.ts';
import { typeShapes } from '../testing/type-shapes.ts';
import { BUILT_IN, EXTENSIONS, NOT_KEYS, OWN, OWN_TYPES, type Values } from '../testing/type-values.ts';
import { inShort, validated } from '../testing/validation.ts';

// Read otherwise, or known to one of them only.
const { 'numeric(5,-2)': _scale, '"char"': _char, ...SHARED } = BUILT_IN;
const { interval: _interval, 'interval day to second(2)': _seconds, ...OLD } = SHARED;

// Every type that there is, in a row, as a key, and in rows without one: as copied and as streamed, on servers that may print otherwise.
test.concurrent.each<[string, Values, () => Promise<TestDatabases>, boolean]>([
  ['servers of one version', { ...BUILT_IN, ...OWN }, () => testDatabases(), false],
  ['14 to 18', { ...SHARED, ...OWN }, () => ownServers({ source: { version: 14 }, target: { version: 18 } }), false],
  ['18 to 14', OLD, () => ownServers({ source: { version: 18 }, target: { version: 14 } }), true],
])(
  'values of every type are found equal, and one that is wrong is found: %s',
  async (_, values, databases, olderTarget) => {
    await using db = await databases();
    for (const side of [db.source, db.target]) for (const extension of EXTENSIONS) await sql(side, extension);
    const shapes = typeShapes(values, { notKeys: NOT_KEYS });
    const named = (text: string, at: number): string => text.replaceAll(/\bt\b(?=[ (]|$)/g, `t${at}`);
    // An older target gets no tables from us.
    const sides = olderTarget ? [db.source, db.target] : [db.source];
    for (const side of sides) await sql(side, OWN_TYPES.join('; '));
    for (const [at, { ddl, rows }] of shapes.entries()) {
      for (const side of sides) await sql(side, named(ddl ?? '', at));
      await sql(db.source, named(rows ?? '', at));
    }
    await using running = startPipeline(db);
    await running.caughtUp(60_000);
    expect(running.pipeline.model.status().problems).toEqual([]);
    const outcome = async (): Promise<string[]> =>
      Object.entries(await validated(running))
        .filter(([, found]) => found.state !== 'equal')
        .map(([table, found]) => `${table} ${inShort(found)}`);
    expect(await outcome()).toEqual([]);
    for (const [at, { changes }] of shapes.entries()) for (const change of changes) await sql(db.source, named(change, at));
    await running.caughtUp();
    expect(await outcome()).toEqual([]);

    const columns = Object.keys(values).map((_, at) => `c${at}`);
    await sql(db.target, `UPDATE t0 SET ${columns[3]} = NULL WHERE ${columns[3]} = (SELECT min(${columns[3]}) FROM t0)`);
    await sql(db.target, 'DELETE FROM t1 WHERE ctid = (SELECT min(ctid) FROM t1)');
    expect(await outcome()).toEqual([
      expect.stringMatching(/^public.t0 different \d+ different \d+$/),
      expect.stringMatching(/^public.t1 different \d+ missing 1$/),
    ]);
  },
  180_000,
);
