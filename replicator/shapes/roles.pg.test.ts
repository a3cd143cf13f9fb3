import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline } from '../testing/run-pipeline.ts';
import { TEST_VERSION } from '../testing/servers.ts';

// Children are larger, so they are copied first; two tables refer to each other, one to itself.
const FAMILY = `CREATE TABLE parent (id int PRIMARY KEY, favourite int);
  CREATE TABLE child (id int PRIMARY KEY, parent int NOT NULL REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE, pad text);
  CREATE TABLE grandchild (id int PRIMARY KEY, child int REFERENCES child ON DELETE SET NULL, pad text);
  CREATE TABLE tree (id int PRIMARY KEY, above int REFERENCES tree)`;
const CIRCLE = 'ALTER TABLE parent ADD FOREIGN KEY (favourite) REFERENCES child ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED';
const MEMBERS = `INSERT INTO parent SELECT i, NULL FROM generate_series(1, 20) i; INSERT INTO child SELECT i, 1 + i % 20, repeat('x', 500) FROM generate_series(1, 200) i;
  INSERT INTO grandchild SELECT i, 1 + i % 200, repeat('y', 500) FROM generate_series(1, 800) i; INSERT INTO tree SELECT i, nullif(i / 2, 0) FROM generate_series(1, 300) i`;
const LIFE = [
  'DELETE FROM parent WHERE id = 3',
  'UPDATE parent SET id = 100 WHERE id = 4',
  'UPDATE parent SET favourite = (SELECT min(c.id) FROM child c WHERE c.parent = parent.id)',
  'INSERT INTO parent VALUES (200, 1000); INSERT INTO child VALUES (1000, 200)',
  'DELETE FROM child WHERE id = 1000; DELETE FROM parent WHERE id = 200',
  'DELETE FROM tree WHERE id > 100; UPDATE tree SET above = NULL WHERE id < 10',
  'TRUNCATE grandchild; TRUNCATE tree; INSERT INTO tree VALUES (2, 1), (1, NULL)',
];

test('foreign keys, circles too, are not in the way; what cascades on the source arrives as changes of its own', async () => {
  await using db = await testDatabases();
  await sql(db.source, `${FAMILY}; ${CIRCLE}; ${MEMBERS}; ANALYZE`);
  await sql(db.target, `${FAMILY}; ${CIRCLE}`);
  await using running = startPipeline(db);
  await running.caughtUp();
  await compareTables(db.source, db.target);
  for (const change of LIFE) await sql(db.source, change);
  await running.caughtUp();
  await compareTables(db.source, db.target);
  const conflicts = running.pipeline.model.tables().map(({ conflicts }) => conflicts);
  expect(conflicts).toEqual(conflicts.map(() => ({ insertExists: 0, updateMissing: 0, deleteMissing: 0 })));
});

test('roles without superuser: the least that is needed on both sides; foreign keys are checked then, and it is said', async () => {
  await using db = await testDatabases();
  const role = `${db.name}_role`;
  const urlOf = (url: string): string => Object.assign(new URL(url), { username: role, password: 'secret' }).href;
  await sql(
    db.source,
    `CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'secret'; GRANT CREATE ON DATABASE ${db.source.name} TO ${role}; GRANT CREATE ON SCHEMA public TO ${role}; SET ROLE ${role}`,
  );
  await sql(db.source, `${FAMILY}; ${CIRCLE}; ${MEMBERS}; ANALYZE; RESET ROLE`);
  await sql(
    db.target,
    `CREATE ROLE ${role} LOGIN PASSWORD 'secret'; GRANT CREATE ON DATABASE ${db.target.name} TO ${role}; ${FAMILY};
     GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON parent, child, grandchild, tree TO ${role}`,
  );
  try {
    await using running = startPipeline(db, { source: { url: urlOf(db.source.url) }, target: { url: urlOf(db.target.url) } });
    await running.caughtUp();
    await compareTables(db.source, db.target);
    // Row by row, so without what only holds at the end of a statement; and without cascades, which would happen here too.
    for (const change of LIFE.slice(2, 5)) await sql(db.source, change);
    await sql(
      db.source,
      'UPDATE tree SET above = NULL WHERE id < 10; TRUNCATE grandchild; TRUNCATE tree; INSERT INTO tree VALUES (1, NULL), (2, 1)',
    );
    await running.caughtUp();
    await compareTables(db.source, db.target);
    const codes = running.pipeline.events.after(0).map(({ code }) => code);
    expect(codes).toEqual(expect.arrayContaining(['REPLICA_ROLE_REFUSED', 'ORIGIN_REFUSED']));
    expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
  } finally {
    for (const side of [db.source, db.target]) await sql(side, `DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`);
  }
});

test('what foreign keys refuse without superuser stops with what would help, and goes on once it is done', async () => {
  await using db = await testDatabases();
  const tree = 'CREATE TABLE tree (id int PRIMARY KEY, above int, CONSTRAINT up FOREIGN KEY (above) REFERENCES tree)';
  await sql(db.source, `${tree}; INSERT INTO tree VALUES (1, NULL), (2, 1)`);
  await using role = await targetRole(db, (role) => `${tree}; GRANT ALL ON tree TO ${role}`);
  await using running = startPipeline(db, { target: { url: role.url }, apply: { onError: 'pipeline' } });
  await running.caughtUp();
  await sql(db.source, 'DELETE FROM tree');
  await eventually(() => {
    expect(running.pipeline.model.status().problems).toMatchObject([
      { code: 'APPLY_FAILED', table: 'public.tree', remedy: expect.stringContaining('session_replication_role') },
    ]);
  });
  await sql(db.target, 'ALTER TABLE tree DROP CONSTRAINT up');
  await running.caughtUp();
  expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
  await compareTables(db.source, db.target);
});

test('rows of tables that refer to each other are replaced without superuser; those of others are never deleted', async () => {
  await using db = await testDatabases();
  const pair = `CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a ON DELETE CASCADE); CREATE TABLE c (id int PRIMARY KEY)`;
  await sql(db.source, `${pair}; INSERT INTO a VALUES (1), (2); INSERT INTO b VALUES (1, 1), (2, 2); INSERT INTO c VALUES (1)`);
  await using role = await targetRole(
    db,
    (role) => `${pair}; CREATE TABLE local (c int REFERENCES c ON DELETE CASCADE);
     INSERT INTO a VALUES (1), (7); INSERT INTO b VALUES (1, 7); INSERT INTO c VALUES (5); INSERT INTO local VALUES (5); GRANT ALL ON a, b, c, local TO ${role}`,
  );
  await using running = startPipeline(db, { target: { url: role.url }, snapshot: { existingRows: 'truncate' } });
  await running.caughtUp();
  // c cannot be emptied without the rows of a table that is none of ours.
  expect(running.pipeline.model.table('public.c')?.error?.code).toBe('TARGET_TABLE_NOT_EMPTY');
  expect(await value(db.target, 'SELECT count(*) FROM local')).toBe('1');
  await compareTables(db.source, db.target, 'public.a', 'public.b');
});

test('copied again without superuser: what is missing comes, rows that others may refer to are never deleted', async () => {
  await using db = await testDatabases();
  const pair = `CREATE TABLE a (id int PRIMARY KEY, v int); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a ON DELETE CASCADE)`;
  await sql(
    db.source,
    `${pair}; INSERT INTO a SELECT i, i FROM generate_series(1, 5) i; INSERT INTO b SELECT i, i FROM generate_series(1, 5) i`,
  );
  await using role = await targetRole(db, (role) => `${pair}; GRANT ALL ON a, b TO ${role}`);
  await using running = startPipeline(db, { target: { url: role.url } });
  await running.caughtUp();
  const { controls, events, model } = running.pipeline;
  const resync = async (table: string): Promise<void> => {
    const told = () => events.after().filter((event) => event.code === 'RESYNCED' && event.table === table).length;
    const before = told();
    await controls.resyncTable(table, 'test');
    await eventually(() => expect(told()).toBe(before + 1), { timeout: 20_000 });
    await eventually(() => expect(model.table(table)).toMatchObject({ state: 'streaming', error: null }), { timeout: 20_000 });
  };
  await sql(db.target, 'DELETE FROM a WHERE id = 5; UPDATE a SET v = 0 WHERE id = 1; INSERT INTO b VALUES (9, 1)');
  await resync('public.a');
  await resync('public.b');
  await compareTables(db.source, db.target);
  await sql(db.target, 'INSERT INTO a VALUES (7, 7); INSERT INTO b VALUES (7, 7)');
  await controls.resyncTable('public.a', 'test');
  await eventually(() => expect(model.table('public.a')?.error?.code).toBe('TARGET_TABLE_NOT_EMPTY'), { timeout: 20_000 });
  expect(await value(db.target, 'SELECT count(*) FROM b')).toBe('6');
  await sql(db.target, 'DELETE FROM a WHERE id = 7');
  await eventually(() => expect(model.table('public.a')).toMatchObject({ state: 'streaming', error: null }), {
    timeout: 30_000,
  });
  await compareTables(db.source, db.target);
});

test('a role that foreign keys hold up for good is told what would help', async () => {
  await using db = await testDatabases();
  await sql(db.source, `${FAMILY}; ${CIRCLE}; ${MEMBERS}; UPDATE parent SET favourite = 1`);
  await using role = await targetRole(
    db,
    (role) => `${FAMILY}; ${CIRCLE}; GRANT ALL ON parent, child, grandchild, tree TO ${role}`,
  );
  await using running = startPipeline(db, { target: { url: role.url } });
  await running.caughtUp();
  const states = running.pipeline.model.tables().map(({ source, state, error }) => `${source} ${state} ${error?.code ?? ''}`);
  expect(states).toEqual([
    'public.child error COPY_FAILED',
    'public.grandchild error COPY_FAILED',
    'public.parent error COPY_FAILED',
    'public.tree streaming ',
  ]);
  expect(running.pipeline.model.table('public.child')?.error?.remedy).toContain('session_replication_role');
});

test('where the role is granted the setting, foreign keys are left alone without superuser', async () => {
  if (TEST_VERSION < 15) return;
  await using db = await testDatabases();
  await sql(db.source, `${FAMILY}; ${CIRCLE}; ${MEMBERS}; UPDATE parent SET favourite = 1`);
  await using role = await targetRole(
    db,
    (role) => `GRANT SET ON PARAMETER session_replication_role TO ${role};
     ${FAMILY}; ${CIRCLE}; GRANT ALL ON parent, child, grandchild, tree TO ${role}`,
  );
  await using running = startPipeline(db, { target: { url: role.url } });
  await running.caughtUp();
  for (const change of LIFE) await sql(db.source, change);
  await running.caughtUp();
  await compareTables(db.source, db.target);
});

/** A role of the target without superuser, which may create and what `granted` gives it. Dispose drops it. */
async function targetRole(
  db: TestDatabases,
  granted: (role: string) => string,
): Promise<AsyncDisposable & { readonly url: string }> {
  const role = `${db.name}_role`;
  await sql(
    db.target,
    `CREATE ROLE ${role} LOGIN PASSWORD 'secret'; GRANT CREATE ON DATABASE ${db.target.name} TO ${role}; ${granted(role)}`,
  );
  return {
    url: Object.assign(new URL(db.target.url), { username: role, password: 'secret' }).href,
    async [Symbol.asyncDispose]() {
      await sql(db.target, `DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`);
    },
  };
}
