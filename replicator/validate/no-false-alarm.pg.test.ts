import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { ownServers, sql, testDatabases, type Session } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startLoad } from '../testing/load.ts';
import { startPipeline } from '../testing/run-pipeline.ts';
import { inShort, validated } from '../testing/validation.ts';

const TABLES = `
  CREATE TABLE k (id int PRIMARY KEY, v int, filler text);
  CREATE TABLE word (w text PRIMARY KEY, v int);
  CREATE TABLE pair (a smallint, b bigint, v timestamptz DEFAULT clock_timestamp(), PRIMARY KEY (a, b));
  CREATE TABLE bare (v int, w text);
  CREATE TABLE part (id int, p int, v int, PRIMARY KEY (id, p)) PARTITION BY LIST (p);
  CREATE TABLE part_0 PARTITION OF part FOR VALUES IN (0); CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
  CREATE TABLE emptied (id int PRIMARY KEY, v int);
  CREATE TABLE log (at timestamptz DEFAULT clock_timestamp(), what text)`;

const ROWS = `
  INSERT INTO k SELECT n, n, repeat('x', 50) FROM generate_series(1, 3000) n;
  INSERT INTO word SELECT 'w' || n, n FROM generate_series(1, 500) n;
  INSERT INTO pair SELECT n % 5, n FROM generate_series(1, 1000) n;
  INSERT INTO part SELECT n, n % 2, n FROM generate_series(1, 600) n;
  INSERT INTO bare SELECT n % 20, 'w' FROM generate_series(1, 400) n`;

// The same keys go and come again, keys move, equal rows of the keyless table come and go.
async function write(session: Session): Promise<void> {
  const at = (most: number): number => 1 + Math.floor(Math.random() * most);
  const id = at(3000);
  const works = [
    `UPDATE k SET v = v + 1 WHERE id = ${id}`,
    `UPDATE k SET v = v + 1 WHERE id BETWEEN ${id} AND ${id + 40}`,
    `DELETE FROM k WHERE id = ${id}; INSERT INTO k VALUES (${id}, ${at(9)}, 'again')`,
    `INSERT INTO k VALUES (${-at(50)}, 0, 'new') ON CONFLICT DO NOTHING`,
    `DELETE FROM k WHERE id = ${-at(50)}`,
    `UPDATE word SET v = v + 1 WHERE w = 'w${at(500)}'`,
    `DELETE FROM word WHERE w = 'w${at(500)}'`,
    `INSERT INTO word VALUES ('w${at(500)}', ${at(9)}) ON CONFLICT (w) DO UPDATE SET v = 0`,
    `UPDATE pair SET b = b + 10000 WHERE b = ${at(1000)}`,
    `UPDATE pair SET b = b - 10000 WHERE b = ${10000 + at(1000)}`,
    `UPDATE bare SET v = ${at(20)} WHERE ctid = (SELECT ctid FROM bare WHERE v = ${at(20)} LIMIT 1)`,
    `DELETE FROM bare WHERE ctid = (SELECT ctid FROM bare WHERE v = ${at(20)} LIMIT 1); INSERT INTO bare VALUES (${at(20)}, 'w')`,
    `INSERT INTO log (what) VALUES ('one'), ('two')`,
    `TRUNCATE log`,
    `UPDATE part SET p = 1 - p WHERE id = ${at(600)}`,
    `UPDATE part SET v = v + 1 WHERE id % 50 = ${at(50)}`,
    `TRUNCATE emptied; INSERT INTO emptied SELECT n, ${at(9)} FROM generate_series(1, 200) n`,
  ];
  await session.query(`BEGIN; ${works[at(works.length) - 1]}; ${Math.random() < 0.1 ? 'ROLLBACK' : 'COMMIT'}`);
}

/** Large enough to be streamed while in progress, and applied before its commit; some are undone. */
async function writeMuch(session: Session): Promise<void> {
  const first = Math.floor(Math.random() * 1000);
  await session.query(
    `BEGIN; UPDATE k SET v = v + 1 WHERE id BETWEEN ${first} AND ${first + 1500}; SAVEPOINT s; UPDATE k SET v = 0 WHERE id % 3 = 0`,
  );
  await sleep(Math.random() * 300);
  const end = Math.random() < 0.3 ? 'ROLLBACK' : Math.random() < 0.5 ? 'ROLLBACK TO s; COMMIT' : 'COMMIT';
  await session.query(end);
  await sleep(Math.random() * 300);
}

test.concurrent('while everything is written to, over many rounds, no row is said to differ', async () => {
  await using db = await testDatabases();
  await sql(db.source, `ALTER DATABASE ${db.source.name} SET logical_decoding_work_mem = '64kB'`);
  await sql(db.source, TABLES);
  await sql(db.source, ROWS);
  await using running = startPipeline(db, { apply: { maxBatchBytes: '512kB' } });
  await running.caughtUp();
  const seen: string[] = [];
  {
    await using load = startLoad(db.source, 4, write);
    await using large = startLoad(db.source, 1, writeMuch);
    for (let round = 0; round < 12; round++) {
      for (const [table, found] of Object.entries(await validated(running))) {
        if (!['equal', 'unsettled'].includes(found.state))
          seen.push(`${table} ${inShort(found)} ${JSON.stringify(found.examples)}`);
      }
    }
    expect(load.committed).toBeGreaterThan(500);
    expect(large.committed).toBeGreaterThan(5);
  }
  expect(seen).toEqual([]);
  // And not because nothing would be found: what is really wrong stands out among the writes.
  await sql(db.target, `UPDATE k SET filler = 'wrong' WHERE id = 1500`);
  await using load = startLoad(db.source, 2, (session) =>
    session.query(`UPDATE k SET v = v + 1 WHERE id = ${1 + Math.floor(Math.random() * 1400)}`).then(() => {}),
  );
  const found = await validated(running, ['public.k']);
  expect(found['public.k']).toMatchObject({
    state: 'different',
    different: 1,
    examples: [{ kind: 'different', key: 'id=1500' }],
  });
  await load.stop();
  await running.caughtUp();
}, 180_000);

test.concurrent('a commit that waits for a standby is on the target before anybody else sees it on the source: no difference', async () => {
  await using db = await ownServers({ source: { settings: { synchronous_commit: 'local' } } });
  await sql(
    db.source,
    `CREATE TABLE k (id int PRIMARY KEY, v int); INSERT INTO k SELECT n, n FROM generate_series(1, 100) n;
    CREATE TABLE word (w text PRIMARY KEY, v int); INSERT INTO word VALUES ('a', 1), ('b', 2); CREATE TABLE bare (v int); INSERT INTO bare VALUES (1), (1), (2)`,
  );
  await using running = startPipeline(db);
  await running.caughtUp();
  await sql(db.source, `ALTER SYSTEM SET synchronous_standby_names = 'nobody'`);
  await sql(db.source, 'SELECT pg_reload_conf()');
  await eventually(
    async () => (await sql(db.source, `SHOW synchronous_standby_names`))[0]?.['synchronous_standby_names'] === 'nobody',
  );
  {
    await using waiting = await db.source.session();
    const pid = (await waiting.query('SELECT pg_backend_pid() AS pid'))[0]?.['pid'];
    const commit: Promise<unknown> = waiting.query(
      `SET synchronous_commit = on; BEGIN; UPDATE k SET v = 0 WHERE id = 7; DELETE FROM k WHERE id = 8; INSERT INTO k VALUES (1000, 1);
       UPDATE word SET v = 0 WHERE w = 'a'; INSERT INTO bare VALUES (3); DELETE FROM bare WHERE v = 2; COMMIT`,
    );
    await eventually(async () => (await sql(db.target, 'SELECT FROM k WHERE id = 1000')).length === 1);
    expect(await sql(db.source, 'SELECT FROM k WHERE id = 1000')).toEqual([]);
    const found = await validated(running);
    expect(Object.fromEntries(Object.entries(found).map(([table, each]) => [table, inShort(each)]))).toEqual({
      'public.bare': 'unsettled 3 unsettled 2',
      'public.k': 'unsettled 100 unsettled 3',
      'public.word': 'unsettled 2 unsettled 1',
    });
    await sql(db.source, 'SELECT pg_cancel_backend($1::int)', [pid]);
    await commit;
  }
  const found = await validated(running);
  expect(Object.values(found).map(({ state }) => state)).toEqual(['equal', 'equal', 'equal']);
}, 180_000);
