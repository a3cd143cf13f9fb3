import { describe, test } from 'vitest';
import { known, stageShapes, type Shape } from '../testing/shapes.ts';

// 63 bytes each, with all that must be quoted, and what the wire, COPY and JavaScript could trip over.
const ODD_TABLE = String.raw`"T ""x"".y'; DROP\n ${'é'.repeat(22)}"`;
const ODD_KEY = String.raw`"k ""$1"" \. ${'ü'.repeat(26)}"`;

const NUMBERS = Array.from({ length: 1600 }, (_, i) => `c${i + 1}`);

const SHAPES: Shape[] = [
  {
    name: 'insert, update, delete',
    ddl: 'CREATE TABLE t (id int PRIMARY KEY, v text, n int)',
    rows: `INSERT INTO t SELECT i, 'v' || i, i FROM generate_series(1, 100) i`,
    changes: [
      `INSERT INTO t VALUES (101, 'new', 1)`,
      `UPDATE t SET v = 'changed' WHERE id % 3 = 0`,
      `DELETE FROM t WHERE id % 5 = 0`,
      `INSERT INTO t SELECT i, 'more', NULL FROM generate_series(200, 300) i`,
      `UPDATE t SET n = coalesce(n, 0) + 1; DELETE FROM t WHERE n = 1; INSERT INTO t VALUES (5, 'back', 5)`,
      `DELETE FROM t WHERE id = 5; INSERT INTO t VALUES (5, 'again', 6); UPDATE t SET v = 'last' WHERE id = 5`,
    ],
  },
  {
    name: 'NULLs everywhere and empty strings',
    ddl: 'CREATE TABLE t (id int PRIMARY KEY, a text, b bytea, c int[], d jsonb, e date, f char(3))',
    rows: `INSERT INTO t (id) VALUES (1); INSERT INTO t VALUES (2, '', '', '{}', '{}', NULL, ''), (3, NULL, '', NULL, 'null', '2026-01-01', NULL)`,
    changes: [
      `INSERT INTO t (id) VALUES (4); INSERT INTO t VALUES (5, '', '', '{}', '{}', NULL, ''), (6, E'\\\\N', E'\\\\x', '{NULL}', '""', NULL, '\\N')`,
      `UPDATE t SET a = CASE WHEN a IS NULL THEN '' ELSE NULL END, b = NULL, d = 'null'`,
      `INSERT INTO t VALUES (7, E'tab\\t newline\\n return\\r backslash\\\\ quote'' "', E'\\\\x00ff', '{1,NULL,2}', '{"a": null}', NULL, ' ')`,
    ],
  },
  {
    name: 'update of the key',
    ddl: 'CREATE TABLE t (id int PRIMARY KEY, v text)',
    rows: `INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 10) i`,
    changes: [
      'UPDATE t SET id = 11 WHERE id = 1',
      `UPDATE t SET id = 12, v = 'both' WHERE id = 2`,
      // To a key that another row had a moment ago, in one statement, one transaction, and in a circle.
      'DELETE FROM t WHERE id = 3; UPDATE t SET id = 3 WHERE id = 4',
      'UPDATE t SET id = 4 WHERE id = 5; UPDATE t SET id = 5 WHERE id = 6',
      'UPDATE t SET id = 100 WHERE id = 7; UPDATE t SET id = 7 WHERE id = 8; UPDATE t SET id = 8 WHERE id = 100',
      'UPDATE t SET id = 8 WHERE id = 8; UPDATE t SET id = -id WHERE id > 10',
    ],
  },
  {
    name: 'keys of a whole table move up by one',
    ddl: 'CREATE TABLE t (id int PRIMARY KEY DEFERRABLE, v text); CREATE UNIQUE INDEX u ON t (id); ALTER TABLE t ALTER id SET NOT NULL',
    rows: `INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 120) i`,
    changes: [
      `DELETE FROM t WHERE id = 120; DO $$ BEGIN FOR i IN REVERSE 119..1 LOOP UPDATE t SET id = id + 1 WHERE id = i; END LOOP; END $$`,
    ],
  },
  {
    name: 'composite key',
    ddl: 'CREATE TABLE t (region text, id int, v text, PRIMARY KEY (id, region))',
    rows: `INSERT INTO t SELECT r, i, r || i FROM unnest('{eu,us,"a,b"}'::text[]) r, generate_series(1, 10) i`,
    changes: [
      `UPDATE t SET region = 'ap' WHERE id = 1 AND region = 'eu'`,
      `UPDATE t SET id = id + 100 WHERE region = 'us'`,
      `UPDATE t SET v = NULL WHERE region = 'a,b'; DELETE FROM t WHERE id = 5; UPDATE t SET id = 5 WHERE id = 6`,
      `INSERT INTO t VALUES ('', 1, ''), (' ', 1, ' ')`,
    ],
  },
  {
    name: 'values swapped under a second unique index',
    ddl: 'CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE)',
    rows: 'INSERT INTO t SELECT i, i FROM generate_series(1, 200) i',
    changes: [
      'UPDATE t SET u = NULL WHERE id = 1; UPDATE t SET u = 1 WHERE id = 2; UPDATE t SET u = 2 WHERE id = 1',
      'UPDATE t SET u = -u; UPDATE t SET u = 201 + u',
    ],
  },
  {
    name: 'names of 63 bytes with quotes, dots, blanks, backslashes',
    ddl: `CREATE TABLE ${ODD_TABLE} (${ODD_KEY} int PRIMARY KEY, "select" text, "constructor" int, "__proto__" int, "UPPER" int, "a.b" int, "%s" int)`,
    rows: `INSERT INTO ${ODD_TABLE} VALUES (1, 'one', 1, 1, 1, 1, 1), (2, 'two', 2, 2, 2, 2, 2)`,
    changes: [
      `INSERT INTO ${ODD_TABLE} VALUES (3, 'three', 3, 3, 3, 3, 3)`,
      `UPDATE ${ODD_TABLE} SET ${ODD_KEY} = 4, "constructor" = 40, "__proto__" = NULL WHERE ${ODD_KEY} = 1`,
      `DELETE FROM ${ODD_TABLE} WHERE ${ODD_KEY} = 2`,
    ],
  },
  {
    name: 'a table without columns',
    ddl: 'CREATE TABLE t ()',
    rows: 'INSERT INTO t DEFAULT VALUES; INSERT INTO t DEFAULT VALUES',
    changes: [
      'INSERT INTO t DEFAULT VALUES; INSERT INTO t DEFAULT VALUES',
      'DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t)',
      'INSERT INTO t DEFAULT VALUES',
    ],
  },
  {
    name: 'a table of 1,600 columns',
    ddl: `CREATE TABLE t (${NUMBERS.map((name) => `${name} int`).join(', ')}, PRIMARY KEY (c1))`,
    rows: `INSERT INTO t VALUES (${NUMBERS.map((_, i) => i).join(', ')}); INSERT INTO t (c1) VALUES (-1)`,
    changes: [
      `INSERT INTO t VALUES (${NUMBERS.map((_, i) => (i % 3 === 1 ? 'NULL' : i + 1)).join(', ')})`,
      'UPDATE t SET c1600 = 7, c800 = NULL',
      'UPDATE t SET c1 = 1000 WHERE c1 = -1; DELETE FROM t WHERE c1 = 0',
    ],
  },
  {
    name: 'a keyless table of 1,600 columns',
    ddl: `CREATE TABLE t (${NUMBERS.map((name) => `${name} int`).join(', ')})`,
    rows: `INSERT INTO t VALUES (${NUMBERS.map((_, i) => i).join(', ')}); INSERT INTO t (c1) VALUES (1), (1)`,
    changes: [
      'UPDATE t SET c1600 = 7 WHERE c2 IS NOT NULL',
      'DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t WHERE c2 IS NULL)',
    ],
  },
  {
    name: 'columns that were dropped',
    source: 'CREATE TABLE t (gone int, id int PRIMARY KEY, also text, v text); ALTER TABLE t DROP gone, DROP also',
    target: 'CREATE TABLE t (v text, id int PRIMARY KEY, gone text); ALTER TABLE t DROP gone',
    rows: `INSERT INTO t VALUES (1, 'a'), (2, 'b')`,
    changes: [`INSERT INTO t VALUES (3, 'c')`, `UPDATE t SET id = 4 WHERE id = 1`, 'DELETE FROM t WHERE id = 2'],
  },
  {
    name: 'a table that inherits, and its parent',
    ddl: 'CREATE TABLE parent (id int PRIMARY KEY, v text); CREATE TABLE child (extra int, PRIMARY KEY (id)) INHERITS (parent)',
    rows: `INSERT INTO parent VALUES (1, 'p'), (2, 'p'); INSERT INTO child VALUES (1, 'c', 1), (3, 'c', 3)`,
    changes: [
      `UPDATE parent SET v = v || '!'`,
      'DELETE FROM ONLY parent WHERE id = 1',
      `INSERT INTO child VALUES (4, 'c', 4); UPDATE parent SET id = 5 WHERE id = 3`,
    ],
    sameAnswer: 'SELECT tableoid::regclass::text, id, v FROM parent ORDER BY 1, 2',
  },
];

describe.each([
  { binary: 'auto', format: 'binary' },
  { binary: 'never', format: 'text', gathered: true },
] as const)('a $format stream', ({ binary, ...staging }) => {
  const shapes = known(SHAPES);
  const stage = stageShapes(shapes, { ...staging, settings: { apply: { binary } } });
  test.each(shapes)('$name', (shape) => stage.expectSame(shape));
});
