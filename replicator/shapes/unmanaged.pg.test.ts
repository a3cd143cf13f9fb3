import { describe, expect, test } from 'vitest';
import { becomesProblem } from '../testing/becomes.ts';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value } from '../testing/databases.ts';
import { startPipeline } from '../testing/run-pipeline.ts';

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY, v text)';
const ROWS = `INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 9) i`;

describe('publication.managed: false', () => {
  test('what is published is followed, with its columns and rows; nothing is created or altered', async () => {
    await using db = await testDatabases();
    const parts = 'CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p DEFAULT';
    await sql(
      db.source,
      `${TABLE}; ${parts}; CREATE TABLE unpublished (id int PRIMARY KEY); ${ROWS}; INSERT INTO p SELECT * FROM t; INSERT INTO unpublished VALUES (1)`,
    );
    await sql(db.target, `${TABLE}; CREATE TABLE p (id int PRIMARY KEY, v text); CREATE TABLE unpublished (id int PRIMARY KEY)`);
    await sql(
      db.source,
      `CREATE PUBLICATION one FOR TABLE t; CREATE PUBLICATION "Two ""2""" FOR TABLE p WITH (publish_via_partition_root)`,
    );
    const before = await sql(
      db.source,
      'SELECT pubname, prrelid::regclass::text FROM pg_publication_rel JOIN pg_publication p ON p.oid = prpubid ORDER BY 1, 2',
    );
    await using running = startPipeline(db, { publication: { managed: false, names: ['one', 'Two "2"'] } });
    await running.caughtUp();
    await sql(db.source, `UPDATE t SET v = NULL; DELETE FROM p WHERE id > 5; UPDATE unpublished SET id = 2`);
    await running.caughtUp();
    await compareTables(db.source, db.target, 'public.t', 'public.p');
    expect(await value(db.target, 'SELECT count(*) FROM unpublished')).toBe('0');
    expect(
      await sql(
        db.source,
        'SELECT pubname, prrelid::regclass::text FROM pg_publication_rel JOIN pg_publication p ON p.oid = prpubid ORDER BY 1, 2',
      ),
    ).toEqual(before);
    expect(running.pipeline.model.tables().map(({ source }) => source)).toEqual(['public.p', 'public.t']);
  });

  test('column lists and row filters of the publication', async () => {
    await using db = await testDatabases();
    const version = Number(await value(db.source, 'SHOW server_version_num'));
    if (version < 150000) return;
    await sql(
      db.source,
      `CREATE TABLE t (id int PRIMARY KEY, v text, secret text); INSERT INTO t SELECT i, 'v', 'hush' FROM generate_series(-3, 3) i; CREATE PUBLICATION p FOR TABLE t (id, v) WHERE (id > 0)`,
    );
    await sql(db.target, `CREATE TABLE t (id int PRIMARY KEY, v text, secret text DEFAULT 'never sent')`);
    await using running = startPipeline(db, { publication: { managed: false, names: ['p'] } });
    await running.caughtUp();
    await sql(
      db.source,
      `UPDATE t SET id = 10 WHERE id = -1; UPDATE t SET id = -10 WHERE id = 1; UPDATE t SET v = 'w', secret = 'psst'`,
    );
    await running.caughtUp();
    expect(await sql(db.target, 'SELECT * FROM t ORDER BY id')).toEqual(
      ['2', '3', '10'].map((id) => ({ id, v: 'w', secret: 'never sent' })),
    );
  });

  test('one that does not exist is waited for', async () => {
    await using db = await testDatabases();
    for (const side of [db.source, db.target]) await sql(side, TABLE);
    await sql(db.source, ROWS);
    await using running = startPipeline(db, { publication: { managed: false, names: ['later'] } });
    expect(await becomesProblem(running, 'PUBLICATION_MISSING')).toMatchObject({
      remedy: expect.stringContaining('CREATE PUBLICATION "later"'),
    });
    expect(running.pipeline.model.status().state).toBe('retrying');
    await sql(db.source, 'CREATE PUBLICATION later FOR TABLE t');
    await running.caughtUp();
    await compareTables(db.source, db.target);
  });

  test('what it does not publish is said', async () => {
    await using db = await testDatabases();
    for (const side of [db.source, db.target]) await sql(side, TABLE);
    await sql(db.source, `${ROWS}; CREATE PUBLICATION p FOR TABLE t WITH (publish = 'insert')`);
    await using running = startPipeline(db, { publication: { managed: false, names: ['p'] } });
    await running.caughtUp();
    await sql(db.source, `UPDATE t SET v = 'unseen'; INSERT INTO t VALUES (10, 'seen')`);
    await running.caughtUp();
    expect(await value(db.target, `SELECT string_agg(v, ',' ORDER BY id) FROM t WHERE id IN (1, 10)`)).toBe('v1,seen');
    expect(running.pipeline.events.after(0).some(({ level, message }) => level === 'warn' && message.includes('update'))).toBe(
      true,
    );
  });
});
