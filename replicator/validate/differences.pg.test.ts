import { expect, test } from 'vitest';
import { sql, testDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline, type RunningPipeline } from '../testing/run-pipeline.ts';
import { inShort, validated } from '../testing/validation.ts';

const shorts = (all: Awaited<ReturnType<typeof validated>>): Record<string, string> =>
  Object.fromEntries(Object.entries(all).map(([table, found]) => [table, inShort(found)]));

test('rows that were changed, taken out or added on the target are found, each by its key', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `CREATE TABLE n (id int PRIMARY KEY, a text, b text); INSERT INTO n SELECT n, 'a' || n, 'b' || n FROM generate_series(1, 30000) n;
     CREATE TABLE pair (a int, u uuid, v numeric, PRIMARY KEY (a, u)); INSERT INTO pair SELECT n % 7, gen_random_uuid(), n / 3.0 FROM generate_series(1, 3000) n;
     CREATE TABLE word (w text COLLATE "en-x-icu" PRIMARY KEY, v int); INSERT INTO word SELECT 'Wort ' || chr(65 + n % 58) || n, n FROM generate_series(1, 5000) n;
     CREATE TABLE bare (v text, n int); INSERT INTO bare SELECT 'v' || n % 900, n % 5 FROM generate_series(1, 4000) n;
     CREATE TABLE untouched (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), d date); INSERT INTO untouched (d) SELECT '2026-01-01' FROM generate_series(1, 100);
     CREATE TABLE nothing (id int PRIMARY KEY)`,
  );
  await using running = startPipeline(db);
  await running.caughtUp();
  expect(shorts(await validated(running))).toEqual({
    'public.bare': 'equal 4000',
    'public.n': 'equal 30000',
    'public.nothing': 'equal 0',
    'public.pair': 'equal 3000',
    'public.untouched': 'equal 100',
    'public.word': 'equal 5000',
  });

  await sql(
    db.target,
    `DELETE FROM n WHERE id IN (1, 15000, 30000); UPDATE n SET a = NULL WHERE id = 7777; UPDATE n SET a = b, b = a WHERE id = 20001;
     INSERT INTO n VALUES (0, 'x', 'x'), (30001, 'x', 'x'), (99999, NULL, NULL);
     UPDATE n SET a = (SELECT a FROM n WHERE id = 401) WHERE id = 400; UPDATE n SET a = 'a400' WHERE id = 401;
     DELETE FROM pair WHERE (a, u) = (SELECT a, u FROM pair WHERE a = 3 ORDER BY u LIMIT 1);
     INSERT INTO pair VALUES (3, '00000000-0000-0000-0000-000000000000', NULL);
     DELETE FROM word WHERE w = 'Wort B1'; INSERT INTO word VALUES ('wort b1', 1); UPDATE word SET v = -v WHERE w = 'Wort K68';
     DELETE FROM bare WHERE ctid = (SELECT min(ctid) FROM bare WHERE v = 'v7'); INSERT INTO bare VALUES ('v8', NULL), ('v8', NULL), ('v8', 3)`,
  );
  const found = await validated(running);
  expect(shorts(found)).toEqual({
    'public.bare': 'different 4000 missing 1 extra 3',
    'public.n': 'different 30000 missing 3 extra 3 different 4',
    'public.nothing': 'equal 0',
    'public.pair': 'different 3000 missing 1 extra 1',
    'public.untouched': 'equal 100',
    'public.word': 'different 5000 missing 1 extra 1 different 1',
  });
  expect(found['public.n']?.examples).toHaveLength(10);
  expect(found['public.n']?.examples).toEqual(
    expect.arrayContaining([
      { kind: 'missing', key: 'id=1' },
      { kind: 'extra', key: 'id=0' },
      { kind: 'different', key: 'id=7777' },
      { kind: 'different', key: 'id=400' },
      { kind: 'extra', key: 'id=99999' },
    ]),
  );
  expect(found['public.pair']?.examples).toContainEqual({
    kind: 'extra',
    key: 'a=3, u=00000000-0000-0000-0000-000000000000',
  });
  expect(found['public.word']?.examples).toContainEqual({ kind: 'missing', key: 'w=Wort B1' });
  expect(found['public.bare']?.examples.map(({ key }) => key)).toEqual(
    expect.arrayContaining([expect.stringMatching(/^ctid \(\d+,\d+\) of the (?:source|target)$/)]),
  );
  expect(codes(running).sort()).toEqual(['bare', 'n', 'pair', 'word'].map((table) => `ROWS_DIFFER public.${table}`));

  // Mended by hand, and by a copy.
  await sql(
    db.target,
    `DELETE FROM word WHERE w = 'wort b1'; INSERT INTO word VALUES ('Wort B1', 1); UPDATE word SET v = -v WHERE w = 'Wort K68'`,
  );
  await running.pipeline.controls.resyncTable('public.n', 'a test');
  await eventually(() => !codes(running).includes('ROWS_DIFFER public.n'));
  await running.caughtUp();
  expect(shorts(await validated(running, ['public.n', 'public.word']))).toEqual({
    'public.n': 'equal 30000',
    'public.word': 'equal 5000',
  });
  expect(codes(running).sort()).toEqual(['ROWS_DIFFER public.bare', 'ROWS_DIFFER public.pair']);
});

function codes({ pipeline }: RunningPipeline): string[] {
  return pipeline.model.status().problems.map(({ code, table }) => `${code} ${table}`);
}

test('keys that do not sort alike: buckets of many rows, and a table that is another one altogether', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `CREATE TABLE word (w text PRIMARY KEY, v int); INSERT INTO word SELECT 'w' || n, n FROM generate_series(1, 60000) n;
     CREATE TABLE other (w text PRIMARY KEY, v int); INSERT INTO other SELECT 'w' || n, n FROM generate_series(1, 60000) n`,
  );
  await using running = startPipeline(db);
  await running.caughtUp();
  // In more buckets than can be held together, so that both versions of a row are met apart from each other.
  await sql(
    db.target,
    `UPDATE word SET v = -v WHERE v % 240 = 0; DELETE FROM word WHERE v % 601 = 0; INSERT INTO word VALUES ('x', 1), ('y', 2);
     UPDATE other SET v = -v`,
  );
  const found = shorts(await validated(running));
  expect(found['public.word']).toBe('different 60000 missing 99 extra 2 different 250');
  // It is not counted to the end.
  expect(found['public.other']).toMatch(/^different \d+ different 1\d{4}$/);
  expect(running.pipeline.model.table('public.other')?.validation?.complete).toBe(false);
});
