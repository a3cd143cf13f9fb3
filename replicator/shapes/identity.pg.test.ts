import { describe, test } from 'vitest';
import { known, stageShapes, type Shape } from '../testing/shapes.ts';

/** Deletes or updates one of the rows that are the same, as only their place can tell. */
const one = (table: string, where: string): string => `ctid = (SELECT min(ctid) FROM ${table} WHERE ${where})`;

/** Everywhere the same: duplicates with NULLs, one of them changed, one of them removed. */
const DUPLICATES = [
  `INSERT INTO t VALUES (1, 'a', 1), (1, 'a', 1), (NULL, NULL, NULL), (NULL, NULL, NULL), (NULL, NULL, NULL)`,
  `DELETE FROM t WHERE ${one('t', 'a = 1')}`,
  `DELETE FROM t WHERE ${one('t', 'a IS NULL')}; DELETE FROM t WHERE ${one('t', 'a IS NULL')}`,
  `UPDATE t SET b = 'changed' WHERE ${one('t', 'a = 2')}`,
  `UPDATE t SET c = NULL WHERE a = 3`,
  `INSERT INTO t SELECT * FROM t WHERE a > 3; DELETE FROM t WHERE a = 4`,
  `UPDATE t SET a = NULL, b = NULL, c = NULL WHERE ${one('t', 'a = 5')}`,
];
const ROWS = `INSERT INTO t SELECT i % 7, 'v' || i % 7, i % 7 FROM generate_series(1, 42) i; INSERT INTO t VALUES (NULL, NULL, NULL), (NULL, 'b', NULL), (NULL, 'b', NULL)`;
const COLUMNS = 'a int, b text, c bigint';

const SHAPES: Shape[] = [
  { name: 'keyless with duplicates and NULLs', ddl: `CREATE TABLE t (${COLUMNS})`, rows: ROWS, changes: DUPLICATES },
  {
    name: 'FULL chosen by the user',
    ddl: `CREATE TABLE t (${COLUMNS})`,
    source: 'ALTER TABLE t REPLICA IDENTITY FULL',
    rows: ROWS,
    changes: DUPLICATES,
  },
  {
    name: 'NOTHING chosen by the user',
    ddl: `CREATE TABLE t (${COLUMNS})`,
    source: 'ALTER TABLE t REPLICA IDENTITY NOTHING',
    rows: ROWS,
    changes: DUPLICATES,
  },
  {
    name: 'an index that is not unique, or holds NULLs',
    ddl: `CREATE TABLE t (${COLUMNS}); CREATE INDEX ON t (a); CREATE UNIQUE INDEX ON t (a) WHERE a < 0`,
    rows: ROWS,
    changes: DUPLICATES,
  },
  {
    name: 'flooded with duplicates',
    ddl: `CREATE TABLE t (${COLUMNS})`,
    rows: ROWS,
    changes: [
      `INSERT INTO t SELECT i % 3, NULLIF('v' || i % 2, 'v0'), NULL FROM generate_series(1, 300) i`,
      `UPDATE t SET c = 1 WHERE a = 1`,
      `DELETE FROM t WHERE ctid IN (SELECT ctid FROM t WHERE a = 0 ORDER BY ctid LIMIT 77)`,
      `UPDATE t SET a = a + 1; DELETE FROM t WHERE ctid IN (SELECT min(ctid) FROM t GROUP BY a, b, c)`,
    ],
  },
  {
    name: 'USING INDEX, the key changed too',
    ddl: 'CREATE TABLE t (id int, code text NOT NULL, n int NOT NULL, PRIMARY KEY (id)); CREATE UNIQUE INDEX u ON t (code, n)',
    source: 'ALTER TABLE t REPLICA IDENTITY USING INDEX u',
    rows: `INSERT INTO t SELECT i, 'c' || i, i FROM generate_series(1, 20) i`,
    changes: [
      `UPDATE t SET id = id + 100`,
      `UPDATE t SET code = 'x', n = -1 WHERE id = 101`,
      'DELETE FROM t WHERE n = 5',
      'UPDATE t SET n = n + 1 WHERE n > 15',
    ],
  },
  {
    name: 'an index that suits is used by itself',
    ddl: 'CREATE TABLE t (id int NOT NULL, v text); CREATE UNIQUE INDEX u ON t (id)',
    rows: `INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 20) i`,
    changes: ['UPDATE t SET id = id + 100 WHERE id < 5', 'UPDATE t SET v = NULL', 'DELETE FROM t WHERE id = 101'],
    sameAnswer: `SELECT count(*) FROM t`,
  },
  {
    name: 'FULL with a primary key on both sides',
    ddl: 'CREATE TABLE t (id int PRIMARY KEY, v text, j json)',
    source: 'ALTER TABLE t REPLICA IDENTITY FULL',
    rows: `INSERT INTO t SELECT i, 'v', '{"a":1}' FROM generate_series(1, 20) i`,
    changes: [`UPDATE t SET v = NULL WHERE id < 9`, 'UPDATE t SET id = -id WHERE id > 15', 'DELETE FROM t WHERE id IN (1, -20)'],
  },
  {
    name: 'a key on the source that the target lacks',
    source: 'CREATE TABLE t (id int PRIMARY KEY, v text)',
    target: 'CREATE TABLE t (id int, v text)',
    rows: `INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 20) i`,
    changes: [`UPDATE t SET v = NULL WHERE id < 9`, 'UPDATE t SET id = -id WHERE id > 15', 'DELETE FROM t WHERE id IN (1, -20)'],
  },
  {
    name: 'a key on the target that the source lacks',
    source: 'CREATE TABLE t (id int, v text)',
    target: 'CREATE TABLE t (id int PRIMARY KEY, v text)',
    rows: `INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 20) i`,
    changes: [`UPDATE t SET v = NULL WHERE id < 9`, 'UPDATE t SET id = -id WHERE id > 15', 'DELETE FROM t WHERE id IN (1, -20)'],
  },
  {
    name: 'a key of another type on the target',
    source: 'CREATE TABLE t (id int, code varchar(9), v text, PRIMARY KEY (id, code))',
    target: 'CREATE TABLE t (id bigint, code text, v text, PRIMARY KEY (code, id))',
    rows: `INSERT INTO t SELECT i, 'c' || i, 'v' FROM generate_series(1, 20) i`,
    changes: [`UPDATE t SET v = NULL WHERE id < 9`, 'UPDATE t SET id = -id WHERE id > 15', 'DELETE FROM t WHERE id IN (1, -20)'],
  },
];

// What a row's image must tell apart, and what equality would not.
const IMAGES: Shape[] = [
  {
    name: 'types without equality',
    ddl: 'CREATE TABLE t (j json, p point, x xml, b box)',
    rows: `INSERT INTO t SELECT '{"a":1}', '(1,2)', '<a/>', '((0,0),(1,1))' FROM generate_series(1, 3); INSERT INTO t VALUES ('{"a": 1}', '(1,2)', '<a/>', '((0,0),(1,1))'), (NULL, NULL, NULL, NULL), (NULL, NULL, NULL, NULL)`,
    changes: [
      `UPDATE t SET p = '(3,4)' WHERE ctid = (SELECT min(ctid) FROM t WHERE j::text = '{"a":1}')`,
      `DELETE FROM t WHERE j::text = '{"a": 1}'`,
      `DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t WHERE j IS NULL)`,
      // Boxes of the same area are "equal", points nearly the same too.
      `INSERT INTO t (p, b) VALUES ('(1,2)', '((0,0),(2,2))'), ('(1.0000000001,2)', '((0,0),(1,4))'); DELETE FROM t WHERE b::text = '(2,2),(0,0)'`,
    ],
  },
  {
    name: 'numbers that are equal and not the same',
    ddl: 'CREATE TABLE t (n numeric, f float8)',
    rows: `INSERT INTO t VALUES (1.0, 0), (1.00, '-0'), (1, 0), (1.00, 0), ('NaN', 'NaN'), ('NaN', 'NaN'), ('0e-5', 'Infinity')`,
    changes: [
      `DELETE FROM t WHERE n::text = '1.00' AND f::text = '0'`,
      `UPDATE t SET n = 2 WHERE f::text = '-0'`,
      `DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t WHERE n = 'NaN')`,
      `INSERT INTO t VALUES (1.000, 1), (1.0000, 1), (1.000, 1); DELETE FROM t WHERE n::text = '1.0000'`,
    ],
  },
  {
    name: 'text that only case, blanks or the collation tell apart',
    ddl: `CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
      CREATE TABLE t (a text COLLATE nocase, c bpchar, d char(4), n name, q "char")`,
    rows: `INSERT INTO t VALUES ('a', 'x ', 'x', 'n', 'q'), ('A', 'x ', 'x', 'n', 'q'), ('a', 'x   ', 'x', 'n', 'q'), ('a', 'x', 'x', 'n', 'q'), ('a', 'x  ', 'x', 'n', 'q'), (NULL, '', '', '', NULL)`,
    changes: [
      `DELETE FROM t WHERE a = 'A' COLLATE "C" AND octet_length(c) = 2`,
      `UPDATE t SET d = 'y' WHERE octet_length(c) = 3`,
      `DELETE FROM t WHERE octet_length(c) = 1`,
    ],
  },
  {
    name: 'times and ranges',
    ddl: 'CREATE TABLE t (i interval, z timetz, r numrange, a numeric[], o jsonb)',
    rows: `INSERT INTO t VALUES ('24:00', '12:00+00', '[1.0,2]', '{1.0}', '{"a": 1.0}'), ('1 day', '12:00+00', '[1.0,2]', '{1.0}', '{"a": 1.0}'),
      ('1 day', '13:00+01', '[1.00,2]', '{1.00}', '{"a": 1.00}'), ('24:00', '12:00+00', '[1.00,2]', '{1.0}', '{"a": 1.0}'), ('24:00', '12:00+00', '[1.0,2]', '[0:0]={1.0}', '{"a": 1.0}')`,
    changes: [
      `DELETE FROM t WHERE i::text = '1 day' AND z::text = '12:00:00+00'`,
      `UPDATE t SET o = NULL WHERE r::text = '[1.00,2]' AND i::text = '24:00:00'`,
      `DELETE FROM t WHERE a::text = '[0:0]={1.0}'`,
    ],
  },
];

// Their OIDs differ between the databases, their binary forms do not.
const DOMAINS: Shape[] = [
  {
    name: 'domains and enums, as keys and in images',
    ddl: `CREATE DOMAIN pos AS int CHECK (VALUE > 0); CREATE DOMAIN short AS varchar(10) NOT NULL; CREATE TYPE mood AS ENUM ('so', 'la');
      CREATE TABLE k (id pos PRIMARY KEY, m mood, s short); CREATE TABLE e (id mood PRIMARY KEY, v int); CREATE TABLE t (p pos, m mood, s short)`,
    target: `ALTER TYPE mood ADD VALUE 'first' BEFORE 'so'`,
    rows: `INSERT INTO k SELECT i, 'so', 's' || i FROM generate_series(1, 9) i; INSERT INTO e VALUES ('so', 1), ('la', 2); INSERT INTO t VALUES (1, 'so', 'a'), (1, 'so', 'a'), (NULL, NULL, '')`,
    changes: [
      `INSERT INTO k SELECT i, 'la', '' FROM generate_series(10, 99) i; UPDATE k SET m = 'la' WHERE id < 4; UPDATE k SET id = 500 WHERE id = 5; DELETE FROM k WHERE id = 6`,
      `UPDATE e SET v = 3 WHERE id = 'la'; DELETE FROM e WHERE id = 'so'; UPDATE e SET id = 'so'`,
      `DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t WHERE p = 1); UPDATE t SET m = 'la' WHERE p IS NULL`,
    ],
  },
];

const CITEXT: Shape[] = [
  {
    name: 'types of extensions, as key, behind a domain, in images',
    source:
      'CREATE TABLE k (id citext PRIMARY KEY, v text); CREATE TABLE t (a citext, b int); CREATE DOMAIN mail AS citext; CREATE TABLE d (id mail PRIMARY KEY, v citext[]); CREATE TABLE p (path ltree PRIMARY KEY, v int); CREATE DOMAIN place AS ltree; CREATE TABLE q (path place PRIMARY KEY, v int)',
    target:
      'CREATE TABLE k (id citext PRIMARY KEY, v text); CREATE TABLE t (a citext, b int); CREATE DOMAIN mail AS citext; CREATE TABLE d (id mail PRIMARY KEY, v citext[]); CREATE TABLE p (path ltree PRIMARY KEY, v int); CREATE DOMAIN place AS ltree; CREATE TABLE q (path place PRIMARY KEY, v int)',
    rows: `INSERT INTO k VALUES ('Ann', '1'), ('bob', '2'); INSERT INTO t VALUES ('x', 1), ('X', 1), ('X', 1), (NULL, 1); INSERT INTO d VALUES ('Ann', '{a,A}'), ('Bob', NULL);
      INSERT INTO p SELECT text2ltree('a.b' || i), i FROM generate_series(1, 200) i; INSERT INTO q SELECT * FROM p`,
    changes: [
      `UPDATE k SET id = 'ANN' WHERE id = 'ann'; UPDATE k SET v = 'two' WHERE id = 'BOB'; INSERT INTO k VALUES ('Cy', NULL)`,
      `DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t WHERE a::text = 'X'); UPDATE t SET b = 2 WHERE a IS NULL`,
      `UPDATE d SET id = 'ANN', v = '{b}' WHERE id = 'ann'; DELETE FROM d WHERE id = 'BOB'`,
      // An ltree is no text, so only its own = compares it.
      `UPDATE p SET v = -v WHERE v < 5; DELETE FROM p WHERE v = 7; UPDATE q SET path = 'x.y' WHERE v = 8`,
      'UPDATE q SET v = v + 1; DELETE FROM p WHERE v > 50',
    ],
  },
  {
    name: 'a type of ones own, without equality, and an enum',
    ddl: `CREATE TYPE pair AS (a int, b text); CREATE TYPE mood AS ENUM ('so', 'la'); CREATE DOMAIN pos AS int CHECK (VALUE > 0);
      CREATE TABLE t (p pair, m mood, d pos, ps pair[], ms mood[])`,
    target: `ALTER TYPE mood ADD VALUE 'first' BEFORE 'so'`,
    rows: `INSERT INTO t VALUES ('(1,x)', 'so', 1, '{"(1,y)"}', '{so,la}'), ('(1,x)', 'so', 1, '{"(1,y)"}', '{so,la}'), (NULL, NULL, NULL, NULL, NULL), ('(,)', 'la', 2, '{NULL}', '{}')`,
    changes: [
      `DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t WHERE m = 'so')`,
      `UPDATE t SET m = 'so', p = '(2,"q ""uoted"", it")' WHERE d = 2`,
      `INSERT INTO t (m) VALUES ('la'); DELETE FROM t WHERE m IS NULL`,
    ],
  },
];

describe.each([
  { binary: 'auto', format: 'binary' },
  { binary: 'never', format: 'text', gathered: true },
] as const)('replica identity in a $format stream', ({ binary, ...staging }) => {
  const shapes = known([...SHAPES, ...IMAGES, ...DOMAINS]);
  const stage = stageShapes(shapes, { ...staging, settings: { apply: { binary } } });
  test.each(shapes)('$name', (shape) => stage.expectSame(shape));
});

describe.each([
  { gathered: false, binary: 'auto' },
  { gathered: true, binary: 'auto' },
  { gathered: false, binary: 'never' },
  { gathered: true, binary: 'never' },
])('user-defined types, gathered: $gathered, binary: $binary', ({ gathered, binary }) => {
  const shapes = known(CITEXT);
  const extension = 'CREATE EXTENSION citext SCHEMA public; CREATE EXTENSION ltree SCHEMA public';
  const first = shapes.map((shape, i) =>
    i === 0 ? { ...shape, source: `${extension}; ${shape.source}`, target: `${extension}; ${shape.target}` } : shape,
  );
  const format = binary === 'auto' ? 'binary' : 'text';
  const stage = stageShapes(first, { format, gathered, settings: { apply: { binary } } });
  test.each(first)('$name', (shape) => stage.expectSame(shape));
});
