import { expect, test } from 'vitest';
import type { ProblemCode } from '../problem.ts';
import { compareTables } from '../testing/compare.ts';
import { ownServers, sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline, type RunningPipeline } from '../testing/run-pipeline.ts';
import { startProxy } from '../testing/tcp-proxy.ts';

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY)';

interface Mismatch {
  readonly name: string;
  /** After a pipeline has run and was stopped. */
  readonly tamper: (db: TestDatabases) => Promise<unknown>;
  readonly settings?: Record<string, unknown>;
  readonly code: ProblemCode;
  readonly remedy: RegExp;
}

const MISMATCHES: Mismatch[] = [
  {
    name: 'a checkpoint of another server',
    tamper: (db) => sql(db.target, `UPDATE pgfollow.pipeline SET source_system_identifier = '4711'`),
    code: 'FOREIGN_CHECKPOINT',
    remedy: /source\.url/,
  },
  {
    name: 'a checkpoint of another database',
    tamper: (db) => sql(db.target, `UPDATE pgfollow.pipeline SET source_database = 'other'`),
    code: 'FOREIGN_CHECKPOINT',
    remedy: /source\.url/,
  },
  {
    name: 'another slot than before',
    tamper: async () => {},
    settings: { slot: { name: 'another' } },
    code: 'FOREIGN_CHECKPOINT',
    remedy: /another name/,
  },
  {
    name: 'a source that went back in time',
    tamper: (db) => sql(db.target, `UPDATE pgfollow.checkpoint SET applied_lsn = 'FFFF/0'`),
    code: 'FOREIGN_CHECKPOINT',
    remedy: /teardown/,
  },
  {
    name: 'a slot that is gone',
    tamper: (db) => sql(db.source, `SELECT pg_drop_replication_slot('${db.name}')`),
    code: 'SLOT_MISSING',
    remedy: /teardown.*truncate/,
  },
  {
    name: 'a slot that was made anew',
    tamper: async (db) => {
      await sql(db.source, `SELECT pg_drop_replication_slot('${db.name}'); INSERT INTO t VALUES (3)`);
      await sql(db.source, `SELECT pg_create_logical_replication_slot('${db.name}', 'pgoutput')`);
    },
    code: 'SLOT_AHEAD',
    remedy: /teardown.*truncate/,
  },
  {
    name: 'a slot that somebody has moved on',
    tamper: async (db) => {
      await sql(db.source, 'INSERT INTO t VALUES (3)');
      await sql(db.source, `SELECT pg_replication_slot_advance('${db.name}', pg_current_wal_lsn())`);
    },
    code: 'SLOT_AHEAD',
    remedy: /teardown.*truncate/,
  },
  {
    name: 'a slot of another plugin',
    tamper: (db) =>
      sql(db.source, `SELECT pg_drop_replication_slot('${db.name}'); SELECT pg_create_physical_replication_slot('${db.name}')`),
    code: 'SLOT_FOREIGN',
    remedy: /slot/,
  },
  {
    name: 'a publication that was dropped',
    tamper: (db) => sql(db.source, `DROP PUBLICATION "${db.name}"; INSERT INTO t VALUES (3)`),
    code: 'PUBLICATION_MISSING',
    remedy: /teardown.*truncate/,
  },
];

test.each(MISMATCHES)('$name: stops with what to do, and changes nothing', async ({ tamper, settings, code, remedy }) => {
  await using db = await testDatabases();
  await ranOnce(db);
  await tamper(db);
  const before = await everything(db);
  await using running = startPipeline(db, settings);
  await failed(running, code, remedy);
  await running.stop();
  expect(await everything(db)).toEqual(before);
  await dropPhysicalSlot(db);
});

test.concurrent('a slot that is moved on while the stream is being started is noticed before anything is applied', async () => {
  await using db = await testDatabases();
  await ranOnce(db);
  const before = await everything(db);
  await using proxy = await startProxy(db.source.url);
  const advance = async (): Promise<unknown> => {
    await sql(db.source, 'INSERT INTO t VALUES (3)');
    return sql(db.source, `SELECT pg_replication_slot_advance('${db.name}', pg_current_wal_lsn())`);
  };
  proxy.toServer = (connection, bytes) => {
    if (!bytes.includes('START_REPLICATION')) return bytes;
    proxy.toServer = (_, rest) => rest;
    void advance().then(() => connection.send(bytes));
    return null;
  };
  await using running = startPipeline(db, { source: { url: proxy.url } });
  await failed(running, 'SLOT_AHEAD', /teardown/);
  expect((await everything(db)).target).toEqual(before.target);
});

test.concurrent('a slot whose WAL the source has removed', async () => {
  await using db = await ownServers({
    source: { settings: { max_slot_wal_keep_size: '1MB', min_wal_size: '32MB', max_wal_size: '32MB' } },
  });
  await ranOnce(db);
  for (let n = 0; n < 4; n++) await sql(db.source, `SELECT pg_logical_emit_message(false, 'x', 'x'), pg_switch_wal()`);
  await sql(db.source, 'CHECKPOINT');
  await eventually(async () => (await value(db.source, 'SELECT wal_status FROM pg_replication_slots')) === 'lost');
  await using running = startPipeline(db);
  await failed(running, 'SLOT_LOST', /max_slot_wal_keep_size/);
});

test.concurrent('a second pgfollow of the same name waits, and goes on when the first has ended', async () => {
  await using db = await testDatabases();
  await tables(db);
  await using first = startPipeline(db);
  await first.caughtUp();
  await using second = startPipeline(db);
  await eventually(() => second.pipeline.model.status().state === 'retrying');
  expect(second.pipeline.model.status().problems).toMatchObject([
    { code: 'PIPELINE_LOCKED', remedy: expect.stringContaining('pg_terminate_backend') },
  ]);
  await sql(db.source, 'INSERT INTO t VALUES (3)');
  await first.caughtUp();
  expect(first.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
  await first.stop();
  await sql(db.source, 'INSERT INTO t VALUES (4)');
  await second.caughtUp();
  await compareTables(db.source, db.target, 'public.t');
  expect(second.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
});

test.concurrent('a pipeline of the same name to another target leaves the slot of the first alone', async () => {
  await using db = await testDatabases();
  await using other = await testDatabases();
  await tables(db);
  await sql(other.target, TABLE);
  await using first = startPipeline(db);
  await first.caughtUp();
  for (let attempt = 0; attempt < 2; attempt++) {
    await using second = startPipeline(db, { target: { url: other.target.url } });
    await failed(second, 'SLOT_FOREIGN', /slot/);
  }
  await sql(db.source, 'INSERT INTO t VALUES (3)');
  await first.caughtUp();
  await compareTables(db.source, db.target, 'public.t');
  expect(first.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
});

test.concurrent('two of the same name that begin at once: the slower one leaves the slot of the faster one alone', async () => {
  await using db = await testDatabases();
  await using other = await testDatabases();
  await tables(db);
  await sql(other.target, TABLE);
  await using proxy = await startProxy(db.source.url);
  let create: (() => void) | undefined;
  proxy.toServer = (connection, bytes) => {
    if (!bytes.includes('CREATE_REPLICATION_SLOT')) return bytes;
    create = () => connection.send(bytes);
    return null;
  };
  const settings = { source: { url: proxy.url }, target: { url: other.target.url } };
  await using slower = startPipeline(db, settings);
  await eventually(() => create !== undefined);
  await using faster = startPipeline(db);
  await faster.caughtUp();
  create?.();
  await failed(slower, 'SLOT_FOREIGN', /slot/);
  await slower.stop();
  // It has noted beforehand that it makes the slot; that must not stand now.
  await using again = startPipeline(db, { target: { url: other.target.url } });
  await failed(again, 'SLOT_FOREIGN', /slot/);
  await sql(db.source, 'INSERT INTO t VALUES (3)');
  await faster.caughtUp();
  expect(faster.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
});

test.concurrent('two URLs of one database', async () => {
  await using db = await testDatabases();
  await sql(db.source, TABLE);
  const target = new URL(db.source.url);
  target.hostname = 'localhost';
  await using running = startPipeline(db, { target: { url: target.href } });
  await failed(running, 'SAME_DATABASE', /url|one of them/);
  expect(await value(db.source, `SELECT to_regnamespace('pgfollow')`)).toBeNull();
});

test.concurrent('a table that was taken out of the publication meanwhile is copied again, the others go on', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, 'CREATE TABLE u (id int PRIMARY KEY)');
  await ranOnce(db);
  await sql(db.source, `ALTER PUBLICATION "${db.name}" DROP TABLE t; INSERT INTO t VALUES (3); INSERT INTO u VALUES (3)`);
  await using running = startPipeline(db);
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.u');
  await eventually(() => expect(running.pipeline.model.table('public.t')?.state).toBe('streaming'), { timeout: 20_000 });
  await compareTables(db.source, db.target);
  expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', problems: [] });
  // The gap is told.
  expect(running.pipeline.events.after()).toContainEqual(
    expect.objectContaining({ table: 'public.t', code: 'TABLE_NOT_PUBLISHABLE', level: 'error' }),
  );
});

async function tables(db: TestDatabases): Promise<void> {
  await sql(db.source, `${TABLE}; INSERT INTO t VALUES (1)`);
  await sql(db.target, TABLE);
}

/** A pipeline has copied, followed a row and was stopped. */
async function ranOnce(db: TestDatabases): Promise<void> {
  await tables(db);
  {
    await using running = startPipeline(db);
    await running.caughtUp();
    await sql(db.source, 'INSERT INTO t VALUES (2)');
    await running.caughtUp();
  }
  // Its sender is gone a moment after it; until then nobody else can do anything to the slot.
  const active = `SELECT FROM pg_replication_slots WHERE slot_name = '${db.name}' AND active`;
  await eventually(async () => expect(await sql(db.source, active)).toEqual([]));
}

async function failed(running: RunningPipeline, code: ProblemCode, remedy: RegExp): Promise<void> {
  const { model, events } = running.pipeline;
  await eventually(() => {
    const { state, problems } = model.status();
    if (state !== 'failed') throw new Error(`${state}: ${JSON.stringify(problems)}`);
  });
  const { problems } = model.status();
  expect(problems).toMatchObject([{ code, remedy: expect.stringMatching(remedy) }]);
  expect(events.after().at(-1)).toMatchObject({ level: 'error', code });
}

/** All that a pipeline could change, but its log of events. */
async function everything({ source, target }: TestDatabases): Promise<{ source: unknown; target: unknown }> {
  return {
    source: [
      await sql(source, 'SELECT * FROM t ORDER BY id'),
      await sql(
        source,
        'SELECT slot_name, plugin, confirmed_flush_lsn FROM pg_replication_slots WHERE database = current_database() ORDER BY 1',
      ),
      await sql(source, 'SELECT pubname, tablename FROM pg_publication_tables ORDER BY 1, 2'),
    ],
    target: [
      await sql(target, 'SELECT * FROM t ORDER BY id'),
      await sql(target, 'SELECT * FROM pgfollow.pipeline'),
      await sql(target, 'SELECT * FROM pgfollow.checkpoint'),
      await sql(target, 'SELECT * FROM pgfollow.table_state ORDER BY source_schema, source_table'),
    ],
  };
}

// It belongs to no database, so nobody else clears it away.
async function dropPhysicalSlot(db: TestDatabases): Promise<void> {
  await sql(
    db.source,
    `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND slot_type = 'physical'`,
    [db.name],
  );
}

test('where the slot is not ours, nothing is made on either side: it may be the wrong target', async () => {
  await using db = await testDatabases();
  await sql(db.source, 'CREATE TABLE keyless (v int)');
  await sql(db.source, `SELECT pg_create_logical_replication_slot('${db.name}', 'pgoutput')`);
  await using running = startPipeline(db);
  await eventually(() => expect(running.pipeline.model.status().problems[0]?.code).toBe('SLOT_FOREIGN'), { timeout: 20_000 });
  expect(await sql(db.source, 'SELECT pubname FROM pg_publication')).toEqual([]);
  expect(await value(db.source, `SELECT relreplident FROM pg_class WHERE relname = 'keyless'`)).toBe('d');
  expect(await value(db.target, `SELECT to_regclass('public.keyless')`)).toBeNull();
});
