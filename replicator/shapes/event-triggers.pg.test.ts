// Event triggers of others, which fire for what pgfollow does in their database.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { examine } from '../doctor/examine.ts';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value, type TestDatabase } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { cleared, resync } from '../testing/resync.ts';
import { executeTeardown, planTeardown } from '../teardown.ts';
import { startCaughtUp, startPipeline, testConfig } from '../testing/run-pipeline.ts';
import { TEST_VERSION } from '../testing/servers.ts';
import { validated } from '../testing/validation.ts';

const TABLES = `CREATE TABLE keyed (id int PRIMARY KEY, v int); CREATE TABLE keyless (id int, v int);
  INSERT INTO keyed SELECT i, i FROM generate_series(1, 20) i; INSERT INTO keyless SELECT i, i FROM generate_series(1, 20) i`;
const AUDIT = 'CREATE TABLE audit (tag text)';
const NOTE = 'INSERT INTO audit VALUES (tg_tag)';
const REFUSE = `RAISE EXCEPTION 'no % here', tg_tag`;

test.concurrent.each<[what: string, on: string, does: string, remedy: RegExp]>([
  [
    'writes to a table that it does not find',
    'ddl_command_end',
    NOTE,
    /^ALTER FUNCTION public.guard_f\(\) SET search_path = public;$/m,
  ],
  [
    'refuses a publication',
    `ddl_command_start WHEN TAG IN ('CREATE PUBLICATION')`,
    REFUSE,
    /^ALTER EVENT TRIGGER "guard" DISABLE;$/m,
  ],
])('source: one that %s is named with what mends it, and nothing is lost', async (_, on, does, mend) => {
  await using db = await testDatabases();
  await sql(db.source, `${TABLES}; ${AUDIT}`);
  await guard(db.source, on, does);
  await using running = startPipeline(db, { tables: { exclude: ['public.audit'] } });
  const problem = await eventually(() => running.pipeline.model.status().problems[0] ?? false);
  expect(problem).toMatchObject({ code: 'SOURCE_UNSUITABLE', message: expect.stringContaining('event trigger guard') });
  await sql(db.source, mend.exec(problem.remedy ?? '')?.[0] ?? 'no statement');
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.keyed', 'public.keyless');
  if (does === NOTE) expect(await value(db.source, `SELECT count(*) > 1 FROM audit`)).toBe('t');
});

test.concurrent.each<[tag: string, table: string]>([
  ['ALTER TABLE', 'keyless'],
  ['ALTER PUBLICATION', 'keyed'],
])('source: where one refuses %s, tables that need it stay out, and come in once it is let pass', async (tag, table) => {
  await using db = await testDatabases();
  await sql(db.source, TABLES);
  await guard(db.source, `ddl_command_end WHEN TAG IN ('${tag}')`, REFUSE);
  await using running = await startCaughtUp(db);
  const { model } = running.pipeline;
  const { error } = model.table(`public.${table}`) ?? {};
  expect(error).toMatchObject({
    code: 'TABLE_NOT_PUBLISHABLE',
    message: expect.stringContaining(`guard (function public.guard_f)`),
  });
  if (table === 'keyless') expect(model.table('public.keyed')?.state).toBe('streaming');
  await sql(db.source, /^ALTER EVENT TRIGGER .*;$/m.exec(error?.remedy ?? '')?.[0] ?? 'no statement');
  await eventually(() => expect(model.table(`public.${table}`)).toMatchObject({ state: 'streaming', error: null }), {
    timeout: 60_000,
  });
  await sql(db.source, 'UPDATE keyless SET v = 0; UPDATE keyed SET v = 0');
  await running.caughtUp();
  await compareTables(db.source, db.target);
});

test('source: a table that it keeps in the publication leaves all the same, and a teardown that it stops can go on', async () => {
  await using db = await testDatabases();
  await sql(db.source, TABLES);
  await using running = await startCaughtUp(db);
  const { controls, model, events } = running.pipeline;
  await guard(db.source, `ddl_command_end WHEN TAG IN ('ALTER PUBLICATION', 'DROP PUBLICATION')`, REFUSE);
  await controls.removeTable('public.keyless', 'a test');
  await eventually(() => expect(model.table('public.keyless') ?? null).toBeNull());
  await sql(db.source, 'UPDATE keyless SET v = 0; UPDATE keyed SET v = 0');
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.keyed');
  expect(await value(db.target, 'SELECT count(*) FROM keyless WHERE v = 0')).toBe('0');
  expect(model.status()).toMatchObject({ state: 'streaming', problems: [] });
  const told = events.after().find(({ code }) => code === 'TABLE_FINDING');
  expect(told?.message).toMatch(/^public.keyless is not followed, but could not be taken out .*event trigger guard/);
  await running.stop();

  const config = testConfig(db);
  const refused = planTeardown(config).then((plan) => executeTeardown(config, plan));
  await expect(refused).rejects.toMatchObject({
    code: 'SOURCE_UNSUITABLE',
    message: expect.stringContaining('event trigger guard'),
    remedy: expect.stringContaining('ALTER EVENT TRIGGER "guard" DISABLE;'),
  });
  await sql(db.source, 'ALTER EVENT TRIGGER guard DISABLE');
  await executeTeardown(config, await planTeardown(config));
  expect(await sql(db.source, 'SELECT FROM pg_publication')).toEqual([]);
  expect(await value(db.target, `SELECT to_regnamespace('pgfollow')`)).toBeNull();
});

test('source: one that is slow keeps nobody from a table for long; that table stays out, with what to run', async () => {
  await using db = await testDatabases();
  await sql(db.source, TABLES);
  await guard(db.source, `ddl_command_end WHEN TAG IN ('ALTER TABLE')`, 'PERFORM pg_sleep(20)');
  const end = new AbortController();
  const writing = (async () => {
    await using session = await db.source.session();
    // Less than the trigger takes, more than a table is kept locked.
    await session.query(`SET lock_timeout = '10s'`);
    for (; !end.signal.aborted; await sleep(20)) await session.query('UPDATE keyless SET v = v + 1 WHERE id = 1');
  })();
  try {
    await using running = startPipeline(db);
    const { model } = running.pipeline;
    const problem = await eventually(() => model.table('public.keyless')?.error ?? false);
    expect(problem).toMatchObject({ code: 'TABLE_NOT_PUBLISHABLE', message: expect.stringContaining('locked for too long') });
    expect(problem.remedy).toContain('ALTER TABLE ONLY "public"."keyless" REPLICA IDENTITY FULL');
    await eventually(() => expect(model.table('public.keyed')?.state).toBe('streaming'));
    await sql(db.source, 'ALTER EVENT TRIGGER guard DISABLE');
    await eventually(() => expect(model.table('public.keyless')).toMatchObject({ state: 'streaming', error: null }), {
      timeout: 60_000,
    });
    end.abort();
    await writing;
    await running.caughtUp();
    await compareTables(db.source, db.target);
  } finally {
    end.abort();
    await writing;
  }
});

test.concurrent.each(['ENABLE', 'ENABLE REPLICA', 'ENABLE ALWAYS'])(
  'target: with %s one that writes down what happens is no hindrance, whatever is created, copied again and dropped',
  async (how) => {
    await using db = await testDatabases();
    await sql(db.source, `${TABLES}; CREATE INDEX ON keyed (v)`);
    await sql(db.target, AUDIT);
    const name = 'INSERT INTO public.audit VALUES (tg_tag)';
    for (const on of ['ddl_command_start', 'ddl_command_end', 'sql_drop', 'table_rewrite'])
      await guard(db.target, on, name, { how });
    await using running = await startCaughtUp(db);
    await sql(db.target, 'DELETE FROM keyed WHERE id < 4; UPDATE keyless SET v = 0');
    for (const table of ['public.keyed', 'public.keyless']) await resync(running, table);
    await sql(db.source, 'UPDATE keyed SET v = v + 1; UPDATE keyless SET v = v + 1');
    await running.caughtUp();
    await compareTables(db.source, db.target);
    await cleared(db);
    expect(await value(db.target, 'SELECT count(*) > 3 FROM audit')).toBe('t');
  },
);

test.concurrent('target: one that refuses what is created stops what needs it alone, is named, and all goes on once it is let pass', async () => {
  await using db = await testDatabases();
  await sql(db.source, `${TABLES}; CREATE INDEX ON keyed (v)`);
  await guard(db.target, `ddl_command_start WHEN TAG IN ('CREATE TABLE', 'CREATE INDEX')`, REFUSE);
  await using running = startPipeline(db);
  const { controls, model, events } = running.pipeline;
  const problem = await eventually(() => model.status().problems[0] ?? false);
  expect(problem).toMatchObject({ code: 'TARGET_UNSUITABLE', message: expect.stringContaining('event trigger guard') });
  const pass = /^ALTER EVENT TRIGGER "guard" DISABLE;$/m.exec(problem.remedy ?? '')?.[0] ?? 'no statement';
  await sql(db.target, pass);
  await running.caughtUp();
  await compareTables(db.source, db.target);

  // Where it is ENABLE REPLICA it fires for copies alone.
  await sql(db.target, 'ALTER EVENT TRIGGER guard ENABLE ALWAYS');
  await sql(db.source, 'CREATE TABLE later (id int PRIMARY KEY); INSERT INTO later VALUES (1)');
  await controls.resyncTable('public.keyed', 'a test');
  for (const [table, code] of [
    ['public.keyed', 'COPY_FAILED'],
    ['public.later', 'SCHEMA_NOT_CREATED'],
  ])
    await eventually(() =>
      expect(model.table(table ?? '')?.error).toMatchObject({ code, message: expect.stringContaining('event trigger guard') }),
    );
  expect(model.table('public.keyed')?.error?.remedy).toContain(pass);
  await sql(db.source, 'UPDATE keyless SET v = 0');
  await eventually(() => compareTables(db.source, db.target, 'public.keyless'));
  await sql(db.target, pass);
  for (const table of ['public.keyed', 'public.later'])
    await eventually(() => expect(model.table(table)).toMatchObject({ state: 'streaming', error: null }), { timeout: 60_000 });
  await running.caughtUp();
  await compareTables(db.source, db.target);
  await cleared(db);
  expect(events.after().some(({ code }) => code === 'INTERNAL')).toBe(false);
});

test.concurrent('target: one that refuses an index leaves the table without it until it is let pass; without its key a table waits', async () => {
  await using db = await testDatabases();
  await sql(db.source, TABLES);
  await using running = await startCaughtUp(db);
  const { controls, model, events } = running.pipeline;
  await guard(db.target, `ddl_command_start WHEN TAG IN ('CREATE INDEX')`, REFUSE, { how: 'ENABLE ALWAYS' });
  await sql(
    db.source,
    'CREATE TABLE later (id int, v int); CREATE INDEX by_v ON later (v); CREATE TABLE with_key (id int PRIMARY KEY)',
  );
  await eventually(() =>
    expect(model.table('public.with_key')?.error).toMatchObject({
      code: 'SCHEMA_NOT_CREATED',
      message: expect.stringContaining('event trigger guard'),
    }),
  );
  const told = await eventually(() => events.after().find(({ code }) => code === 'PART_NOT_CREATED') ?? false);
  expect(told).toMatchObject({ table: 'public.later', message: expect.stringContaining('event trigger guard') });
  await eventually(() => expect(model.table('public.later')?.state).toBe('streaming'));
  await sql(db.target, 'ALTER EVENT TRIGGER guard DISABLE');
  await eventually(() => expect(model.table('public.with_key')).toMatchObject({ state: 'streaming', error: null }), {
    timeout: 60_000,
  });
  await controls.retryTable('public.later', 'a test');
  await eventually(async () => expect(await value(db.target, `SELECT to_regclass('public.by_v') IS NOT NULL`)).toBe('t'));
});

test.concurrent('target: what one keeps from being dropped stays, is told, and holds up nobody', async () => {
  await using db = await testDatabases();
  await sql(db.source, TABLES);
  await using running = await startCaughtUp(db);
  // A copy has room of its own to drop as well, unless the table is empty.
  await sql(db.target, 'TRUNCATE keyed');
  await guard(db.target, 'sql_drop', REFUSE, { how: 'ENABLE ALWAYS' });
  await resync(running, 'public.keyed');
  const { controls, events, model } = running.pipeline;
  const told = events.after().find(({ code }) => code === 'TABLE_FINDING');
  expect(told).toMatchObject({
    table: 'public.keyed',
    message: expect.stringMatching(/^pgfollow.shadow_\d+ .*event trigger guard/),
  });
  await controls.resyncTable('public.keyed', 'a test');
  await eventually(() => expect(model.table('public.keyed')?.error?.message).toContain('event trigger guard'));
  await sql(db.source, 'UPDATE keyless SET v = 0');
  await running.caughtUp().catch(() => {});
  await eventually(() => compareTables(db.source, db.target, 'public.keyless'));
  expect(model.status().state).not.toBe('retrying');
  await sql(db.target, 'ALTER EVENT TRIGGER guard DISABLE');
  await eventually(() => expect(model.table('public.keyed')).toMatchObject({ state: 'streaming', error: null }), {
    timeout: 60_000,
  });
  await running.stop();
  await using next = await startCaughtUp(db);
  expect(next.pipeline.model.status().problems).toEqual([]);
  await cleared(db);
  await compareTables(db.source, db.target);
});

test.concurrent.each(['source', 'target'] as const)('one at the login to the %s that fails is told as that', async (side) => {
  if (TEST_VERSION < 17) return;
  await using db = await testDatabases();
  await sql(db.source, TABLES);
  await sql(db[side], AUDIT);
  await using running = await startCaughtUp(db, { tables: { exclude: ['public.audit'] } });
  await guard(db[side], 'login', NOTE, { how: 'ENABLE ALWAYS' });
  const found = (await examine(testConfig(db))).find(({ where, level }) => where === side && level === 'error');
  expect(found?.message).toMatch(/relation "audit" does not exist .*public.guard_f/);
  expect(found?.remedy).toContain('login event trigger');
  // Whoever is in stays; who comes later is let in once the function finds its names.
  await sql(db.source, 'UPDATE keyless SET v = 0');
  await eventually(() => compareTables(db.source, db.target, 'public.keyless'));
  await running.stop();
  await using next = startPipeline(db, { tables: { exclude: ['public.audit'] } });
  await eventually(() => expect(next.pipeline.model.status().problems[0]?.remedy).toContain('login event trigger'));
  await sql(db[side], 'ALTER FUNCTION guard_f() SET search_path = public');
  await next.caughtUp();
  // What it writes is no hindrance to sessions that only read.
  expect(Object.values(await validated(next)).map(({ state }) => state)).toEqual(['equal', 'equal']);
  expect((await examine(testConfig(db))).filter(({ level }) => level === 'error')).toEqual([]);
  expect(await value(db[side], 'SELECT count(*) > 0 FROM audit')).toBe('t');
});

test.concurrent('doctor names those that fire for us, on both sides, and warns where they may miss a name', async () => {
  await using db = await testDatabases();
  await sql(db.source, `${TABLES}; ${AUDIT}`);
  await guard(db.source, 'ddl_command_end', NOTE);
  await guard(db.target, `ddl_command_end WHEN TAG IN ('CREATE VIEW')`, NOTE);
  const warned = (await examine(testConfig(db))).filter(({ code }) => code === 'EVENT_TRIGGERS');
  expect(warned).toMatchObject([
    { level: 'warning', where: 'source', message: expect.stringContaining('guard (ddl_command_end, public.guard_f)') },
    { level: 'ok', where: 'target' },
  ]);
  await sql(db.source, /ALTER FUNCTION [^;]*;/.exec(warned[0]?.remedy ?? '')?.[0] ?? 'no statement');
  const mended = (await examine(testConfig(db))).filter(({ code }) => code === 'EVENT_TRIGGERS');
  expect(mended.map(({ level }) => level)).toEqual(['ok', 'ok']);
});

/** An event trigger with a function that does this; of several each has the event in its name. */
async function guard(side: TestDatabase, on: string, does: string, { how = 'ENABLE' } = {}): Promise<void> {
  const name = (await value(side, `SELECT count(*) FROM pg_event_trigger`)) === '0' ? 'guard' : `guard_${on.split(' ')[0]}`;
  await sql(
    side,
    `CREATE FUNCTION ${name}_f() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN ${does}; END $$;
     CREATE EVENT TRIGGER ${name} ON ${on} EXECUTE FUNCTION ${name}_f(); ALTER EVENT TRIGGER ${name} ${how}`,
  );
}
