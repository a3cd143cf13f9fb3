import { expect, test } from 'vitest';
import { readRelations } from '../catalog/read-relations.ts';
import { enrollTables, storeSpooling } from '../metadata/many-tables.ts';
import { connect, disconnect } from '../postgres/connect.ts';
import { migrateMetadata } from '../postgres/migrate.ts';
import { sql, testDatabases } from '../testing/databases.ts';
import type { CopyTask } from './copy-table.ts';
import { copyEmptyTables } from './empty-tables.ts';

const NAMES = ['nothing', 'rows', 'emptied', 'filled'];

test('a table counts as empty if it was so in the snapshot, not if it was emptied since', async () => {
  await using db = await testDatabases();
  const tables = NAMES.map((name) => `CREATE TABLE ${name} (id int)`).join('; ');
  for (const side of [db.source, db.target]) await sql(side, tables);
  await sql(db.source, 'INSERT INTO rows VALUES (1); INSERT INTO emptied VALUES (1)');
  const source = await connect({ role: 'source', url: db.source.url, purpose: db.name });
  const target = await connect({ role: 'target', url: db.target.url, purpose: db.name });
  try {
    await migrateMetadata(target);
    const names = NAMES.map((name) => ({ schema: 'public', name }));
    await target.query(
      `INSERT INTO pgfollow.pipeline (name, source_system_identifier, source_database, slot) VALUES ($1, '1', '', '')`,
      [db.name],
    );
    await enrollTables(
      target,
      db.name,
      names.map((source) => ({ source, target: source })),
    );
    await storeSpooling(target, db.name, names);
    const here = await readRelations(source, { names });
    const there = await readRelations(target, { names });
    const tasks = here.map((relation): CopyTask => {
      const mapping = { source: relation, target: relation, excludeColumns: [], renameColumns: {}, where: null };
      const to = there.find(({ name }) => name === relation.name)!;
      return { mapping, source: relation, target: to, columns: [], binary: true, existingRows: 'error', bare: false };
    });
    await source.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1');
    // What is new since is the stream's business.
    await sql(db.source, 'TRUNCATE emptied; INSERT INTO filled VALUES (1)');
    const empty = await copyEmptyTables(tasks, { source, target, checksForeignKeys: false }, { pipeline: db.name, asOf: null });
    expect(empty.map((task) => task.source.name)).toEqual(['nothing']);
    // Not one whose changes are not kept any more: it has become another one.
    await target.query('UPDATE pgfollow.table_state SET spooling = false');
    expect(await copyEmptyTables(tasks, { source, target, checksForeignKeys: false }, { pipeline: db.name, asOf: null })).toEqual(
      [],
    );
  } finally {
    await disconnect(source);
    await disconnect(target);
  }
});
