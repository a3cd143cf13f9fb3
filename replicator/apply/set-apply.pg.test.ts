import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, type TestDatabases } from '../testing/databases.ts';
import { startPipeline } from '../testing/run-pipeline.ts';

// Several operations on few keys, so that almost every batch has something to fold; TOAST that stays unchanged, changes
// of key, a secondary unique column whose values wander from row to row, keys that are equal and not the same (1 and 1.00),
// truncates.
const operation = fc.oneof(
  {
    weight: 120,
    arbitrary: fc.record({ op: fc.constant('insert' as const), key: fc.nat(12), value: fc.nat(9), big: fc.boolean() }),
  },
  {
    weight: 150,
    arbitrary: fc.record({ op: fc.constant('update' as const), key: fc.nat(12), value: fc.nat(9), big: fc.boolean() }),
  },
  { weight: 80, arbitrary: fc.record({ op: fc.constant('move' as const), key: fc.nat(12), to: fc.nat(12) }) },
  { weight: 80, arbitrary: fc.record({ op: fc.constant('delete' as const), key: fc.nat(12) }) },
  { weight: 40, arbitrary: fc.record({ op: fc.constant('swap' as const), key: fc.nat(12), to: fc.nat(12) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('truncate' as const) }) },
  { weight: 50, arbitrary: fc.record({ op: fc.constant('commit' as const) }) },
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

const DDL = `
  CREATE TABLE keyed (id int PRIMARY KEY, tag int UNIQUE, value int, note text);
  ALTER TABLE keyed ALTER note SET STORAGE EXTERNAL;
  CREATE TABLE keyless (id int, value int, note text);
  ALTER TABLE keyless ALTER note SET STORAGE EXTERNAL;
  CREATE TABLE pair (a int, b text, value int, note text, PRIMARY KEY (a, b));
  ALTER TABLE pair ALTER note SET STORAGE EXTERNAL;
  CREATE TABLE scaled (id numeric PRIMARY KEY, value int, note text);
  ALTER TABLE scaled ALTER note SET STORAGE EXTERNAL;`;

/** One of four keys, written in one of three ways. */
function scaledKey(key: number): string {
  return `${key % 4}${['', '.0', '.00'][key % 3]}`;
}

// Statements that the source may refuse (a key that is taken) are wrapped, so that a history goes on.
function statements(change: Operation, n: number): string[] {
  const note = (big: boolean): string => (big ? `repeat('x${n}', 2000)` : `'n${n}'`);
  switch (change.op) {
    case 'insert':
      return [
        `INSERT INTO keyed VALUES (${change.key}, NULL, ${change.value}, ${note(change.big)}) ON CONFLICT DO NOTHING`,
        `INSERT INTO keyless VALUES (${change.key}, NULLIF(${change.value}, 3), ${note(change.big)})`,
        `INSERT INTO scaled VALUES (${scaledKey(change.key)}, ${change.value}, ${note(change.big)}) ON CONFLICT DO NOTHING`,
        `INSERT INTO pair VALUES (${change.key % 3}, 'k' || ${change.key % 4}, ${change.value}, ${note(change.big)}) ON CONFLICT DO NOTHING`,
      ];
    case 'update':
      return [
        `UPDATE keyed SET value = ${change.value}${change.big ? `, note = ${note(true)}` : ''} WHERE id = ${change.key}`,
        `UPDATE keyless SET value = ${change.value}${change.big ? `, note = ${note(true)}` : ''} WHERE id = ${change.key}`,
        `UPDATE scaled SET value = ${change.value}${change.big ? `, note = ${note(true)}` : ''} WHERE id = ${scaledKey(change.key)}`,
        `UPDATE pair SET value = ${change.value} WHERE a = ${change.key % 3}`,
      ];
    case 'move':
      return [
        `UPDATE keyed SET id = ${change.to} WHERE id = ${change.key} AND NOT EXISTS (SELECT FROM keyed WHERE id = ${change.to})`,
        `UPDATE keyless SET id = ${change.to} WHERE id = ${change.key}`,
        `UPDATE scaled SET id = ${scaledKey(change.to)} WHERE id = ${scaledKey(change.key)} AND NOT EXISTS (SELECT FROM scaled o WHERE o.id = ${scaledKey(change.to)} AND o.id <> scaled.id)`,
        `UPDATE pair SET b = b || 'm' WHERE a = ${change.key % 3} AND length(b) < 5 AND NOT EXISTS (SELECT FROM pair p WHERE p.a = pair.a AND p.b = pair.b || 'm')`,
      ];
    case 'delete':
      return [
        `DELETE FROM keyed WHERE id = ${change.key}`,
        `DELETE FROM keyless WHERE ctid IN (SELECT ctid FROM keyless WHERE id = ${change.key} LIMIT 1)`,
        `DELETE FROM scaled WHERE id = ${scaledKey(change.key)}`,
        `DELETE FROM pair WHERE a = ${change.key % 3} AND b = 'k' || ${change.key % 4}`,
      ];
    case 'swap':
      return [
        `UPDATE keyed SET tag = NULL WHERE tag = ${change.key}`,
        `UPDATE keyed SET tag = ${change.key} WHERE id = ${change.to}`,
      ];
    case 'truncate':
      return [n % 3 === 0 ? 'TRUNCATE keyed, keyless' : 'TRUNCATE pair, scaled'];
    case 'commit':
      return ['COMMIT', 'BEGIN'];
  }
}

async function run(db: TestDatabases, history: readonly Operation[]): Promise<void> {
  const text = history.flatMap((change, n) => statements(change, n));
  await sql(db.source, ['BEGIN', ...text, 'COMMIT'].join(';\n'));
}

for (const binary of ['auto', 'never'] as const) {
  test(`any history comes out the same, folded or not (apply.binary: ${binary})`, { timeout: 240_000 }, async () => {
    await using db = await testDatabases();
    await sql(db.source, DDL);
    await sql(db.target, DDL);
    await using running = startPipeline(db, { apply: { binary } });
    const ways = { folded: 0, replayed: 0, 'in order': 0 };
    running.pipeline.model.onBatch((batch) => ways[batch.way ?? 'in order']++);
    await running.caughtUp();
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { minLength: 100, maxLength: 450 }), async (history) => {
        // Held while the history is written, so that all of it arrives in one batch and is folded.
        await running.pipeline.controls.pause('test');
        await run(db, history);
        await running.pipeline.controls.resume('test');
        await running.caughtUp();
        await compareTables(db.source, db.target);
      }),
      { numRuns: Number(process.env['PGFOLLOW_TEST_RUNS'] ?? 100) },
    );
    // A fold that is refused comes out right too, by the replay; so it is looked at that folds are taken.
    expect(ways.folded).toBeGreaterThan(ways.replayed * 10);
    const status = running.pipeline.model.status();
    expect(status.problems).toEqual([]);
    expect(status.totals.update).toBeGreaterThan(100);
    for (const table of running.pipeline.model.tables())
      expect(table.conflicts).toEqual({ insertExists: 0, updateMissing: 0, deleteMissing: 0 });
  });
}

test('rows with arrays go many at a time too, where they are copied or only taken out', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target])
    await sql(
      side,
      `CREATE TYPE mood AS ENUM ('so', 'la'); CREATE TABLE t (id int PRIMARY KEY, a int[], b mood[]); CREATE TABLE keyed (id int[] PRIMARY KEY, n int)`,
    );
  await using running = startPipeline(db);
  await running.caughtUp();
  const ways: string[] = [];
  running.pipeline.model.onBatch((batch) => ways.push(batch.way ?? ''));
  const gathered = async (change: string): Promise<string[]> => {
    await running.pipeline.controls.pause('test');
    ways.length = 0;
    await sql(db.source, change);
    await running.pipeline.controls.resume('test');
    await running.caughtUp();
    await compareTables(db.source, db.target);
    return ways.filter((way) => way !== '');
  };
  expect(await gathered(`INSERT INTO t SELECT i, ARRAY[i, NULL], '{so,la}' FROM generate_series(1, 300) i`)).toContain('folded');
  expect(await gathered('INSERT INTO keyed SELECT ARRAY[i], i FROM generate_series(1, 300) i')).toContain('folded');
  expect(await gathered(`UPDATE t SET a = a || 7, b = '{}'`)).not.toContain('folded');
  expect(await gathered('DELETE FROM t WHERE id % 2 = 0')).toContain('folded');
  // Its key fits into no array.
  expect(await gathered('DELETE FROM keyed WHERE n % 2 = 0')).not.toContain('folded');
});
