import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline } from '../testing/run-pipeline.ts';

// How many changes come before the ALTER and after it; many are folded into their net effect, few are replayed in order.
const COUNTS = [
  { table: 'few_few', before: 2, after: 2 },
  { table: 'few_many', before: 2, after: 200 },
  { table: 'many_few', before: 200, after: 2 },
  { table: 'many_many', before: 200, after: 200 },
];

// `t` stands for each of the tables.
const ALTERATIONS = [
  {
    what: 'gains a column',
    target: 'ALTER TABLE t ADD extra int',
    alter: 'ALTER TABLE t ADD extra int',
    set: 'extra = coalesce(extra, 0) + 1',
  },
  { what: 'loses a column', alter: 'ALTER TABLE t DROP gone', set: 'n = n + 10', columns: ['id', 'n', 'v'] },
  {
    what: 'gets a wider type',
    target: 'ALTER TABLE t ALTER n TYPE bigint',
    alter: 'ALTER TABLE t ALTER n TYPE bigint',
    set: 'n = n + 3000000000',
  },
  { what: 'changes its identity', alter: 'ALTER TABLE t REPLICA IDENTITY FULL', set: 'n = n + 10, id = id + 1' },
  {
    what: 'gets another key',
    target: 'ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (other)',
    alter: 'ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (other)',
    set: 'n = n + 10, other = other + 1',
  },
  { what: 'is analyzed', alter: 'ANALYZE t', set: 'n = n + 10' },
  { what: 'is renamed', alter: 'ALTER TABLE t RENAME TO renamed_t', set: 'n = n + 10', renamed: true },
  { what: 'is truncated', alter: `TRUNCATE t; INSERT INTO t VALUES (1, 0, 0, 'new', 0)`, set: 'n = n + 10' },
  { what: 'is rewritten', alter: 'ALTER TABLE t ALTER v TYPE varchar; VACUUM FULL t', set: 'n = n + 10' },
];

test.each(ALTERATIONS)('a table that $what amid a batch', async ({ target, alter, set, columns, renamed }) => {
  await using db = await testDatabases();
  const beside = 'CREATE TABLE beside (id int PRIMARY KEY)';
  const create = 'CREATE TABLE t (id int PRIMARY KEY, n int, gone int, v text, other int NOT NULL)';
  const forEach = (statement: string): string[] =>
    COUNTS.map(({ table }) =>
      statement.replaceAll(/\bt\b/g, table).replaceAll('t_pkey', `${table}_pkey`).replace('renamed_t', `renamed_${table}`),
    );
  for (const side of [db.source, db.target]) await sql(side, [beside, ...forEach(create)].join('; '));
  // The rows are there before, so that whatever comes in the wrong order finds them.
  await sql(db.source, forEach(`INSERT INTO t VALUES (1, 0, 0, 'v', 0)`).join('; '));
  await using running = startPipeline(db);
  await running.caughtUp();

  await running.pipeline.controls.pause('test');
  for (const { table, before } of COUNTS) await sql(db.source, touch(table, before, 'n = n + 1, gone = 5'));
  if (target) for (const statement of forEach(target)) await sql(db.target, statement);
  for (const statement of forEach(alter)) for (const part of statement.split('; ')) await sql(db.source, part);
  for (const { table, after } of COUNTS) await sql(db.source, touch(renamed ? `renamed_${table}` : table, after, set));
  await sql(db.source, 'INSERT INTO beside VALUES (1)');
  await running.pipeline.controls.resume('test');
  await running.caughtUp();

  const pairs = COUNTS.map(({ table }) => ({
    source: `public.${renamed ? 'renamed_' : ''}${table}`,
    target: `public.${table}`,
    ...(columns && { columns }),
  }));
  await compareTables(db.source, db.target, 'public.beside', ...pairs);
  const clean = { insertExists: 0, updateMissing: 0, deleteMissing: 0 };
  expect(running.pipeline.model.tables().map(({ conflicts }) => conflicts)).toEqual([...COUNTS, {}].map(() => clean));
});

function touch(table: string, times: number, set: string): string {
  return `DO $$ BEGIN FOR i IN 1..${times} LOOP UPDATE ${table} SET ${set}; END LOOP; END $$`;
}

// The bytes of the one could be read as the other's: 1 as 1e-45.
const ALIKE: readonly (readonly [before: string, after: string])[] = [
  ['int', 'real'],
  ['real', 'int'],
  ['bigint', 'float8'],
  ['float8', 'bigint'],
  ['bigint', 'money'],
  ['timestamp', 'timestamptz'],
];

test.each([
  { binary: 'auto', domains: 'none' },
  { binary: 'never', domains: 'none' },
  { binary: 'auto', domains: 'kept' },
  { binary: 'auto', domains: 'dropped' },
  { binary: 'never', domains: 'dropped' },
])(
  'a column gets another type of the same length on both sides while its rows wait (binary: $binary, domains: $domains)',
  async ({ binary, domains }) => {
    await using db = await testDatabases();
    const tables = ALIKE.flatMap((types, i) => [`keyed${i}`, `keyless${i}`].map((name) => ({ name, types, i })));
    const named = (type: string, i: number, when: string): string => (domains === 'none' ? type : `${when}${i}`);
    for (const side of [db.source, db.target]) {
      for (const [i, [before, after]] of ALIKE.entries())
        await sql(
          side,
          `CREATE DOMAIN before${i} AS ${before}; CREATE DOMAIN inner${i} AS ${after}; CREATE DOMAIN after${i} AS inner${i}`,
        );
      for (const { name, types, i } of tables)
        await sql(
          side,
          `CREATE TABLE ${name} (id int ${name.startsWith('keyed') ? 'PRIMARY KEY' : ''}, c ${named(types[0], i, 'before')})`,
        );
    }
    const write = (name: string, type: string, from: number): Promise<unknown> => {
      const given = type.startsWith('timestamp') ? `${type} '2026-01-01' + i * interval '1 h'` : `i::${type}`;
      const insert = `INSERT INTO ${name} SELECT i, ${given} FROM generate_series(${from}, ${from + 199}) i`;
      return sql(
        db.source,
        `${insert}; DELETE FROM ${name} WHERE id % 3 = 0; UPDATE ${name} SET id = id + 10000 WHERE id % 3 = 1`,
      );
    };
    {
      await using running = startPipeline(db, { apply: { binary } });
      await running.caughtUp();
    }
    for (const { name, types, i } of tables) {
      const [before, after] = types;
      await write(name, before, 1);
      for (const side of [db.target, db.source])
        await sql(side, `ALTER TABLE ${name} ALTER c TYPE ${named(after, i, 'after')} USING c::${before}::${after}`);
      await write(name, after, 1001);
    }
    if (domains === 'dropped')
      for (const side of [db.target, db.source]) await sql(side, `DROP DOMAIN ${ALIKE.map((_, i) => `before${i}`).join(', ')}`);
    // It finds the catalogs of both sides as they are now.
    await using running = startPipeline(db, { apply: { binary } });
    await running.caughtUp();
    await compareTables(db.source, db.target);
    expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
  },
);

// The binary form of the one could be read as the other's, and nothing in it says what it is, or only the value itself does.
const EXCHANGED = [
  {
    what: 'a range over another type',
    before: 'CREATE TYPE before AS RANGE (subtype = int); CREATE TYPE after AS RANGE (subtype = real)',
    table: 'c before',
    value: (i: string) => `before(${i}, ${i} + 5)`,
    after: 'ALTER TABLE t ALTER c TYPE after USING after(lower(c), upper(c)); DROP TYPE before',
  },
  {
    what: 'an array of another domain',
    before: 'CREATE DOMAIN before AS int; CREATE DOMAIN after AS real',
    table: 'c before[]',
    value: (i: string) => `ARRAY[${i}, NULL]::before[]`,
    after: 'ALTER TABLE t ALTER c TYPE after[] USING c::int[]::real[]::after[]',
  },
  {
    what: 'a field of another domain',
    before: 'CREATE DOMAIN before AS int; CREATE DOMAIN after AS real; CREATE TYPE pair AS (a int, b before)',
    table: 'c pair[]',
    value: (i: string) => `ARRAY[ROW(${i}, ${i})::pair]`,
    after: 'ALTER TYPE pair DROP ATTRIBUTE b, ADD ATTRIBUTE b after',
  },
];

test.each(EXCHANGED)('$what: what is on its way is not read as that, and the table says what to do', async (exchange) => {
  await using db = await testDatabases();
  const write = (from: number): Promise<unknown> =>
    sql(db.source, `INSERT INTO t SELECT i, ${exchange.value('i')} FROM generate_series(${from}, ${from + 99}) i`);
  for (const side of [db.source, db.target])
    await sql(side, `${exchange.before}; CREATE TABLE t (id int PRIMARY KEY, ${exchange.table}); CREATE TABLE u (id int)`);
  {
    await using running = startPipeline(db);
    await running.caughtUp();
  }
  await write(1);
  for (const side of [db.target, db.source]) await sql(side, exchange.after);
  await sql(db.source, 'INSERT INTO u VALUES (1)');
  await using running = startPipeline(db);
  const error = await eventually(() => running.pipeline.model.table('public.t')?.error ?? false);
  expect(error).toMatchObject({ code: 'TYPE_EXCHANGED', remedy: expect.stringContaining('pgfollow resync public.t') });
  await eventually(() => compareTables(db.source, db.target, 'public.u'));
  await running.pipeline.controls.resyncTable('public.t', 'the test');
  await eventually(() => compareTables(db.source, db.target), { timeout: 20_000 });
  await running.caughtUp();
  await sql(db.source, 'UPDATE t SET id = id + 1000');
  await running.caughtUp();
  await compareTables(db.source, db.target);
  expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
});

// On the source such values show NULL for the field that was added.
test.each([
  { binary: 'auto', rows: 3 },
  { binary: 'auto', rows: 200 },
  { binary: 'never', rows: 3 },
  { binary: 'never', rows: 200 },
])('a composite type gets fields on both sides while $rows rows wait (binary: $binary)', async ({ binary, rows }) => {
  await using db = await testDatabases();
  const types = `CREATE TYPE mood AS ENUM ('so'); CREATE DOMAIN whole AS int; CREATE TYPE pair AS (a int, b text); CREATE DOMAIN checked AS pair;
    CREATE TYPE spans AS RANGE (subtype = pair); CREATE TYPE holds AS (p checked, ps pair[], n int)`;
  const columns = 'p pair, ps pair[], h holds, hs holds[], r spans';
  for (const side of [db.source, db.target])
    await sql(
      side,
      `${types}; CREATE TABLE keyed (id int PRIMARY KEY, ${columns}); CREATE TABLE keyless (id int, ${columns}); CREATE TABLE own (p pair PRIMARY KEY)`,
    );
  const pair = `ROW(i, CASE WHEN i % 2 = 0 THEN '"a" \\ (,' || i END)::pair`;
  const write = (from: number): Promise<unknown> =>
    sql(
      db.source,
      `INSERT INTO keyed SELECT i, ${pair}, ARRAY[${pair}, NULL], ROW(${pair}, ARRAY[${pair}], NULL)::holds,
         ARRAY[NULL, ROW(NULL, '{}', i)::holds], spans(${pair}, NULL) FROM generate_series(${from}, ${from + rows - 1}) i;
       INSERT INTO keyless SELECT * FROM keyed WHERE id >= ${from}; INSERT INTO own SELECT p FROM keyed WHERE id >= ${from}`,
    );
  {
    await using running = startPipeline(db, { apply: { binary } });
    await running.caughtUp();
    await write(1);
    await running.caughtUp();
  }
  await write(1001);
  await sql(
    db.source,
    `UPDATE keyed SET p.a = 7, hs = hs || h WHERE id % 2 = 0; UPDATE keyless SET id = -id WHERE id % 2 = 0; DELETE FROM keyless WHERE id % 3 = 0; DELETE FROM own WHERE (p).a % 2 = 0`,
  );
  for (const side of [db.target, db.source])
    await sql(
      side,
      'ALTER TYPE pair ADD ATTRIBUTE c whole; ALTER TYPE pair ADD ATTRIBUTE d date; ALTER TYPE holds ADD ATTRIBUTE m mood',
    );
  await sql(
    db.source,
    `UPDATE keyed SET p.c = 8 WHERE id % 3 = 0; UPDATE keyless SET h.m = 'so'; DELETE FROM keyless WHERE id % 5 = 0`,
  );
  await using running = startPipeline(db, { apply: { binary } });
  await running.caughtUp();
  await compareTables(db.source, db.target);
  const clean = { insertExists: 0, updateMissing: 0, deleteMissing: 0 };
  expect(running.pipeline.model.tables().map(({ conflicts }) => conflicts)).toEqual([clean, clean, clean]);
  expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
  expect(running.pipeline.model.tables().map(({ error }) => error)).toEqual([null, null, null]);
});

test.each(['auto', 'never'])(
  'a composite type gets a field on the target first: what has one less goes in (binary: %s)',
  async (binary) => {
    await using db = await testDatabases();
    for (const side of [db.source, db.target])
      await sql(side, 'CREATE TYPE pair AS (a int, b text); CREATE TABLE t (id int PRIMARY KEY, p pair[])');
    await using running = startPipeline(db, { apply: { binary } });
    await running.caughtUp();
    const write = (from: number, pair: string): Promise<unknown> =>
      sql(db.source, `INSERT INTO t SELECT i, ARRAY[${pair}::pair] FROM generate_series(${from}, ${from + 9}) i`);
    await write(1, `ROW(i, 'before')`);
    await running.caughtUp();
    await sql(db.target, 'ALTER TYPE pair ADD ATTRIBUTE c date');
    await write(101, `ROW(i, 'between')`);
    await eventually(async () => expect(await value(db.target, 'SELECT count(*) FROM t')).toBe('20'), { timeout: 20_000 });
    await sql(db.source, 'ALTER TYPE pair ADD ATTRIBUTE c date');
    await write(201, `ROW(i, 'after', '2026-01-01')`);
    await eventually(() => compareTables(db.source, db.target), { timeout: 20_000 });
    await running.caughtUp();
    expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
  },
);
