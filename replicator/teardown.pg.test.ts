import { expect, test } from 'vitest';
import { sql, testDatabases, value, type TestDatabases } from './testing/databases.ts';
import { describeSchema } from './testing/describe-schema.ts';
import { eventually } from './testing/eventually.ts';
import { startPipeline, testConfig } from './testing/run-pipeline.ts';
import { executeTeardown, planTeardown, type TeardownPlan } from './teardown.ts';

const TABLES = `
  CREATE TABLE keyed (id int PRIMARY KEY);
  CREATE TABLE keyless (id int);
  CREATE TABLE indexed (id int NOT NULL, other int NOT NULL UNIQUE);
  CREATE TABLE parted (id int) PARTITION BY RANGE (id);
  CREATE TABLE leaf PARTITION OF parted FOR VALUES FROM (0) TO (10)`;

test('drops all that the pipeline made, and lists what stays', async () => {
  await using db = await testDatabases();
  const config = testConfig(db);
  await ranOnce(db);
  const plan = await planTeardown(config);
  expect(plan.actions.map(({ where, kind }) => `${where} ${kind}`)).toEqual([
    'source slot',
    'source publication',
    'target origin',
    'target metadata',
    'target schema',
  ]);
  expect(plan.remains).toEqual([
    'The rows on the target stay.',
    expect.stringContaining(
      'REPLICA IDENTITY USING INDEX "indexed_other_key" of public.indexed on the source stays; to undo it: ALTER TABLE ONLY "public"."indexed" REPLICA IDENTITY DEFAULT;',
    ),
    expect.stringContaining('REPLICA IDENTITY FULL of public.keyless'),
    expect.stringContaining('REPLICA IDENTITY FULL of public.leaf'),
    expect.stringContaining('REPLICA IDENTITY FULL of public.parted'),
  ]);
  await executeTeardown(config, plan);
  expect(await leftOver(db)).toEqual({ source: [], target: [] });
  expect(await value(db.target, 'SELECT count(*) FROM keyed')).toBe('2');
  expect(await planTeardown(config)).toEqual({ actions: [], remains: ['The rows on the target stay.'] });

  // And from nothing again.
  await using again = startPipeline(db, { snapshot: { existingRows: 'truncate' } });
  await again.caughtUp();
  expect(await value(db.target, 'SELECT count(*) FROM keyed')).toBe('2');
});

test('refuses while the pipeline runs, and drops nothing then', async () => {
  await using db = await testDatabases();
  const config = testConfig(db);
  for (const side of [db.source, db.target]) await sql(side, TABLES);
  await using running = startPipeline(db);
  await running.caughtUp();
  const plan = await planTeardown(config);
  await expect(executeTeardown(config, plan)).rejects.toMatchObject({ code: 'PIPELINE_LOCKED' });
  await sql(db.source, 'INSERT INTO keyed VALUES (1)');
  await running.caughtUp();
  expect(await value(db.target, 'SELECT count(*) FROM keyed')).toBe('1');
  expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
});

test('a teardown that was interrupted can be called again', async () => {
  await using db = await testDatabases();
  const config = testConfig(db);
  await ranOnce(db);
  const plan: TeardownPlan = await planTeardown(config);
  await executeTeardown(config, { ...plan, actions: plan.actions.slice(0, 2) });
  const rest = await planTeardown(config);
  expect(rest.actions.map(({ kind }) => kind)).toEqual(['origin', 'metadata', 'schema']);
  await executeTeardown(config, rest);
  expect(await leftOver(db)).toEqual({ source: [], target: [] });
});

test('a publication of others that is used as it is stays, and the one that was made before goes', async () => {
  await using db = await testDatabases();
  await ranOnce(db);
  await sql(db.source, `CREATE PUBLICATION ${db.name}_own FOR TABLE keyed`);
  const unmanaged = { publication: { managed: false, names: [`${db.name}_own`] }, snapshot: { existingRows: 'truncate' } };
  {
    await using running = startPipeline(db, unmanaged);
    await running.caughtUp();
  }
  const config = testConfig(db, unmanaged);
  await executeTeardown(config, await planTeardown(config));
  expect(await sql(db.source, 'SELECT pubname FROM pg_publication')).toEqual([{ pubname: `${db.name}_own` }]);
});

test('another name of the publication is refused: one of others is not taken for ours, and ours is dropped at the end', async () => {
  await using db = await testDatabases();
  await ranOnce(db);
  await sql(
    db.source,
    `CREATE PUBLICATION ${db.name}_own FOR TABLE keyed WITH (publish = 'insert'); CREATE TABLE theirs (id int)`,
  );
  await sql(db.source, `ALTER PUBLICATION ${db.name}_own ADD TABLE theirs`);
  const renamed = { publication: { names: [`${db.name}_own`] }, tables: { exclude: ['public.theirs'] } };
  {
    await using running = startPipeline(db, renamed);
    await eventually(
      () => expect(running.pipeline.model.status().problems[0]?.message).toContain(`follows by the publication ${db.name},`),
      { timeout: 20_000 },
    );
  }
  const members = 'SELECT tablename FROM pg_publication_tables WHERE pubname = $1 ORDER BY 1';
  expect(await sql(db.source, members, [`${db.name}_own`])).toEqual([{ tablename: 'keyed' }, { tablename: 'theirs' }]);
  const config = testConfig(db, renamed);
  await executeTeardown(config, await planTeardown(config));
  expect(await sql(db.source, 'SELECT pubname FROM pg_publication')).toEqual([{ pubname: `${db.name}_own` }]);
});

test('what tables would still have got is listed, with the statements that bring it', { timeout: 60_000 }, async () => {
  await using db = await testDatabases();
  const config = testConfig(db);
  // Building this index on the target waits for as long as the test holds the lock there.
  await sql(
    db.source,
    `CREATE FUNCTION slow(v text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
       'BEGIN PERFORM pg_catalog.pg_advisory_lock_shared(4712); PERFORM pg_catalog.pg_advisory_unlock_shared(4712); RETURN v; END';
     CREATE TABLE other (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, v text, other int REFERENCES other, CHECK (id > 0));
     CREATE INDEX t_slow ON t (slow(v)); CREATE UNIQUE INDEX t_twice ON t (slow(v), id); INSERT INTO t VALUES (1, 'v')`,
  );
  await using holder = await db.target.session();
  await holder.query('SELECT pg_advisory_lock(4712)');
  const built = async (part: string) =>
    (await sql(db.target, 'SELECT FROM pgfollow.created_part WHERE part = $1', [part])).length > 0;
  {
    await using running = startPipeline(db);
    await eventually(() => running.pipeline.model.table('public.t')?.state === 'indexing', { timeout: 20_000 });
    await eventually(() => built('index public.t_pkey'), { timeout: 20_000 });
  }
  await holder.query('SELECT pg_advisory_unlock(4712)');
  const plan = await planTeardown(config);
  const lines = plan.remains.filter((line) => line.includes('is not built'));
  const parts = lines.map((line) => line.replace(/ on the target .*/, ''));
  expect(parts.slice(-1)).toEqual(['The foreign key public.t.t_other_fkey of public.t']);
  expect(parts).toContain('The index public.t_slow of public.t');
  expect(parts).toContain('The constraint public.t.t_pkey of public.t');
  expect(parts).not.toContain('The index public.t_pkey of public.t');
  await executeTeardown(config, plan);
  for (const line of lines) await sql(db.target, line.replace(/^.*to build it: /, ''));
  expect(await describeSchema(db.target)).toEqual(await describeSchema(db.source));
});

test('leaves other pipelines, other servers and what others made alone', async () => {
  await using db = await testDatabases();
  await sql(db.source, `CREATE PUBLICATION ${db.name}_own`);
  await ranOnce(db);
  await ranOnce(db, { name: `${db.name}_2`, tables: { include: ['public.keyed'] }, snapshot: { existingRows: 'truncate' } });
  // As a copy that was killed leaves them.
  const note = (name: string) =>
    `INSERT INTO pgfollow.shadow (pipeline, source_schema, source_table) VALUES ('${name}', 'public', 'keyed')`;
  await sql(
    db.target,
    `${note(db.name)}; ${note(`${db.name}_2`)}; CREATE TABLE pgfollow.shadow_1 (); CREATE TABLE pgfollow.shadow_2 ()`,
  );
  const config = testConfig(db);
  const plan = await planTeardown(config);
  expect(plan.actions.map(({ kind }) => kind)).toEqual(['slot', 'publication', 'origin', 'metadata']);
  await executeTeardown(config, plan);
  expect(
    await sql(db.target, `SELECT to_regclass('pgfollow.shadow_1') AS ours, to_regclass('pgfollow.shadow_2') AS theirs`),
  ).toEqual([{ ours: null, theirs: 'pgfollow.shadow_2' }]);
  expect(await sql(db.source, 'SELECT slot_name FROM pg_replication_slots WHERE database = current_database()')).toEqual([
    { slot_name: `${db.name}_2` },
  ]);
  expect(await sql(db.source, 'SELECT pubname FROM pg_publication ORDER BY 1')).toEqual([
    { pubname: `${db.name}_2` },
    { pubname: `${db.name}_own` },
  ]);
  expect(await sql(db.target, 'SELECT name FROM pgfollow.pipeline')).toEqual([{ name: `${db.name}_2` }]);

  // source.url leads to another server by now, where a slot and a publication have the same names.
  await sql(db.target, `UPDATE pgfollow.pipeline SET source_system_identifier = '4711'`);
  const elsewhere = await planTeardown(testConfig(db, { name: `${db.name}_2` }));
  expect(elsewhere.actions.map(({ where }) => where)).toEqual(['target', 'target', 'target']);
  expect(elsewhere.remains).toEqual(['The rows on the target stay.', expect.stringContaining('of server 4711')]);
});

test('where nothing ever ran there is nothing to do', async () => {
  await using db = await testDatabases();
  expect((await planTeardown(testConfig(db))).actions).toEqual([]);
});

async function ranOnce(db: TestDatabases, settings: Record<string, unknown> = {}): Promise<void> {
  if (!(await value(db.source, `SELECT to_regclass('keyed')`))) {
    for (const side of [db.source, db.target]) await sql(side, TABLES);
    await sql(db.source, 'INSERT INTO keyed VALUES (1), (2)');
  }
  await using running = startPipeline(db, settings);
  await running.caughtUp();
}

async function leftOver(db: TestDatabases): Promise<{ source: unknown[]; target: unknown[] }> {
  return {
    source: await sql(
      db.source,
      `SELECT slot_name AS name FROM pg_replication_slots WHERE database = current_database()
       UNION ALL SELECT pubname FROM pg_publication UNION ALL SELECT evtname FROM pg_event_trigger
       UNION ALL SELECT nspname FROM pg_namespace WHERE nspname LIKE 'pgfollow%'
       UNION ALL SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'pgfollow%' AND datname = current_database()`,
    ),
    target: await sql(
      db.target,
      `SELECT roname AS name FROM pg_replication_origin WHERE strpos(roname, '${db.name}') > 0
       UNION ALL SELECT nspname FROM pg_namespace WHERE nspname LIKE 'pgfollow%'
       UNION ALL SELECT application_name FROM pg_stat_activity WHERE application_name LIKE 'pgfollow%' AND datname = current_database()`,
    ),
  };
}
