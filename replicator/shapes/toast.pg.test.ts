import { describe, test } from 'vitest';
import { known, stageShapes, type Shape } from '../testing/shapes.ts';

// 32 bytes of hex a round do not compress much, so 400 of them end up outside the row.
const long = (seed: string): string => `(SELECT string_agg(md5('${seed}' || i || n), '') FROM generate_series(1, 400) n)`;
const ROWS = `INSERT INTO t SELECT i, ${long('a')}, i FROM generate_series(1, 20) i`;
const TABLE = 'CREATE TABLE t (id int PRIMARY KEY, long text, n int)';

const CHANGES = [
  'UPDATE t SET n = n + 1',
  'UPDATE t SET n = n + 1 WHERE id < 5; UPDATE t SET n = n + 1 WHERE id < 3',
  // The long value: left alone, replaced, made short, made NULL, brought back.
  `UPDATE t SET long = ${long('b').replace('i ||', 'id ||')} WHERE id = 6`,
  `UPDATE t SET long = 'short' WHERE id = 7; UPDATE t SET n = 70 WHERE id = 7`,
  'UPDATE t SET long = NULL WHERE id = 8; UPDATE t SET n = 80 WHERE id = 8',
  `UPDATE t SET long = ${long('c').replace('i ||', 'id ||')} WHERE id IN (7, 8); UPDATE t SET n = 0 WHERE id IN (7, 8)`,
  // The key changes and the long value stays.
  'UPDATE t SET id = 100 WHERE id = 9',
  'UPDATE t SET id = 101, n = -1 WHERE id = 10; UPDATE t SET n = -2 WHERE id = 101; UPDATE t SET id = 10 WHERE id = 101',
  'UPDATE t SET id = 102 WHERE id = 11; DELETE FROM t WHERE id = 102',
  `INSERT INTO t SELECT i, ${long('d')}, i FROM generate_series(30, 32) i; UPDATE t SET n = -n WHERE id >= 30; UPDATE t SET id = id + 10 WHERE id IN (30, 31)`,
  'DELETE FROM t WHERE id = 12; UPDATE t SET id = 12 WHERE id = 13',
];

const SHAPES: Shape[] = [
  { name: 'by the primary key', ddl: TABLE, rows: ROWS, changes: CHANGES },
  {
    name: 'under FULL with a key on the target',
    ddl: TABLE,
    source: 'ALTER TABLE t REPLICA IDENTITY FULL',
    rows: ROWS,
    changes: CHANGES,
  },
  {
    name: 'under FULL without any key',
    ddl: 'CREATE TABLE t (id int, long text, n int)',
    rows: `${ROWS}; INSERT INTO t SELECT * FROM t WHERE id < 4`,
    changes: [...CHANGES, 'DELETE FROM t WHERE ctid IN (SELECT min(ctid) FROM t GROUP BY id HAVING count(*) > 1)'],
  },
  {
    name: 'by another index',
    ddl: 'CREATE TABLE t (id int NOT NULL, long text, n int); CREATE UNIQUE INDEX u ON t (id)',
    source: 'ALTER TABLE t REPLICA IDENTITY USING INDEX u',
    rows: ROWS,
    changes: CHANGES,
  },
  {
    name: 'values kept outside the row and never compressed',
    ddl: 'CREATE TABLE t (id int PRIMARY KEY, long text, n int); ALTER TABLE t ALTER long SET STORAGE EXTERNAL',
    rows: `INSERT INTO t SELECT i, repeat('ö', 30000), i FROM generate_series(1, 20) i`,
    changes: CHANGES,
  },
  {
    name: 'several long columns, each left alone in turn',
    ddl: 'CREATE TABLE t (id int PRIMARY KEY, a text, b jsonb, c bytea, d int)',
    rows: `INSERT INTO t SELECT i, ${long('a')}, jsonb_build_object('x', ${long('b')}), ${long('c')}::bytea, 0 FROM generate_series(1, 6) i`,
    changes: [
      `UPDATE t SET a = 'short' WHERE id = 1`,
      `UPDATE t SET b = '{}' WHERE id = 2`,
      'UPDATE t SET c = NULL, d = 1 WHERE id = 3',
      `UPDATE t SET a = upper(a) WHERE id = 4; UPDATE t SET c = c || c WHERE id = 4; UPDATE t SET d = 4 WHERE id = 4`,
      `UPDATE t SET b = b || '{"y": 1}' WHERE id = 5; UPDATE t SET id = 50 WHERE id = 5`,
    ],
  },
  {
    name: 'a long key that does not change',
    ddl: 'CREATE TABLE t (id text NOT NULL, n int, v text); CREATE UNIQUE INDEX u ON t (id)',
    source: 'ALTER TABLE t ALTER id SET STORAGE EXTERNAL; ALTER TABLE t REPLICA IDENTITY USING INDEX u',
    rows: `INSERT INTO t SELECT repeat(i::text, 2300), i, repeat('x', 3000) FROM generate_series(1, 9) i`,
    changes: [
      'UPDATE t SET n = n + 1',
      `UPDATE t SET id = repeat('ä', 1200) WHERE n = 3`,
      `DELETE FROM t WHERE n = 5; UPDATE t SET v = 'short' WHERE n = 6`,
    ],
  },
  {
    name: 'beside an identity column that nobody may set',
    ddl: 'CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, long text)',
    rows: `INSERT INTO t (long) SELECT ${long('a')} FROM generate_series(1, 5) i`,
    changes: ['UPDATE t SET long = long', 'UPDATE t SET id = DEFAULT WHERE id = 2', `UPDATE t SET long = 'short' WHERE id = 3`],
  },
];

describe.each([
  { binary: 'auto', format: 'binary' },
  { binary: 'never', format: 'text', gathered: true },
] as const)('unchanged TOAST in a $format stream', ({ binary, ...staging }) => {
  const shapes = known(SHAPES);
  const stage = stageShapes(shapes, { ...staging, settings: { apply: { binary } } });
  test.each(shapes)('$name', (shape) => stage.expectSame(shape));
});
