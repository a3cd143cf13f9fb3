import type { Client } from 'pg';
import { expect, test } from 'vitest';
import { connect, disconnect } from '../postgres/connect.ts';
import { formatLsn, parseLsn } from '../postgres/lsn.ts';
import { quoteLiteral } from '../postgres/quote.ts';
import { sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { cancelSlotCreation, createSlot, waitingFor } from './create-slot.ts';
import { dropSlot, readSlot } from './slot.ts';
import { slotVerdict } from './slot-verdict.ts';

interface Connections extends AsyncDisposable {
  readonly control: Client;
  readonly replication: Client;
  readonly replicationPid: number;
  readonly version: number;
}

async function connections(db: TestDatabases, settings: Record<string, string> = {}): Promise<Connections> {
  const url = db.source.url;
  const control = await connect({ role: 'source', url, purpose: 'test' });
  const replication = await connect({ role: 'source', url, purpose: 'test', replication: true, settings });
  const { rows } = await replication.query<{ pid: number; version: number }>(
    `select pg_catalog.pg_backend_pid() as pid, pg_catalog.current_setting('server_version_num')::int as version`,
  );
  return {
    control,
    replication,
    replicationPid: rows[0]?.pid ?? 0,
    version: rows[0]?.version ?? 0,
    async [Symbol.asyncDispose]() {
      await disconnect(replication);
      await disconnect(control);
    },
  };
}

test('a slot begins exactly where its snapshot ends', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); CREATE PUBLICATION ${db.name} FOR TABLE t`,
  );
  await using source = await connections(db);
  expect(await readSlot(source.control, db.name)).toBeNull();
  const created = await createSlot(source.replication, db.name, { failover: false, sourceVersion: source.version });
  await sql(db.source, 'INSERT INTO t VALUES (2)');

  await using copier = await db.source.session();
  await copier.query(`BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT ${quoteLiteral(created.snapshotName)}`);
  expect(await copier.query('SELECT id FROM t')).toEqual([{ id: '1' }]);
  await copier.query('COMMIT');
  const streamed = `SELECT count(*) FROM pg_logical_slot_peek_binary_changes('${db.name}', NULL, NULL, 'proto_version', '1', 'publication_names', '${db.name}') WHERE get_byte(data, 0) = ascii('I')`;
  expect(await value(db.source, streamed)).toBe('1');

  const slot = await readSlot(source.control, db.name);
  expect(slot).toMatchObject({
    plugin: 'pgoutput',
    database: db.source.name,
    active: false,
    activePid: null,
    walStatus: 'reserved',
    invalidationReason: null,
    limitBytes: null,
  });
  expect(slot?.confirmedFlushLsn).toBe(created.consistentPoint);
  expect(slot?.retainedBytes).toBe(Number((slot?.walEnd ?? 0n) - (slot?.restartLsn ?? 0n)));
  expect(slotVerdict(slot, { checkpoint: created.consistentPoint, database: db.source.name })).toBe('ok');

  await sql(db.source, `SELECT pg_replication_slot_advance('${db.name}', pg_current_wal_lsn())`);
  expect(
    slotVerdict(await readSlot(source.control, db.name), { checkpoint: created.consistentPoint, database: db.source.name }),
  ).toMatchObject({ code: 'SLOT_AHEAD' });
  await expect(createSlot(source.replication, db.name, { failover: false, sourceVersion: source.version })).rejects.toMatchObject(
    { code: 'SLOT_FOREIGN' },
  );
  expect(await dropSlot(source.control, db.name)).toBe(true);
  expect(await dropSlot(source.control, db.name)).toBe(false);
});

test('what was put on disk for the slot is told, and how far the clocks are apart', async () => {
  await using db = await testDatabases();
  await sql(db.source, `CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION ${db.name} FOR TABLE t`);
  await using source = await connections(db);
  await createSlot(source.replication, db.name, { failover: false, sourceVersion: source.version });
  const before = await readSlot(source.control, db.name);
  expect(before?.spilledBytes ?? 0).toBe(0);
  // Both are this machine's.
  expect(Math.abs(before?.clockAheadMs ?? Infinity)).toBeLessThan(5000);
  await sql(db.source, 'INSERT INTO t SELECT generate_series(1, 10000)');
  await sql(
    db.source,
    `SET logical_decoding_work_mem = '64kB';
     SELECT count(*) FROM pg_logical_slot_get_binary_changes('${db.name}', NULL, NULL, 'proto_version', '1', 'publication_names', '${db.name}')`,
  );
  await eventually(async () => ((await readSlot(source.control, db.name))?.spilledBytes ?? 0) > 64 * 1024);
  await dropSlot(source.control, db.name);
});

test('an LSN is read as the server means it', async () => {
  await using db = await testDatabases();
  const text = (await value(db.source, 'SELECT pg_current_wal_lsn()')) ?? '';
  expect(formatLsn(parseLsn(text))).toBe(text);
});

test('failover slots, where the version has them', async () => {
  await using db = await testDatabases();
  await using source = await connections(db);
  const creating = createSlot(source.replication, db.name, { failover: true, sourceVersion: source.version });
  if (source.version < 170000) {
    await expect(creating).rejects.toMatchObject({ code: 'SOURCE_UNSUITABLE' });
    return;
  }
  await creating;
  expect(await value(db.source, `SELECT failover FROM pg_replication_slots WHERE slot_name = '${db.name}'`)).toBe('t');
});

test('creating a slot tells whom it waits for, and can be given up', async () => {
  await using db = await testDatabases();
  await sql(db.source, 'CREATE TABLE t (id int)');
  await using source = await connections(db);
  await using old = await db.source.session();
  await old.query('BEGIN; INSERT INTO t VALUES (1)');
  await sql(db.source, `BEGIN; INSERT INTO t VALUES (2); PREPARE TRANSACTION '${db.name}'`);
  const creating = createSlot(source.replication, db.name, { failover: false, sourceVersion: source.version });
  creating.catch(() => {});
  await eventually(async () => (await readSlot(source.control, db.name)) !== null);
  await using young = await db.source.session();
  await young.query('BEGIN; INSERT INTO t VALUES (3)');
  // Other tests share the server.
  const mine = (await waitingFor(source.control, source.replicationPid)).filter(({ database }) => database === db.source.name);
  expect(mine).toMatchObject([
    { preparedAs: null, query: 'BEGIN; INSERT INTO t VALUES (1)' },
    { pid: null, preparedAs: db.name },
  ]);
  await cancelSlotCreation(source.control, source.replicationPid);
  await expect(creating).rejects.toMatchObject({ code: '57014' });
  // The server tells the error before it clears up.
  await eventually(async () => expect(await readSlot(source.control, db.name)).toBeNull());
});

test('a lock_timeout bounds the wait', async () => {
  await using db = await testDatabases();
  await sql(db.source, 'CREATE TABLE t (id int)');
  await using source = await connections(db, { lock_timeout: '200ms' });
  await using old = await db.source.session();
  await old.query('BEGIN; INSERT INTO t VALUES (1)');
  await expect(createSlot(source.replication, db.name, { failover: false, sourceVersion: source.version })).rejects.toMatchObject(
    {
      code: 'SLOT_WAITING',
      retry: 'transient',
    },
  );
});

test('a slot in use is not dropped under its reader', async () => {
  await using db = await testDatabases();
  await sql(db.source, `CREATE PUBLICATION ${db.name}`);
  await using source = await connections(db);
  const created = await createSlot(source.replication, db.name, { failover: false, sourceVersion: source.version });
  const streaming = source.replication.query(
    `START_REPLICATION SLOT "${db.name}" LOGICAL ${formatLsn(created.consistentPoint)} (proto_version '1', publication_names '${db.name}')`,
  );
  streaming.catch(() => {});
  await eventually(async () => (await readSlot(source.control, db.name))?.active === true);
  await expect(dropSlot(source.control, db.name, { waitMs: 200 })).rejects.toMatchObject({ code: 'SLOT_IN_USE' });
  const verdict = slotVerdict(await readSlot(source.control, db.name), {
    checkpoint: created.consistentPoint,
    database: db.source.name,
  });
  expect(verdict).toMatchObject({ code: 'SLOT_IN_USE', message: expect.stringContaining(`pid ${source.replicationPid}`) });
  const dropping = dropSlot(source.control, db.name);
  await sql(db.source, `SELECT pg_terminate_backend(${source.replicationPid})`);
  expect(await dropping).toBe(true);
});

test('the oldest transaction of anybody is seen with the slot', async () => {
  await using db = await testDatabases();
  await using source = await connections(db);
  await createSlot(source.replication, db.name, { failover: false, sourceVersion: source.version });
  await using session = await db.source.session();
  await session.query('BEGIN');
  const began = Number(await value(session, 'SELECT (extract(epoch FROM pg_catalog.now()) * 1000)::float8'));
  // Other tests have theirs: none that began later is the oldest.
  expect((await readSlot(source.control, db.name))?.oldestTransactionMs).toBeLessThanOrEqual(began);
  await session.query('COMMIT');
  await dropSlot(source.control, db.name);
});
