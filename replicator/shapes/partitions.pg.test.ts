import { describe, expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases } from '../testing/databases.ts';
import { startPipeline } from '../testing/run-pipeline.ts';
import { known, stageShapes, type Shape } from '../testing/shapes.ts';

const PARTITIONED = `CREATE TABLE t (id int, region text, v text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
  CREATE TABLE t_eu PARTITION OF t FOR VALUES IN ('eu'); CREATE TABLE t_us PARTITION OF t FOR VALUES IN ('us'); CREATE TABLE t_rest PARTITION OF t DEFAULT`;
const PLAIN = 'CREATE TABLE t (id int, region text, v text, PRIMARY KEY (id, region))';
const ROWS = `INSERT INTO t SELECT i, (ARRAY['eu','us','xx'])[1 + i % 3], 'v' || i FROM generate_series(1, 60) i`;
const CHANGES = [
  `INSERT INTO t VALUES (100, 'eu', 'new'), (100, 'us', NULL)`,
  `UPDATE t SET v = NULL WHERE id < 10`,
  // Rows that move to another partition.
  `UPDATE t SET region = 'us' WHERE region = 'eu' AND id < 30`,
  `UPDATE t SET region = 'eu', id = -id WHERE region = 'us' AND id > 40`,
  `UPDATE t SET region = 'zz' WHERE id = 100 AND region = 'us'; UPDATE t SET region = 'us' WHERE region = 'zz'`,
  `DELETE FROM t WHERE region = 'xx' AND id % 2 = 0`,
  `UPDATE t_eu SET v = 'directly'; DELETE FROM t_us WHERE id = 100; INSERT INTO t_rest VALUES (7, 'q', 'directly')`,
];

const SHAPES: Shape[] = [
  { name: 'into a plain table', source: PARTITIONED, target: PLAIN, rows: ROWS, changes: CHANGES },
  {
    name: 'into the same partitions',
    ddl: PARTITIONED,
    rows: ROWS,
    changes: CHANGES,
    sameAnswer: 'SELECT tableoid::regclass::text AS part, count(*) FROM t GROUP BY 1 ORDER BY 1',
  },
  {
    name: 'into other partitions',
    source: PARTITIONED,
    target: `CREATE TABLE t (region text, v text, id int, PRIMARY KEY (region, id)) PARTITION BY RANGE (id);
      CREATE TABLE low PARTITION OF t FOR VALUES FROM (MINVALUE) TO (20); CREATE TABLE high PARTITION OF t FOR VALUES FROM (20) TO (MAXVALUE)`,
    rows: ROWS,
    changes: CHANGES,
  },
  { name: 'from a plain table into partitions', source: PLAIN, target: PARTITIONED, rows: ROWS, changes: CHANGES.slice(0, -1) },
  {
    name: 'keyless, with duplicates',
    source: PARTITIONED.replace(', PRIMARY KEY (id, region)', ''),
    target: 'CREATE TABLE t (id int, region text, v text)',
    rows: `${ROWS}; ${ROWS}`,
    changes: [...CHANGES, `DELETE FROM t_eu WHERE ctid = (SELECT min(ctid) FROM t_eu)`],
  },
  {
    name: 'keyless on both sides',
    ddl: PARTITIONED.replace(', PRIMARY KEY (id, region)', ''),
    rows: `${ROWS}; ${ROWS}`,
    changes: [...CHANGES, `UPDATE t SET region = 'eu' WHERE ctid = '(0,1)' AND region = 'us'`],
  },
  {
    name: 'partitions whose columns stand in another order',
    source: `CREATE TABLE t (id int PRIMARY KEY, a text, b int, s text) PARTITION BY RANGE (id);
      CREATE TABLE t1 (gone int, b int, id int NOT NULL, s text, a text); ALTER TABLE t1 DROP gone; ALTER TABLE t ATTACH PARTITION t1 FOR VALUES FROM (0) TO (10);
      CREATE TABLE t2 PARTITION OF t DEFAULT`,
    target: 'CREATE TABLE t (id int PRIMARY KEY, a text, b int, s text)',
    rows: `INSERT INTO t SELECT i, 'a' || i, i, (SELECT string_agg(md5(i::text || n), '') FROM generate_series(1, 300) n) FROM generate_series(1, 20) i`,
    // Long values that stay, in rows that stay and in rows that move.
    changes: [
      `UPDATE t SET a = 'x'`,
      'UPDATE t SET id = 30 WHERE id = 8',
      'DELETE FROM t WHERE id IN (1, 20); UPDATE t SET id = 1 WHERE id = 15',
      'UPDATE t SET b = NULL',
    ],
  },
  {
    name: 'in two levels',
    source: `CREATE TABLE t (id int, at date, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
      CREATE TABLE t26 PARTITION OF t FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY HASH (id);
      CREATE TABLE t26a PARTITION OF t26 FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE t26b PARTITION OF t26 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
      CREATE TABLE tx PARTITION OF t DEFAULT`,
    target: 'CREATE TABLE t (id int, at date, v text, PRIMARY KEY (id, at))',
    rows: `INSERT INTO t SELECT i, date '2025-12-20' + i, 'v' FROM generate_series(1, 40) i`,
    changes: [`UPDATE t SET at = at + 365`, `UPDATE t SET v = 'w' WHERE id = 5; DELETE FROM t WHERE id % 7 = 0`],
  },
];

describe.each([
  { binary: 'auto', format: 'binary' },
  { binary: 'never', format: 'text', gathered: true },
] as const)('partitioned tables by their root, in a $format stream', ({ binary, ...staging }) => {
  const shapes = known(SHAPES);
  const stage = stageShapes(shapes, { ...staging, settings: { apply: { binary } } });
  test.each(shapes)('$name', (shape) => stage.expectSame(shape));
});

test('partitions followed one by one, rows moving between them', async () => {
  await using db = await testDatabases();
  await sql(db.source, `${PARTITIONED}; ${ROWS}`);
  const apart = ['t_eu', 't_us', 't_rest'].map((name) => PLAIN.replace('TABLE t', `TABLE ${name}`)).join('; ');
  await sql(db.target, apart);
  await using running = startPipeline(db, { publication: { viaPartitionRoot: false } });
  await running.caughtUp();
  for (const change of CHANGES) await sql(db.source, change);
  await sql(db.source, `TRUNCATE t_rest; INSERT INTO t VALUES (1, 'new', NULL)`);
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.t_eu', 'public.t_us', 'public.t_rest');
  expect(running.pipeline.model.status()).toMatchObject({ problems: [], totals: { truncate: 1 } });
});

test('a partition that is added while its root is followed', async () => {
  await using db = await testDatabases();
  await sql(db.source, `${PARTITIONED}; ${ROWS}`);
  await sql(db.target, PLAIN);
  await using running = startPipeline(db);
  await running.caughtUp();
  await sql(
    db.source,
    `CREATE TABLE t_jp PARTITION OF t FOR VALUES IN ('jp'); INSERT INTO t VALUES (1, 'jp', 'new'), (2, 'jp', 'new')`,
  );
  await sql(db.source, `UPDATE t SET v = 'there' WHERE region = 'jp'; UPDATE t SET region = 'jp' WHERE id = 30`);
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.t');
});
