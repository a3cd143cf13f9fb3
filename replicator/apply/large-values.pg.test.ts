import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { startCaughtUp } from '../testing/run-pipeline.ts';

// From what is copied into a message to what fills a batch alone, each another value, with what COPY's text escapes.
const SIZES = `'{7000, 8187, 8192, 9000, 20000, 65500, 70000, 100000, 150000, 900000}'::int[]`;
const size = (of: number): string => `(${SIZES})[1 + id % ${of}]`;
const valueOf = (seed: string, sizes: number): string =>
  `left(repeat(E'\\\\\\t\\n' || md5('${seed}' || id) || md5(id || '${seed}'), ${size(sizes)} / 67 + 1), ${size(sizes)})`;
const bytes = (seed: string): string => `convert_to(${valueOf(seed, 10)}, 'UTF8')`;
const text = (seed: string): string => valueOf(seed, 7);

const COLUMNS = 'id int, body bytea, note text, tags text[], n int';
const DDL = `
  CREATE TABLE keyed (${COLUMNS}, PRIMARY KEY (id));
  CREATE TABLE keyless (${COLUMNS});
  ALTER TABLE keyed ALTER body SET STORAGE EXTERNAL, ALTER note SET STORAGE EXTERNAL;
  ALTER TABLE keyless ALTER body SET STORAGE EXTERNAL, ALTER note SET STORAGE EXTERNAL;`;

const insert = (table: string, from: number, to: number): string =>
  `INSERT INTO ${table} SELECT id, ${bytes('a')}, ${text('b')}, ARRAY['t', ${text('c')}], 0 FROM generate_series(${from}, ${to}) id`;

/** What leaves large values alone, replaces them, takes them away; many rows a transaction, then few. */
const changes = (table: string): string[] => [
  insert(table, 1, 20),
  insert(table, 21, 21),
  `UPDATE ${table} SET n = n + 1`,
  `UPDATE ${table} SET body = ${bytes('d')}`,
  `UPDATE ${table} SET tags = ARRAY[${text('e')}, NULL] WHERE id <= 15; UPDATE ${table} SET n = n + 1 WHERE id <= 15`,
  `UPDATE ${table} SET note = ${text('f')} WHERE id IN (3, 10)`,
  `UPDATE ${table} SET body = NULL WHERE id IN (4, 5)`,
  `BEGIN; ${insert(table, 31, 50)}; UPDATE ${table} SET id = id + 100 WHERE id > 40; DELETE FROM ${table} WHERE id % 4 = 0; COMMIT`,
  `DELETE FROM ${table} WHERE id = 3`,
  `DELETE FROM ${table} WHERE id BETWEEN 5 AND 18`,
];

async function followed(db: TestDatabases, settings: Record<string, unknown>): Promise<void> {
  for (const side of [db.source, db.target]) await sql(side, DDL);
  await using running = await startCaughtUp(db, { apply: settings });
  for (const table of ['keyed', 'keyless']) for (const statement of changes(table)) await sql(db.source, statement);
  await running.caughtUp(90_000);
  await compareTables(db.source, db.target);
  expect(running.pipeline.model.status().totals).toMatchObject({ insert: 82 });
  // The same while nobody reads, so that it comes in one.
  await running.pipeline.controls.pause('test');
  await sql(db.source, 'DELETE FROM keyed; DELETE FROM keyless');
  for (const table of ['keyed', 'keyless']) for (const statement of changes(table)) await sql(db.source, statement);
  await running.pipeline.controls.resume('test');
  await running.caughtUp(90_000);
  await compareTables(db.source, db.target);
}

for (const binary of ['auto', 'never'] as const)
  test.concurrent(`large values come as they were (apply.binary: ${binary})`, { timeout: 240_000 }, async () => {
    await using db = await testDatabases();
    await followed(db, { binary });
  });

test.concurrent('those of transactions in progress, by way of the disk', { timeout: 240_000 }, async () => {
  await using db = await testDatabases();
  await sql(db.source, `ALTER DATABASE ${db.source.name} SET logical_decoding_work_mem = '64kB'`);
  await followed(db, { maxBatchBytes: '64kB' });
  const streamed = await value(db.source, 'SELECT stream_bytes FROM pg_stat_replication_slots WHERE slot_name = $1', [db.name]);
  expect(Number(streamed)).toBeGreaterThan(10_000_000);
});
