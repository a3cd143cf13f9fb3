// Roles that row level security applies to: rows are never left out without a word, on neither side.
import { expect, test } from 'vitest';
import { examine } from '../doctor/examine.ts';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value, type TestDatabase } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { resync } from '../testing/resync.ts';
import { startPipeline, testConfig, type RunningPipeline } from '../testing/run-pipeline.ts';
import { inShort, validated } from '../testing/validation.ts';

const NAMES = ['keyed', 'keyless', 'parted', 'large'];
const TABLES = `CREATE TABLE keyed (id int PRIMARY KEY, v int); CREATE TABLE keyless (id int, v int); CREATE TABLE large (id int PRIMARY KEY, v text);
  CREATE TABLE parted (id int, v int) PARTITION BY RANGE (id);
  CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (10); CREATE TABLE parted_rest PARTITION OF parted DEFAULT`;
const ROWS =
  NAMES.map((name) => `INSERT INTO ${name} SELECT i, i FROM generate_series(1, 40) i`).join('; ') +
  `; INSERT INTO large SELECT i, repeat('x', 900) FROM generate_series(100, 20000) i; ANALYZE`;

test.concurrent('source: a role that policies apply to copies nothing in part; it is told beforehand, and goes on once it may see all rows', async () => {
  await using db = await testDatabases();
  await using role = await roleOn(db.source);
  await sql(db.source, `SET ROLE ${role.name}; ${TABLES}; RESET ROLE; ${ROWS}`);
  await hide(db.source, ...NAMES);
  const found = (await examine(testConfig(db, { source: { url: role.url } }))).find(({ code }) => code === 'ROW_SECURITY');
  expect(found).toMatchObject({ level: 'error', where: 'source' });
  expect(found?.message).toContain('4 tables');

  await using running = startPipeline(db, { source: { url: role.url } });
  await running.caughtUp();
  const { controls } = running.pipeline;
  for (const name of NAMES) {
    const problem = inError(running, name, 'COPY_FAILED');
    expect(problem.message).toContain(`row level security of public.${name} applies to the role on the source`);
    expect(await value(db.target, `SELECT count(*) FROM ${name}`)).toBe('0');
  }
  await follow(db.source, inError(running, 'keyed', 'COPY_FAILED').remedy);
  await controls.retryTable('public.keyed', 'a test').catch(() => {});
  await streams(running, 'keyed');
  expect(await value(db.target, 'SELECT count(*) FROM keyless')).toBe('0');
  // What doctor says mends all that is left.
  await follow(db.source, found?.remedy ?? '');
  for (const name of NAMES) await streams(running, name);

  // The stream knows no policies; a copy that is made again does, and so does a comparison.
  await sql(db.source, `ALTER ROLE ${role.name} NOBYPASSRLS`);
  await hide(db.source, ...NAMES);
  for (const name of NAMES) await sql(db.source, `UPDATE ${name} SET v = '0' WHERE id < 20`);
  await running.caughtUp();
  await compareTables(db.source, db.target);
  const compared = await validated(running);
  for (const name of NAMES) expect(inShort(compared[`public.${name}`]!)).toMatch(/^failed 0 .*row-level security policy/);
  for (const name of NAMES) await controls.resyncTable(`public.${name}`, 'a test');
  for (const name of NAMES) await eventually(() => inError(running, name, 'COPY_FAILED'));
  await compareTables(db.source, db.target);
  await follow(db.source, found?.remedy ?? '');
  for (const name of NAMES) await streams(running, name);
  expect(Object.values(await validated(running)).map(({ state }) => state)).toEqual(NAMES.map(() => 'equal'));
  await compareTables(db.source, db.target);
  // Read by its name a partition may show less than through its table.
  await sql(db.source, `ALTER ROLE ${role.name} NOBYPASSRLS; ALTER TABLE parted DISABLE ROW LEVEL SECURITY`);
  await hide(db.source, 'parted_low');
  expect(await resync(running, 'public.parted')).toContain('every row was right');
});

test.concurrent('source: where somebody has altered the publication, a table stays in it that the role sees in part', async () => {
  await using db = await testDatabases();
  await using role = await roleOn(db.source);
  await sql(db.source, `SET ROLE ${role.name}; ${TABLES}; RESET ROLE; INSERT INTO keyed VALUES (1, 1), (9, 9)`);
  await using running = startPipeline(db, { source: { url: role.url } });
  await running.caughtUp();
  await hide(db.source, 'keyed');
  await sql(db.source, `ALTER PUBLICATION ${db.name} SET (publish = 'insert')`);
  const { events } = running.pipeline;
  await eventually(() => expect(events.after().map(({ code }) => code)).toContain('PUBLICATION_ALTERED'));
  await sql(db.source, 'UPDATE keyed SET v = 2');
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.keyed');
  expect(running.pipeline.model.status().problems).toEqual([]);
});

test.concurrent.each<[who: string, owner: boolean]>([
  ['the owner, where it is forced', true],
  ['a role with grants', false],
])('target: %s stops its tables alone, is told why with what mends it, and goes on afterwards', async (_, owner) => {
  await using db = await testDatabases();
  await using role = await roleOn(db.target);
  await sql(db.source, `${TABLES}; CREATE TABLE free (id int PRIMARY KEY); ${ROWS}`);
  await sql(db.target, `${owner ? `SET ROLE ${role.name};` : ''} ${TABLES}; CREATE TABLE free (id int PRIMARY KEY); RESET ROLE`);
  await sql(db.target, `GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA public TO ${role.name}`);
  await hide(db.target, 'keyed');
  const found = (await examine(testConfig(db, { target: { url: role.url } }))).find(({ code }) => code === 'ROW_SECURITY');
  expect(found).toMatchObject({ level: 'error', where: 'target', table: 'public.keyed' });

  await using running = startPipeline(db, { target: { url: role.url } });
  await running.caughtUp();
  const refused = inError(running, 'keyed', 'COPY_FAILED');
  expect(refused.message).toContain('row level security of public.keyed applies to the role on the target');
  const mend = (remedy: string): Promise<void> => follow(db.target, remedy.replace('ROLE …', `ROLE ${role.name}`));
  await mend(refused.remedy);
  await streams(running, 'keyed');

  // While it streams: one row, many rows, those of a table without a key; and what a row is looked for by.
  await sql(db.target, `ALTER ROLE ${role.name} NOBYPASSRLS`);
  await hide(db.target, ...NAMES);
  await sql(db.source, 'UPDATE keyed SET v = 100 WHERE id = 1; DELETE FROM keyless WHERE id = 1');
  await sql(db.source, `UPDATE parted SET v = 200; INSERT INTO large SELECT i, 'y' FROM generate_series(30000, 30100) i`);
  await sql(db.source, 'INSERT INTO free VALUES (1)');
  await running.caughtUp();
  expect(await value(db.target, 'SELECT count(*) FROM free')).toBe('1');
  for (const name of NAMES) {
    const { message, remedy } = inError(running, name, 'APPLY_FAILED');
    expect(message).toMatch(new RegExp(`refused the \\w+ of public.${name} .*row level security of public.${name} applies`));
    await mend(remedy);
    await running.pipeline.controls.retryTable(`public.${name}`, 'a test').catch(() => {});
  }
  for (const name of NAMES) await streams(running, name);
  await running.caughtUp();
  await compareTables(db.source, db.target);

  await sql(db.target, `ALTER ROLE ${role.name} NOBYPASSRLS`);
  await hide(db.target, ...NAMES);
  const remedies: string[] = [];
  for (const name of ['keyed', 'keyless']) {
    await running.pipeline.controls.resyncTable(`public.${name}`, 'a test');
    remedies.push((await eventually(() => inError(running, name, 'COPY_FAILED'))).remedy);
  }
  for (const remedy of remedies) await mend(remedy);
  await sql(db.source, 'TRUNCATE parted, large');
  for (const name of NAMES) await streams(running, name);
  await running.caughtUp();
  await compareTables(db.source, db.target);
});

test.concurrent('tables that are created have neither policies nor the flags; that is told, with what brings them', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `${TABLES}; ${ROWS}; CREATE TABLE closed (id int PRIMARY KEY); ALTER TABLE closed ENABLE ROW LEVEL SECURITY`,
  );
  await hide(db.source, 'keyed');
  await using running = startPipeline(db);
  await running.caughtUp();
  await compareTables(db.source, db.target);
  expect(await value(db.target, `SELECT count(*) FROM pg_class WHERE relrowsecurity OR relforcerowsecurity`)).toBe('0');
  const [told] = running.pipeline.events.after().filter(({ code }) => code === 'TABLE_FINDING');
  expect(told?.message).toContain('1 policy (least on public.keyed)');
  expect(told?.message).toContain('row level security of 2 tables (public.closed, public.keyed)');
  expect(told?.remedy).toContain('ROW SECURITY');
});

test('target: policies of what a trigger writes to, and of what is created for pgfollow itself, are told as that', async () => {
  await using db = await testDatabases();
  await using role = await roleOn(db.target);
  const table = 'CREATE TABLE t (id int PRIMARY KEY)';
  await sql(db.source, table);
  await sql(
    db.target,
    `${table}; CREATE TABLE log (id int); GRANT ALL ON t, log TO ${role.name};
     CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.log VALUES (NEW.id); RETURN NEW; END $$;
     CREATE TRIGGER note AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION note(); ALTER TABLE t ENABLE ALWAYS TRIGGER note;
     CREATE FUNCTION force() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ DECLARE made record; BEGIN
       FOR made IN SELECT * FROM pg_catalog.pg_event_trigger_ddl_commands() WHERE command_tag = 'CREATE TABLE' AND object_type = 'table' LOOP
         EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', made.object_identity); END LOOP; END $$;
     CREATE EVENT TRIGGER force ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION force()`,
  );
  await hide(db.target, 'log');
  const mend = (remedy: string): Promise<void> => follow(db.target, remedy.replace('ROLE …', `ROLE ${role.name}`));
  await using running = startPipeline(db, { target: { url: role.url } });
  const { model } = running.pipeline;
  const problem = await eventually(() => model.status().problems[0] ?? false);
  expect(problem).toMatchObject({ code: 'TARGET_UNSUITABLE', message: expect.stringContaining('row-level security') });
  await mend(problem.remedy ?? '');
  await running.caughtUp();

  await sql(db.target, `ALTER ROLE ${role.name} NOBYPASSRLS; DROP EVENT TRIGGER force`);
  const ours = await sql(
    db.target,
    `SELECT relname FROM pg_class WHERE relnamespace = 'pgfollow'::regnamespace AND relrowsecurity`,
  );
  for (const { relname } of ours) await sql(db.target, `ALTER TABLE pgfollow.${relname} DISABLE ROW LEVEL SECURITY`);
  await sql(db.source, 'INSERT INTO t VALUES (1)');
  await running.caughtUp();
  const refused = inError(running, 't', 'APPLY_FAILED');
  expect(refused.message).toContain('a function that runs with it is held up by row level security on the target');
  await mend(refused.remedy);
  await streams(running, 't');
  await running.caughtUp();
  expect(await value(db.target, 'SELECT count(*) FROM log')).toBe('1');
  await sql(db.target, 'DROP FUNCTION force');
});

/** Policies that leave most rows out, for everybody. */
async function hide(side: TestDatabase, ...names: string[]): Promise<void> {
  for (const name of names) {
    await sql(
      side,
      `ALTER TABLE ${name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; DROP POLICY IF EXISTS least ON ${name}`,
    );
    await sql(side, `CREATE POLICY least ON ${name} USING (id > 5)`);
  }
}

function inError({ pipeline }: RunningPipeline, name: string, code: string): { message: string; remedy: string } {
  const table = pipeline.model.table(`public.${name}`);
  expect(table, name).toMatchObject({ state: 'error', error: { code } });
  return { message: table?.error?.message ?? '', remedy: table?.error?.remedy ?? '' };
}

async function streams({ pipeline: { model } }: RunningPipeline, name: string): Promise<void> {
  const table = `public.${name}`;
  await eventually(() => expect(model.table(table)).toMatchObject({ state: 'streaming', error: null }), { timeout: 60_000 });
}

/** Runs the statements of a remedy: the first way that it names. */
async function follow(side: TestDatabase, remedy: string): Promise<void> {
  const [first = ''] = remedy.split('\nor: ');
  const statements = first.match(/ALTER (?:TABLE|ROLE) [^;]*;/g) ?? [];
  expect(statements.length, remedy).toBeGreaterThan(0);
  await sql(side, statements.join(' '));
}

/** A role without superuser, which may create. Dispose drops it. */
async function roleOn(side: TestDatabase): Promise<AsyncDisposable & { readonly name: string; readonly url: string }> {
  const name = `${side.name}_role`;
  await sql(
    side,
    `CREATE ROLE ${name} LOGIN REPLICATION PASSWORD 'secret'; GRANT CREATE ON DATABASE ${side.name} TO ${name}; GRANT CREATE ON SCHEMA public TO ${name}`,
  );
  return {
    name,
    url: Object.assign(new URL(side.url), { username: name, password: 'secret' }).href,
    async [Symbol.asyncDispose]() {
      await sql(side, `DROP OWNED BY ${name} CASCADE; DROP ROLE ${name}`);
    },
  };
}
