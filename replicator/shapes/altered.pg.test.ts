import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases } from '../testing/databases.ts';
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

test.each(['auto', 'never'])(
  'a column gets another type of the same length on both sides while its rows wait (binary: %s)',
  async (binary) => {
    await using db = await testDatabases();
    const tables = ALIKE.flatMap((types, i) => [`keyed${i}`, `keyless${i}`].map((name) => ({ name, types })));
    for (const { name, types } of tables)
      for (const side of [db.source, db.target])
        await sql(side, `CREATE TABLE ${name} (id int ${name.startsWith('keyed') ? 'PRIMARY KEY' : ''}, c ${types[0]})`);
    const write = (name: string, type: string, from: number): Promise<unknown> => {
      const value = type.startsWith('timestamp') ? `${type} '2026-01-01' + i * interval '1 h'` : `i::${type}`;
      const insert = `INSERT INTO ${name} SELECT i, ${value} FROM generate_series(${from}, ${from + 199}) i`;
      return sql(
        db.source,
        `${insert}; DELETE FROM ${name} WHERE id % 3 = 0; UPDATE ${name} SET id = id + 10000 WHERE id % 3 = 1`,
      );
    };
    await using running = startPipeline(db, { apply: { binary } });
    await running.caughtUp();
    await running.pipeline.controls.pause('test');
    for (const { name, types } of tables) {
      const [before, after] = types;
      await write(name, before, 1);
      for (const side of [db.target, db.source]) await sql(side, `ALTER TABLE ${name} ALTER c TYPE ${after} USING c::${after}`);
      await write(name, after, 1001);
    }
    await running.pipeline.controls.resume('test');
    await running.caughtUp();
    await compareTables(db.source, db.target);
    expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
  },
);
