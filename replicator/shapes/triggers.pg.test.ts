import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline } from '../testing/run-pipeline.ts';
import { TEST_VERSION } from '../testing/servers.ts';

const AUDITED = `CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE audit (n serial, trigger text, what text, id int, v text);
  CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.audit (trigger, what, id, v) VALUES (TG_NAME, TG_OP, coalesce(NEW.id, OLD.id), NEW.v);
    RETURN coalesce(NEW, OLD);
  END $$;
  CREATE TRIGGER ordinary AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION note();
  CREATE TRIGGER always AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION note();
  CREATE TRIGGER replica AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION note();
  ALTER TABLE t ENABLE ALWAYS TRIGGER always, ENABLE REPLICA TRIGGER replica`;

test('ENABLE ALWAYS and ENABLE REPLICA triggers fire for each change, in order; ordinary ones do not', async () => {
  await using db = await testDatabases();
  await sql(db.source, `CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'copied'), (2, 'copied')`);
  await sql(db.target, AUDITED);
  await using running = startPipeline(db, { tables: { include: ['public.t'] } });
  await running.caughtUp();
  await running.pipeline.controls.pause('test');
  // Enough of them that they would be folded if nobody watched.
  await sql(
    db.source,
    `INSERT INTO t SELECT i, 'new' FROM generate_series(3, 80) i; UPDATE t SET v = 'a' WHERE id = 3; UPDATE t SET v = 'b' WHERE id = 3; DELETE FROM t WHERE id = 3`,
  );
  await running.pipeline.controls.resume('test');
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.t');
  expect(await sql(db.target, `SELECT DISTINCT trigger, what, count(*) FROM audit GROUP BY 1, 2 ORDER BY 1, 2`)).toEqual(
    ['always', 'replica'].flatMap((trigger) => [
      { trigger, what: 'DELETE', count: '1' },
      { trigger, what: 'INSERT', count: '80' },
      { trigger, what: 'UPDATE', count: '2' },
    ]),
  );
  expect(
    await value(
      db.target,
      `SELECT string_agg(what || coalesce(' ' || v, ''), ', ' ORDER BY n) FROM audit WHERE id = 3 AND trigger = 'always'`,
    ),
  ).toBe('INSERT new, UPDATE a, UPDATE b, DELETE');
});

test('a trigger of the target that keeps a row out, or changes it, has the last word', async () => {
  await using db = await testDatabases();
  await sql(db.source, `CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'copied')`);
  await sql(
    db.target,
    `CREATE TABLE t (id int PRIMARY KEY, v text); CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       IF NEW.id = 2 THEN RETURN NULL; END IF; NEW.v := upper(NEW.v); RETURN NEW; END $$;
     CREATE TRIGGER keep BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION keep(); ALTER TABLE t ENABLE ALWAYS TRIGGER keep`,
  );
  await using running = startPipeline(db);
  await running.caughtUp();
  await sql(db.source, `INSERT INTO t VALUES (2, 'out'), (3, 'in'); UPDATE t SET v = 'changed' WHERE id IN (1, 2)`);
  await running.caughtUp();
  expect(await sql(db.target, 'SELECT * FROM t ORDER BY id')).toEqual([
    { id: '1', v: 'CHANGED' },
    { id: '3', v: 'IN' },
  ]);
  expect(running.pipeline.model.table('public.t')?.conflicts).toEqual({ insertExists: 0, updateMissing: 1, deleteMissing: 0 });
});

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
  const role = `${db.name}_role`;
  const url = Object.assign(new URL(db.target.url), { username: role, password: 'secret' }).href;
  const tree = 'CREATE TABLE tree (id int PRIMARY KEY, above int, CONSTRAINT up FOREIGN KEY (above) REFERENCES tree)';
  await sql(db.source, `${tree}; INSERT INTO tree VALUES (1, NULL), (2, 1)`);
  await sql(
    db.target,
    `CREATE ROLE ${role} LOGIN PASSWORD 'secret'; GRANT CREATE ON DATABASE ${db.target.name} TO ${role}; ${tree}; GRANT ALL ON tree TO ${role}`,
  );
  try {
    await using running = startPipeline(db, { target: { url } });
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
  } finally {
    await sql(db.target, `DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`);
  }
});

test('rows of tables that refer to each other are replaced without superuser; those of others are never deleted', async () => {
  await using db = await testDatabases();
  const role = `${db.name}_role`;
  const url = Object.assign(new URL(db.target.url), { username: role, password: 'secret' }).href;
  const pair = `CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a ON DELETE CASCADE); CREATE TABLE c (id int PRIMARY KEY)`;
  await sql(db.source, `${pair}; INSERT INTO a VALUES (1), (2); INSERT INTO b VALUES (1, 1), (2, 2); INSERT INTO c VALUES (1)`);
  await sql(
    db.target,
    `CREATE ROLE ${role} LOGIN PASSWORD 'secret'; GRANT CREATE ON DATABASE ${db.target.name} TO ${role}; ${pair}; CREATE TABLE local (c int REFERENCES c ON DELETE CASCADE);
     INSERT INTO a VALUES (1), (7); INSERT INTO b VALUES (1, 7); INSERT INTO c VALUES (5); INSERT INTO local VALUES (5); GRANT ALL ON a, b, c, local TO ${role}`,
  );
  try {
    await using running = startPipeline(db, { target: { url }, snapshot: { existingRows: 'truncate' } });
    await running.caughtUp();
    // c cannot be emptied without the rows of a table that is none of ours.
    expect(running.pipeline.model.table('public.c')?.error?.code).toBe('TARGET_TABLE_NOT_EMPTY');
    expect(await value(db.target, 'SELECT count(*) FROM local')).toBe('1');
    await compareTables(db.source, db.target, 'public.a', 'public.b');
  } finally {
    await sql(db.target, `DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`);
  }
});

test('a role that foreign keys hold up for good is told what would help', async () => {
  await using db = await testDatabases();
  const role = `${db.name}_role`;
  const url = Object.assign(new URL(db.target.url), { username: role, password: 'secret' }).href;
  await sql(db.source, `${FAMILY}; ${CIRCLE}; ${MEMBERS}; UPDATE parent SET favourite = 1`);
  await sql(
    db.target,
    `CREATE ROLE ${role} LOGIN PASSWORD 'secret'; GRANT CREATE ON DATABASE ${db.target.name} TO ${role}; ${FAMILY}; ${CIRCLE}; GRANT ALL ON parent, child, grandchild, tree TO ${role}`,
  );
  try {
    await using running = startPipeline(db, { target: { url } });
    await running.caughtUp();
    const states = running.pipeline.model.tables().map(({ source, state, error }) => `${source} ${state} ${error?.code ?? ''}`);
    expect(states).toEqual([
      'public.child error COPY_FAILED',
      'public.grandchild error COPY_FAILED',
      'public.parent error COPY_FAILED',
      'public.tree streaming ',
    ]);
    expect(running.pipeline.model.table('public.child')?.error?.remedy).toContain('session_replication_role');
  } finally {
    await sql(db.target, `DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`);
  }
});

test('where the role is granted the setting, foreign keys are left alone without superuser', async () => {
  if (TEST_VERSION < 15) return;
  await using db = await testDatabases();
  const role = `${db.name}_role`;
  const url = Object.assign(new URL(db.target.url), { username: role, password: 'secret' }).href;
  await sql(db.source, `${FAMILY}; ${CIRCLE}; ${MEMBERS}; UPDATE parent SET favourite = 1`);
  await sql(
    db.target,
    `CREATE ROLE ${role} LOGIN PASSWORD 'secret'; GRANT CREATE ON DATABASE ${db.target.name} TO ${role}; GRANT SET ON PARAMETER session_replication_role TO ${role};
     ${FAMILY}; ${CIRCLE}; GRANT ALL ON parent, child, grandchild, tree TO ${role}`,
  );
  try {
    await using running = startPipeline(db, { target: { url } });
    await running.caughtUp();
    for (const change of LIFE) await sql(db.source, change);
    await running.caughtUp();
    await compareTables(db.source, db.target);
  } finally {
    await sql(db.target, `DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`);
  }
});

test('more kinds of UPDATE than statements are kept prepared', async () => {
  await using db = await testDatabases();
  const names = Array.from({ length: 11 }, (_, i) => `c${i}`);
  const ddl = `CREATE TABLE t (id int PRIMARY KEY, ${names.map((name) => `${name} text`).join(', ')}); ${names.map((name) => `ALTER TABLE t ALTER ${name} SET STORAGE EXTERNAL`).join('; ')}`;
  await sql(
    db.source,
    `${ddl}; INSERT INTO t SELECT i, ${names.map((name) => `repeat('${name}', 1500)`).join(', ')} FROM generate_series(1, 700) i`,
  );
  // A trigger that fires keeps the changes in order, each with a statement for the columns that came.
  await sql(
    db.target,
    `${ddl}; CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
     CREATE TRIGGER nothing AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION nothing(); ALTER TABLE t ENABLE ALWAYS TRIGGER nothing`,
  );
  await using running = startPipeline(db);
  await running.caughtUp();
  const sets = names
    .map((name, bit) => `${name} = CASE WHEN id & ${1 << bit} = 0 THEN ${name} ELSE 'short ' || id END`)
    .join(', ');
  for (let round = 0; round < 2; round++) await sql(db.source, `UPDATE t SET ${sets}`);
  await running.caughtUp();
  await compareTables(db.source, db.target);
  expect(running.pipeline.model.table('public.t')).toMatchObject({ applied: { update: 1400 }, conflicts: { updateMissing: 0 } });
});

test('a column that the target loses or gets while it is followed', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target])
    await sql(side, 'CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text, w int)');
  await sql(db.source, `INSERT INTO t (v, w) VALUES ('a', 1), ('b', 2)`);
  await using running = startPipeline(db);
  await running.caughtUp();
  await sql(db.source, 'UPDATE t SET v = v, w = w; UPDATE t SET id = DEFAULT WHERE id = 2');
  await running.caughtUp();
  await sql(db.target, 'ALTER TABLE t ADD local int DEFAULT 7, ALTER w TYPE bigint');
  await sql(db.source, `UPDATE t SET v = 'new'; INSERT INTO t (v, w) VALUES ('c', 3)`);
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.t');
  await sql(db.target, 'ALTER TABLE t DROP w');
  await sql(db.source, `UPDATE t SET w = 100`);
  await eventually(() => {
    expect(running.pipeline.model.status().problems).toMatchObject([
      { table: 'public.t', remedy: expect.stringContaining('ALTER TABLE "public"."t"') },
    ]);
  });
  await sql(db.target, 'ALTER TABLE t ADD w int');
  await running.caughtUp();
  await compareTables(db.source, db.target, { source: 'public.t', target: 'public.t', columns: ['id', 'v', 'w'] });
});
