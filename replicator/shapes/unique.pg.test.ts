import { describe, test } from 'vitest';
import { known, stageShapes, type Shape } from '../testing/shapes.ts';

const ROWS = `INSERT INTO t (id, u, v) SELECT i, i, 'v' || i FROM generate_series(1, 60) i`;

// Values that wander from row to row under something that must stay unique: the source has accepted each of these.
const SHAPES: Shape[] = [
  {
    name: 'a deferrable unique constraint, values in a circle in one statement',
    ddl: 'CREATE TABLE t (id int PRIMARY KEY, u int NOT NULL UNIQUE DEFERRABLE INITIALLY IMMEDIATE, v text)',
    rows: ROWS,
    changes: [
      'UPDATE t SET u = CASE u WHEN 1 THEN 2 WHEN 2 THEN 3 ELSE 1 END WHERE u IN (1, 2, 3)',
      'UPDATE t SET u = 61 - u',
      'UPDATE t SET u = u + 1; UPDATE t SET u = u - 1; DELETE FROM t WHERE id % 7 = 0',
      `BEGIN; SET CONSTRAINTS ALL DEFERRED; INSERT INTO t VALUES (100, (SELECT min(u) FROM t), 'twice'); DELETE FROM t WHERE u = (SELECT min(u) FROM t) AND id < 100; COMMIT`,
    ],
  },
  {
    name: 'a deferrable primary key that moves up by one, and turns round',
    ddl: 'CREATE TABLE t (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, u int, v text)',
    rows: ROWS,
    changes: [
      'UPDATE t SET id = id + 1',
      'UPDATE t SET id = 62 - id',
      `UPDATE t SET id = 1000 - id, v = 'w' WHERE id % 2 = 0; DELETE FROM t WHERE id = 5`,
    ],
  },
  {
    name: 'swapped by way of a free value, in one transaction and in three',
    ddl: 'CREATE TABLE t (id int PRIMARY KEY, u int NOT NULL UNIQUE, v text UNIQUE)',
    rows: ROWS,
    changes: [
      'BEGIN; UPDATE t SET u = -1 WHERE id = 1; UPDATE t SET u = 1 WHERE id = 2; UPDATE t SET u = 2 WHERE id = 3; UPDATE t SET u = 3 WHERE id = 1; COMMIT',
      'UPDATE t SET v = NULL WHERE id = 10',
      `UPDATE t SET v = 'v10' WHERE id = 11`,
      `UPDATE t SET v = 'v11' WHERE id = 10`,
      `DELETE FROM t WHERE id = 20; INSERT INTO t VALUES (120, 20, 'v20'); UPDATE t SET id = 20 WHERE id = 120`,
      'UPDATE t SET u = -u; UPDATE t SET u = 61 + u',
      `BEGIN; DELETE FROM t WHERE id = 30; UPDATE t SET v = 'v30' WHERE id = 31; INSERT INTO t VALUES (30, 999, 'v31'); COMMIT`,
    ],
  },
  {
    name: 'a partial unique index: who is the active one changes',
    ddl: 'CREATE TABLE t (id int PRIMARY KEY, u int, v text, active bool NOT NULL DEFAULT false); CREATE UNIQUE INDEX ON t ((u % 5)) WHERE active',
    rows: `${ROWS}; UPDATE t SET active = true WHERE id <= 5`,
    changes: [
      'BEGIN; UPDATE t SET active = false WHERE id <= 5; UPDATE t SET active = true WHERE id BETWEEN 11 AND 15; COMMIT',
      'UPDATE t SET active = false WHERE id = 11; UPDATE t SET active = true WHERE id = 16; UPDATE t SET u = u + 5 WHERE id > 15',
      'DELETE FROM t WHERE id = 16; UPDATE t SET active = true WHERE id = 21; INSERT INTO t VALUES (16, 16, NULL, false)',
    ],
  },
  {
    name: 'unique by an expression and by a collation',
    ddl: `CREATE TABLE t (id int PRIMARY KEY, u int, v text); CREATE UNIQUE INDEX ON t (lower(v)); CREATE UNIQUE INDEX ON t (abs(u))`,
    rows: ROWS,
    changes: [
      `UPDATE t SET v = upper(v), u = -u`,
      `BEGIN; UPDATE t SET v = 'free' WHERE id = 1; UPDATE t SET v = 'v1' WHERE id = 2; UPDATE t SET v = 'V2' WHERE id = 1; COMMIT`,
      `UPDATE t SET u = 1000 WHERE id = 1; UPDATE t SET u = 1 WHERE id = 2; UPDATE t SET u = 2 WHERE id = 1`,
    ],
  },
  {
    name: 'NULLs that are not distinct',
    ddl: 'CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE NULLS NOT DISTINCT, v text)',
    rows: ROWS,
    changes: [
      'UPDATE t SET u = NULL WHERE id = 1',
      'UPDATE t SET u = 1 WHERE id = 1; UPDATE t SET u = NULL WHERE id = 2',
      'DELETE FROM t WHERE id = 2; INSERT INTO t VALUES (2, NULL, NULL)',
    ],
    since: 15,
  },
  {
    name: 'an exclusion constraint: ranges that move past each other',
    ddl: 'CREATE TABLE t (id int PRIMARY KEY, u int4range, v text, EXCLUDE USING gist (u WITH &&))',
    rows: `INSERT INTO t SELECT i, int4range(10 * i, 10 * i + 10), 'v' FROM generate_series(1, 60) i`,
    changes: [
      `BEGIN; UPDATE t SET u = 'empty' WHERE id = 1; UPDATE t SET u = '[10,20)' WHERE id = 2; UPDATE t SET u = '[20,30)' WHERE id = 1; COMMIT`,
      `DELETE FROM t WHERE id = 30; UPDATE t SET u = '[295,310)' WHERE id = 29`,
      `UPDATE t SET u = NULL WHERE id = 40; UPDATE t SET u = '[390,410)' WHERE id = 39; INSERT INTO t VALUES (100, '[410,411)', 'w') ON CONFLICT DO NOTHING`,
      `UPDATE t SET u = int4range(lower(u) + 1000, upper(u) + 1000) WHERE id < 40; UPDATE t SET u = int4range(lower(u) - 1000, upper(u) - 1000) WHERE id <= 20`,
    ],
  },
  {
    name: 'a deferrable exclusion constraint, ranges that trade places in one statement',
    ddl: 'CREATE TABLE t (id int PRIMARY KEY, u int4range, v text, EXCLUDE USING gist (u WITH &&) DEFERRABLE INITIALLY IMMEDIATE)',
    rows: `INSERT INTO t SELECT i, int4range(10 * i, 10 * i + 10), 'v' FROM generate_series(1, 60) i`,
    changes: [
      `UPDATE t SET u = CASE id WHEN 1 THEN '[20,30)'::int4range ELSE '[10,20)' END WHERE id < 3`,
      'UPDATE t SET u = int4range(700 - upper(u), 700 - lower(u))',
    ],
  },
  {
    name: 'keyless, under a unique index of nullable columns',
    ddl: 'CREATE TABLE t (id int, u int UNIQUE, v text)',
    rows: `${ROWS}; INSERT INTO t VALUES (1, NULL, 'n'), (1, NULL, 'n')`,
    changes: [
      'BEGIN; UPDATE t SET u = NULL WHERE u = 1; UPDATE t SET u = 1 WHERE u = 2; UPDATE t SET u = 2 WHERE id = 1 AND u IS NULL AND v = $$v1$$; COMMIT',
      'DELETE FROM t WHERE u = 5; INSERT INTO t VALUES (5, 5, $$again$$); UPDATE t SET u = 100 + u WHERE u > 50',
    ],
  },
  {
    name: 'tables that refer to each other and to themselves, checked at the end',
    ddl: `CREATE TABLE a (id int PRIMARY KEY, b int); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a DEFERRABLE INITIALLY DEFERRED, up int REFERENCES b);
      ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b DEFERRABLE INITIALLY DEFERRED`,
    rows: 'BEGIN; INSERT INTO a SELECT i, i FROM generate_series(1, 40) i; INSERT INTO b SELECT i, i, nullif(i / 2, 0) FROM generate_series(1, 40) i; COMMIT',
    changes: [
      'BEGIN; INSERT INTO a VALUES (100, 100); INSERT INTO b VALUES (100, 100, 100); UPDATE a SET b = 41 - b WHERE id <= 40; COMMIT',
      'BEGIN; DELETE FROM a WHERE id = 1; UPDATE b SET a = 2 WHERE a = 1; UPDATE a SET id = 1, b = NULL WHERE id = 40; UPDATE b SET a = 1 WHERE a = 40; COMMIT',
    ],
  },
  {
    name: 'a tree that refers to itself, deleted and moved by what its keys bring about',
    ddl: `CREATE TABLE node (id int PRIMARY KEY, up int REFERENCES node ON DELETE CASCADE ON UPDATE CASCADE, n int);
      CREATE TABLE leaf (id int PRIMARY KEY, node int REFERENCES node ON DELETE SET NULL ON UPDATE CASCADE, other int DEFAULT 1 REFERENCES node ON DELETE SET DEFAULT ON UPDATE CASCADE)`,
    rows: `INSERT INTO node SELECT i, nullif(i / 3, 0), 0 FROM generate_series(1, 300) i; INSERT INTO leaf SELECT i, i, 300 - i FROM generate_series(1, 299) i`,
    changes: [
      'DELETE FROM node WHERE id = 7',
      'UPDATE node SET id = id + 1000 WHERE id BETWEEN 2 AND 6',
      'BEGIN; UPDATE node SET n = n + 1; DELETE FROM node WHERE id = 1005; INSERT INTO node VALUES (5, 1, 9), (6, 5, 9); UPDATE leaf SET node = 6 WHERE node IS NULL; COMMIT',
      'DELETE FROM node WHERE up = 1 AND id > 1000; UPDATE node SET id = 2000 + id',
    ],
  },
];

describe.each([
  { binary: 'auto', format: 'binary' },
  { binary: 'never', format: 'text', gathered: true },
] as const)('unique in a $format stream', ({ binary, ...staging }) => {
  const shapes = known(SHAPES);
  const stage = stageShapes(shapes, { ...staging, settings: { apply: { binary } } });
  test.each(shapes)('$name', (shape) => stage.expectSame(shape));
});
