import { expect, test } from 'vitest';
import { readRelations } from '../catalog/read-relations.ts';
import type { TableMapping } from '../catalog/relation.ts';
import type { StoredTable } from '../metadata/table-states.ts';
import { connect, disconnect } from '../postgres/connect.ts';
import { readLeaves } from '../source/partitions.ts';
import { becomesEqual } from '../testing/becomes.ts';
import { ownServers, sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startCaughtUp, startPipeline, type RunningPipeline } from '../testing/run-pipeline.ts';
import { partitionNews } from './partition-news.ts';
import { RetryClock } from './retry-clock.ts';

// Rows come to a partitioned table and leave it with its partitions, without a word in the stream.

const TREE = `CREATE TABLE t (id int, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
  CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (100); CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM (100) TO (200);
  INSERT INTO t SELECT n, 'old' FROM generate_series(50, 149) n`;
const BESIDE = 'CREATE TABLE t_3 (LIKE t INCLUDING ALL)';
const ATTACH = 'ALTER TABLE t ATTACH PARTITION t_3 FOR VALUES FROM (200) TO (300)';

const told = (running: RunningPipeline): string[] =>
  running.pipeline.events
    .after()
    .map(({ code }) => code)
    .filter((code) => code.startsWith('PARTITION_'));

/** Something that is noticed after a look at the source's tables that began later than now. */
async function looked(db: TestDatabases, running: RunningPipeline): Promise<void> {
  const name = `look_${Date.now()}`;
  await sql(db.source, `CREATE TABLE ${name} (id int PRIMARY KEY)`);
  await eventually(() => expect(running.pipeline.model.table(`public.${name}`)?.state).toBe('streaming'), { timeout: 30_000 });
}

test.concurrent.for([
  { what: 'attached with rows', statements: [BESIDE, `INSERT INTO t_3 VALUES (201, 'before')`, ATTACH] },
  {
    what: 'made, filled and attached in one transaction',
    statements: [`BEGIN; ${BESIDE}; INSERT INTO t_3 VALUES (201, 'before'); ${ATTACH}; COMMIT`],
  },
  {
    what: 'whose rows were moved there from another one',
    statements: [
      `BEGIN; ${BESIDE}; WITH moved AS (DELETE FROM t_2 WHERE id > 120 RETURNING id + 100, v) INSERT INTO t_3 SELECT * FROM moved; ${ATTACH}; COMMIT`,
    ],
  },
  {
    what: 'detached, written to and attached again between two looks',
    statements: [
      'ALTER TABLE t DETACH PARTITION t_2',
      `UPDATE t_2 SET v = 'apart'`,
      'ALTER TABLE t ATTACH PARTITION t_2 FOR VALUES FROM (100) TO (200)',
    ],
  },
  {
    what: 'attached with partitions of its own',
    statements: [
      `CREATE TABLE t_3 (id int NOT NULL, v text) PARTITION BY LIST (id); CREATE TABLE t_31 PARTITION OF t_3 DEFAULT; INSERT INTO t_3 VALUES (250, 'before')`,
      ATTACH,
    ],
  },
])('a partition $what: the table is copied again', async ({ statements }) => {
  await using db = await testDatabases();
  await sql(db.source, TREE);
  await using running = await startCaughtUp(db);
  for (const statement of statements) await sql(db.source, statement);
  await becomesEqual(db, running);
  await sql(
    db.source,
    `INSERT INTO t VALUES (60 + 100, 'later') ON CONFLICT (id) DO UPDATE SET v = 'later'; UPDATE t SET v = 'newer' WHERE id % 50 = 1`,
  );
  await becomesEqual(db, running);
  expect(told(running)).toEqual(['PARTITION_ATTACHED']);
});

test.concurrent('so it is when that happened while pgfollow was away', async () => {
  await using db = await testDatabases();
  await sql(db.source, TREE);
  await (await startCaughtUp(db)).stop();
  await sql(db.source, `${BESIDE}; INSERT INTO t_3 VALUES (201, 'before')`);
  await sql(db.source, ATTACH);
  await sql(db.source, `INSERT INTO t VALUES (202, 'after')`);
  await using running = startPipeline(db);
  await becomesEqual(db, running);
  expect(told(running)).toEqual(['PARTITION_ATTACHED']);
});

test.concurrent(
  'somebody locks the table right after: that holds up nobody else, and it is looked again before anything is copied',
  { timeout: 120_000 },
  async () => {
    // Whoever creates a slot waits for the lock's transaction.
    await using db = await ownServers();
    await sql(db.source, `${TREE}; CREATE TABLE other (id int PRIMARY KEY)`);
    await (await startCaughtUp(db)).stop();
    await sql(db.source, 'CREATE TABLE t_4 PARTITION OF t FOR VALUES FROM (300) TO (400)');
    await using lock = await db.source.session();
    await lock.query('BEGIN; LOCK TABLE t');
    await using running = startPipeline(db);
    await sql(db.source, 'INSERT INTO other VALUES (1)');
    await eventually(async () => expect(await value(db.target, 'SELECT count(*) FROM other')).toBe('1'), { timeout: 30_000 });
    const isNoted = async (name: string): Promise<boolean> =>
      (await sql(db.target, `SELECT FROM pgfollow.table_state WHERE partitions @> '[{"name": "public.${name}"}]'`)).length > 0;
    expect(await isNoted('t_4')).toBe(false);
    await lock.query(`INSERT INTO t VALUES (301, 'x'); COMMIT`);
    await eventually(async () => expect(await isNoted('t_4')).toBe(true), { timeout: 60_000 });
    await becomesEqual(db, running);
    expect(told(running)).toEqual([]);
    // The next one does hold rows, and is locked from the moment on in which it is there; up to 14 nobody looks at it.
    await lock.query(`BEGIN; ${BESIDE}; INSERT INTO t_3 VALUES (201, 'before'); ${ATTACH}; COMMIT; BEGIN; LOCK TABLE t`);
    if (Number(await value(db.source, `SELECT current_setting('server_version_num')`)) >= 150_000) {
      const waits = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%partition_constraintdef%'`;
      await eventually(async () => expect(await sql(db.source, waits)).toHaveLength(1), { timeout: 60_000 });
    }
    await lock.query('COMMIT');
    await becomesEqual(db, running);
    expect(told(running)).toEqual(['PARTITION_ATTACHED']);
  },
);

test.concurrent('one that stays locked is looked at six times, then its table is copied', { timeout: 120_000 }, async () => {
  // Whoever creates a slot waits for the lock's transaction.
  await using db = await ownServers();
  await sql(db.source, `${TREE}; CREATE TABLE t_4 PARTITION OF t FOR VALUES FROM (300) TO (400)`);
  await using lock = await db.source.session();
  await lock.query('BEGIN; LOCK TABLE t');
  const source = await connect({ role: 'source', url: db.source.url, purpose: 'test' });
  await using _closed = { [Symbol.asyncDispose]: () => disconnect(source) };
  const [relation] = await readRelations(source, { names: [{ schema: 'public', name: 't' }] });
  const partitions = (await readLeaves(source, [relation!]))(relation!);
  const known = partitions.filter(({ name }) => name !== 'public.t_4');
  const mapping = { source: { schema: 'public', name: 't' }, target: { schema: 'public', name: 't' } } as TableMapping;
  const before = { partitions: known, hasRows: true } as unknown as StoredTable;
  let now = 0;
  const options = { sourceVersion: 180_000, clock: new RetryClock(() => now) };
  const looks: unknown[] = [];
  for (; looks.length < 10 && now < 300_000; now += 500) {
    const look = await partitionNews(source, options, { mapping, before, partitions });
    if (look.attached) break;
    expect(look.partitions).toEqual(known);
    if (!options.clock.due(look.putOff[0] ?? '')) looks.push(look.putOff);
    while (!options.clock.due(look.putOff[0] ?? '')) now += 500;
  }
  expect(looks).toHaveLength(5);
  await lock.query('COMMIT');
  expect(await partitionNews(source, options, { mapping, before, partitions })).toMatchObject({
    attached: false,
    putOff: [],
    partitions,
  });
});

test.concurrent('partitions that come without rows are no reason to copy anything', async () => {
  await using db = await testDatabases();
  const version = Number(await value(db.source, `SELECT current_setting('server_version_num')`));
  await sql(db.source, TREE);
  await using running = await startCaughtUp(db);
  await sql(db.source, 'CREATE TABLE t_4 PARTITION OF t FOR VALUES FROM (300) TO (400)');
  await sql(db.source, BESIDE);
  await sql(db.source, ATTACH);
  await sql(db.source, `INSERT INTO t VALUES (201, 'x'), (301, 'x')`);
  await sql(db.source, `UPDATE t SET v = 'y' WHERE id > 200`);
  await looked(db, running);
  await becomesEqual(db, running);
  // Before 15 a sender may take one that was attached for no partition.
  const expected = version < 150_000 ? ['PARTITION_ATTACHED'] : [];
  expect(told(running)).toEqual(expected);
  await running.stop();
  // Nor while it is away.
  await sql(db.source, 'CREATE TABLE t_5 PARTITION OF t FOR VALUES FROM (400) TO (500)');
  await sql(db.source, `INSERT INTO t VALUES (401, 'x')`);
  await using next = startPipeline(db);
  await looked(db, next);
  await becomesEqual(db, next);
  expect(told(next)).toEqual(expected);
});

test.concurrent(
  'one without rows that is locked for a while is made on the target once it is not',
  { timeout: 120_000 },
  async () => {
    await using db = await testDatabases();
    await sql(db.source, TREE);
    await using running = await startCaughtUp(db);
    await using lock = await db.source.session();
    await lock.query('BEGIN; CREATE TABLE t_4 PARTITION OF t FOR VALUES FROM (300) TO (400); COMMIT; BEGIN; LOCK TABLE t_4');
    // Its definition cannot be read meanwhile; whether it has rows is what is asked next. Up to 14 nothing there waits for a lock.
    if (Number(await value(db.source, `SELECT current_setting('server_version_num')`)) >= 150_000) {
      const waits = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%partition_constraintdef%'`;
      await eventually(async () => expect(await sql(db.source, waits)).toHaveLength(1), { timeout: 60_000, interval: 10 });
    }
    await lock.query('COMMIT');
    await eventually(async () => expect(await value(db.target, `SELECT to_regclass('t_4')::text`)).toBe('t_4'), {
      timeout: 60_000,
    });
    await sql(db.source, `INSERT INTO t VALUES (301, 'x')`);
    await becomesEqual(db, running);
    expect(told(running)).toEqual([]);
  },
);

test.concurrent('a role that may read the table and not its partitions sees the same', { timeout: 120_000 }, async () => {
  await using db = await testDatabases();
  const role = `${db.name}_reader`;
  await sql(
    db.source,
    `${TREE}; CREATE ROLE ${role} LOGIN REPLICATION PASSWORD 'secret'; GRANT SELECT ON t TO ${role}; CREATE PUBLICATION ${db.name}_own FOR TABLE t`,
  );
  await sql(db.source, `ALTER PUBLICATION ${db.name}_own SET (publish_via_partition_root = true)`);
  const url = new URL(db.source.url);
  url.username = role;
  url.password = 'secret';
  try {
    await using running = await startCaughtUp(db, {
      source: { url: url.href },
      publication: { managed: false, names: [`${db.name}_own`] },
    });
    await sql(db.source, 'CREATE TABLE t_4 PARTITION OF t FOR VALUES FROM (300) TO (400)');
    await sql(db.source, `INSERT INTO t VALUES (301, 'x')`);
    await eventually(async () => expect(await value(db.target, `SELECT to_regclass('t_4')::text`)).toBe('t_4'), {
      timeout: 60_000,
    });
    await becomesEqual(db, running);
    expect(told(running)).toEqual([]);
    await sql(db.source, `${BESIDE}; INSERT INTO t_3 VALUES (201, 'before')`);
    await sql(db.source, ATTACH);
    await becomesEqual(db, running);
    expect(told(running)).toEqual(['PARTITION_ATTACHED']);
  } finally {
    await sql(db.source, `DROP OWNED BY ${role}; DROP ROLE ${role}`);
  }
});

test.concurrent.for(['DROP TABLE t_1', 'ALTER TABLE t DETACH PARTITION t_1; DELETE FROM t_1'])(
  '%s: the rows stay on the target, which is told once, with what can be done',
  async (statement) => {
    await using db = await testDatabases();
    await sql(db.source, TREE);
    await using running = await startCaughtUp(db);
    await sql(db.source, statement);
    await eventually(() => expect(told(running)).toEqual(['PARTITION_GONE']), { timeout: 20_000 });
    const event = running.pipeline.events.after().find(({ code }) => code === 'PARTITION_GONE');
    expect(event).toMatchObject({ level: 'warn', table: 'public.t' });
    expect(event?.message).toMatch(/^Partition public\.t_1 of public\.t was dropped or detached/);
    await looked(db, running);
    expect(await value(db.target, 'SELECT count(*) FROM t')).toBe('100');
    await running.pipeline.controls.resyncTable('public.t', 'test');
    await eventually(async () => expect(await value(db.target, 'SELECT count(*) FROM t')).toBe('50'), { timeout: 30_000 });
    expect(told(running)).toEqual(['PARTITION_GONE']);
  },
);

test.concurrent('detached on the source alone, a partition does not become a table that shares its rows on the target', async () => {
  await using db = await testDatabases();
  await sql(db.source, TREE);
  await using running = await startCaughtUp(db, { snapshot: { existingRows: 'truncate' } });
  await sql(db.source, 'ALTER TABLE t DETACH PARTITION t_1');
  const error = () => running.pipeline.model.table('public.t_1')?.error;
  await eventually(() => expect(error()?.code).toBe('TARGET_UNSUITABLE'), { timeout: 30_000 });
  await running.pipeline.controls.resyncTable('public.t', 'test');
  await eventually(async () => expect(await value(db.target, 'SELECT count(*) FROM t')).toBe('50'), { timeout: 30_000 });
  const [, statement = ''] = error()?.remedy.split('\n') ?? [];
  await sql(db.target, statement);
  await becomesEqual(db, running);
});

test.concurrent('a partition is emptied alone, then all of the table', async () => {
  await using db = await testDatabases();
  await sql(db.source, TREE);
  await using running = await startCaughtUp(db);
  await sql(db.source, 'TRUNCATE t_2');
  await eventually(() => expect(told(running)).toEqual(['PARTITION_EMPTIED']), { timeout: 20_000 });
  expect(await value(db.target, 'SELECT count(*) FROM t')).toBe('100');
  await sql(db.source, 'TRUNCATE t');
  await looked(db, running);
  await becomesEqual(db, running);
  // What only moves rows to another file is none of anybody's business.
  await sql(db.source, `INSERT INTO t VALUES (1, 'x'), (101, 'x')`);
  await sql(db.source, 'VACUUM FULL t_1');
  await looked(db, running);
  await becomesEqual(db, running);
  expect(told(running)).toEqual(['PARTITION_EMPTIED']);
});
