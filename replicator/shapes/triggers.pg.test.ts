import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline, type RunningPipeline } from '../testing/run-pipeline.ts';

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
  await changeInOneGo(db, running);
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

test('rules that are ENABLE ALWAYS or ENABLE REPLICA act on each change; ordinary ones do not', async () => {
  await using db = await testDatabases();
  await sql(db.source, `CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'copied')`);
  const rule = (name: string, event: string, row: string): string =>
    `CREATE RULE ${name}_${event} AS ON ${event} TO t DO ALSO INSERT INTO public.audit (rule, what, id, v) VALUES ('${name}', '${event}', ${row}.id, ${row}.v)`;
  const rules = ['ordinary', 'always', 'replica'].flatMap((name) => [
    rule(name, 'insert', 'NEW'),
    rule(name, 'update', 'NEW'),
    rule(name, 'delete', 'OLD'),
  ]);
  const enabled = ['always', 'replica'].flatMap((name) =>
    ['insert', 'update', 'delete'].map((event) => `ALTER TABLE t ENABLE ${name} RULE ${name}_${event}`),
  );
  await sql(
    db.target,
    [
      'CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE audit (n serial, rule text, what text, id int, v text)',
      ...rules,
      ...enabled,
    ].join(';'),
  );
  await using running = startPipeline(db, { tables: { include: ['public.t'] } });
  await changeInOneGo(db, running);
  // A COPY knows no rules: the row of the first copy is not there.
  expect(await sql(db.target, `SELECT rule, what, count(*) FROM audit GROUP BY 1, 2 ORDER BY 1, 2`)).toEqual(
    ['always', 'replica'].flatMap((rule) => [
      { rule, what: 'delete', count: '1' },
      { rule, what: 'insert', count: '78' },
      { rule, what: 'update', count: '2' },
    ]),
  );
  expect(running.pipeline.model.status().problems).toEqual([]);
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
  await using running = startPipeline(db, { apply: { onError: 'pipeline' } });
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

/** Changes of t that come all at once, enough of them that they would be folded if nobody watched. */
async function changeInOneGo(db: TestDatabases, running: RunningPipeline): Promise<void> {
  await running.caughtUp();
  await running.pipeline.controls.pause('test');
  await sql(
    db.source,
    `INSERT INTO t SELECT i, 'new' FROM generate_series(3, 80) i; UPDATE t SET v = 'a' WHERE id = 3; UPDATE t SET v = 'b' WHERE id = 3; DELETE FROM t WHERE id = 3`,
  );
  await running.pipeline.controls.resume('test');
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.t');
}
