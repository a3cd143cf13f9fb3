import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { startCaughtUp, startPipeline } from '../testing/run-pipeline.ts';

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
  test.concurrent(`any history comes out the same, folded or not (apply.binary: ${binary})`, { timeout: 240_000 }, async () => {
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

test('rows with arrays go many at a time too, of any dimension and type', async () => {
  await using db = await testDatabases();
  const ddl = `CREATE TYPE mood AS ENUM ('so', 'la'); CREATE TYPE pair AS (a int, b text[]); CREATE DOMAIN whole AS int NOT NULL;
    CREATE TABLE t (id int PRIMARY KEY, a int[], n int, b mood[], p pair[], x text, t text[]); CREATE TABLE keyed (id int[] PRIMARY KEY, n int);
    CREATE TABLE keyless (a int[], n int, x text); CREATE TABLE part (id int PRIMARY KEY, a int[]) PARTITION BY RANGE (id);
    CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100); CREATE TABLE part_2 PARTITION OF part DEFAULT;
    CREATE TABLE domains (id whole PRIMARY KEY, w whole, a int[]); ALTER TABLE t ALTER t SET STORAGE EXTERNAL`;
  for (const side of [db.source, db.target]) await sql(side, ddl);
  await sql(
    db.target,
    `CREATE TABLE other (id int PRIMARY KEY, gone int, a bigint[]); ALTER TABLE t ADD extra whole DEFAULT 7; ALTER TABLE keyless DROP n; ALTER TABLE keyless ADD n int`,
  );
  await sql(db.target, 'ALTER TABLE t DROP extra; ALTER TABLE t ADD local text DEFAULT $$here$$');
  await sql(db.source, 'CREATE TABLE other (id int PRIMARY KEY, a int[])');
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
    const columns = ['id', 'a', 'n', 'b', 'p', 'x', 't'];
    const names = ['keyed', 'keyless', 'part', 'domains', 'other'].map((name) => `public.${name}`);
    await compareTables(db.source, db.target, { source: 'public.t', target: 'public.t', columns }, ...names);
    return [...new Set(ways.filter((way) => way !== ''))];
  };
  const rows = 'FROM generate_series(1, 300) i';
  const odd = `CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN '{}' WHEN 2 THEN '[-1:0][5:6]={{1,NULL},{3,4}}' WHEN 3 THEN '{{{1}}}' ELSE ARRAY[i, NULL] END`;
  const text = `ARRAY[repeat('x', 3000), NULL, '"{}' || i]`;
  expect(
    await gathered(`INSERT INTO t SELECT i, ARRAY[i, NULL], i, '{so,la}', ARRAY[ROW(i, '{a,NULL}')::pair], 'x', ${text} ${rows}`),
  ).toEqual(['folded']);
  expect(
    await gathered(`UPDATE t SET a = ${odd.replaceAll(/\bi\b/g, 'id')}, b = '{{la},{NULL}}', p = p || NULL::pair, x = NULL`),
  ).toEqual(['folded']);
  expect(await gathered(`UPDATE t SET n = n + 1, a = a || a; UPDATE t SET t = t || t WHERE id % 3 = 0`)).toEqual(['folded']);
  expect(await gathered('DELETE FROM t WHERE id % 2 = 0')).toEqual(['folded']);
  expect(await value(db.target, `SELECT count(*) FROM t WHERE local = 'here'`)).toBe('150');
  expect(await gathered(`INSERT INTO keyed SELECT ARRAY[i], i ${rows}`)).toEqual(['folded']);
  expect(
    await gathered(
      'UPDATE keyed SET n = n + 1; UPDATE keyed SET id = id || 1 WHERE n % 3 = 0; DELETE FROM keyed WHERE n % 2 = 0',
    ),
  ).toEqual(['folded']);
  expect(await gathered(`INSERT INTO keyless SELECT ${odd}, i % 3, 'x' ${rows}`)).toEqual(['folded']);
  expect(
    await gathered(
      'DELETE FROM keyless WHERE ctid IN (SELECT min(ctid) FROM keyless GROUP BY a, n); UPDATE keyless SET a = a || a',
    ),
  ).toEqual(['folded']);
  expect(await gathered(`INSERT INTO part SELECT i, ${odd} ${rows}; UPDATE part SET a = a || a`)).toEqual(['folded']);
  expect(await gathered(`INSERT INTO domains SELECT i, i, ${odd} ${rows}`)).toEqual(['folded']);
  expect(await gathered('UPDATE domains SET a = a || a, w = w + 1; DELETE FROM domains WHERE id < 100')).toEqual(['folded']);
  // What has to be cast does not fit into a row of the target.
  expect(await gathered(`INSERT INTO other SELECT i, ARRAY[i] ${rows}; UPDATE other SET a = a || 1`)).toEqual(['in order']);
});

test('a table whose rows exchange unique values goes in order after it has refused, and the others go many at a time', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target])
    await sql(
      side,
      `CREATE TABLE ranks (id int PRIMARY KEY, place int UNIQUE); INSERT INTO ranks SELECT i, i FROM generate_series(1, 40) i;
       CREATE TABLE log (id int PRIMARY KEY, at timestamptz)`,
    );
  await using running = await startCaughtUp(db, { snapshot: { copy: false } });
  const ways: string[] = [];
  running.pipeline.model.onBatch(({ way, rows }) => rows > 0 && ways.push(way ?? ''));
  const exchange = Array.from({ length: 20 }, (_, i) => {
    const [a, b] = [2 * i + 1, 2 * i + 2];
    return `UPDATE ranks SET place = -place WHERE id IN (${a}, ${b}); UPDATE ranks SET place = (SELECT -o.place FROM ranks o WHERE o.id = ${a + b} - ranks.id) WHERE id IN (${a}, ${b})`;
  }).join('; ');
  for (let n = 0; n < 3; n++) {
    await sql(
      db.source,
      `BEGIN; ${exchange}; INSERT INTO log SELECT i, now() FROM generate_series(${n * 100}, ${n * 100 + 99}) i; COMMIT`,
    );
    await running.caughtUp();
  }
  expect(ways).toEqual(['replayed', 'folded', 'folded']);
  await compareTables(db.source, db.target, 'ranks', 'log');
});
