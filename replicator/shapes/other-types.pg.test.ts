import { describe, expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases, value } from '../testing/databases.ts';
import { startCaughtUp, startPipeline } from '../testing/run-pipeline.ts';
import { TEST_VERSION } from '../testing/servers.ts';
import { known, stageShapes, type Shape } from '../testing/shapes.ts';

const TYPES: Shape[] = [
  {
    name: 'another type on the target, with a cast',
    source: `CREATE TYPE mood AS ENUM ('so', 'la'); CREATE TABLE t (id int PRIMARY KEY, a varchar(20), b mood, c json, d timestamp, e numeric(10,2), f bool, g date, h int[], i uuid, j char(5), k real, l int, m text, n char(4), o bytea, p money)`,
    target: `CREATE TABLE t (id bigint PRIMARY KEY, a text, b text, c jsonb, d timestamptz, e bigint, f int, g timestamp, h bigint[], i text, j text, k float8, l numeric, m varchar(30), n citext, o text, p numeric)`,
    rows: `INSERT INTO t SELECT i, 'a', 'so', '{"b": 1, "a": 2}', '2026-03-29 02:30:00', i, i % 2 = 0, '2026-01-01', '{1,NULL}', gen_random_uuid(), 'x', 0.1, i, 'm', 'n', '\\x00ff', 1.5 FROM generate_series(1, 5) i; INSERT INTO t (id) VALUES (6)`,
    changes: [
      `INSERT INTO t VALUES (7, '', 'la', 'null', 'infinity', 12.00, true, '-infinity', '{}', gen_random_uuid(), '', 'NaN', NULL, '', '', '\\x', -1)`,
      `UPDATE t SET f = NOT f, e = e + 1, d = d + interval '1 day'`,
      'UPDATE t SET id = 50 WHERE id = 5',
      'DELETE FROM t WHERE id = 1',
    ],
    tables: [{ source: 't', columns: ['id', 'a', 'b', 'i', 'k', 'l', 'm', 'h', 'n', 'o'] }],
    targetAnswer: {
      query: 'SELECT id, c, d, e, f, g, j, p FROM t WHERE id IN (2, 6, 7) ORDER BY id',
      gives: [
        {
          id: '2',
          c: '{"a": 2, "b": 1}',
          d: '2026-03-30 02:30:00+00',
          e: '3',
          f: '0',
          g: '2026-01-01 00:00:00',
          j: 'x    ',
          p: '1.50',
        },
        { id: '6', c: null, d: null, e: null, f: null, g: null, j: null, p: null },
        { id: '7', c: 'null', d: 'infinity', e: '13', f: '0', g: '-infinity', j: '     ', p: '-1.00' },
      ],
    },
  },
  {
    name: 'another type in a keyless table and in a key that is cast',
    source: 'CREATE TABLE t (a int, b bool, c varchar(9)); CREATE TABLE k (id bool PRIMARY KEY, v numeric)',
    target: 'CREATE TABLE t (a bigint, b int, c text); CREATE TABLE k (id int PRIMARY KEY, v bigint)',
    rows: `INSERT INTO t VALUES (1, true, 'a'), (1, true, 'a'), (NULL, false, NULL), (NULL, false, NULL); INSERT INTO k VALUES (true, 1.00), (false, 2.00)`,
    changes: [
      'DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t WHERE a = 1)',
      'UPDATE t SET c = $$x$$ WHERE ctid = (SELECT min(ctid) FROM t WHERE a IS NULL)',
      'UPDATE k SET v = 3.00 WHERE id; DELETE FROM k WHERE NOT id',
    ],
    tables: [{ source: 't', columns: ['a', 'c'] }],
    targetAnswer: { query: 'SELECT id, v FROM k', gives: [{ id: '1', v: '3' }] },
  },
  {
    name: 'many rows into another type',
    source: 'CREATE TABLE t (id int PRIMARY KEY, f bool, n numeric(6,1), b bool, a inet)',
    target: 'CREATE TABLE t (id bigint PRIMARY KEY, f int, n int, b text, a varchar(40))',
    rows: `INSERT INTO t SELECT i, true, i, i % 3 = 0, '10.0.0.1' FROM generate_series(1, 300) i`,
    changes: [
      `INSERT INTO t SELECT i, i % 2 = 0, i, nullif(i % 3, 1) = 0, '10.0.0.2' FROM generate_series(301, 600) i`,
      `INSERT INTO t VALUES (1000, true, 1, false, '10.0.0.0/8'), (1001, false, 1, NULL, NULL)`,
      'DELETE FROM t WHERE id >= 1000 AND a IS NULL',
      'UPDATE t SET f = NOT f, n = n + 1.0',
      'DELETE FROM t WHERE id % 3 = 0',
    ],
    tables: [{ source: 't', columns: ['id', 'b', 'a'] }],
    targetAnswer: {
      query: 'SELECT count(*), sum(f) AS f, sum(n - id) AS n FROM t',
      gives: [{ count: '401', f: '100', n: '-598' }],
    },
  },
];

describe.each([
  { gathered: false, binary: 'auto' },
  { gathered: true, binary: 'auto' },
  { gathered: false, binary: 'never' },
  { gathered: true, binary: 'never' },
])('types that differ, gathered: $gathered, binary: $binary', ({ gathered, binary }) => {
  const shapes = known(TYPES);
  const stage = stageShapes(shapes, {
    gathered,
    before: ['CREATE EXTENSION citext SCHEMA public'],
    format: binary === 'auto' ? 'binary' : 'text',
    settings: { apply: { binary } },
  });
  test.each(shapes)('$name', (shape) => stage.expectSame(shape));
});

test.each([
  { binary: 'auto', rows: 'id = 1' },
  { binary: 'auto', rows: 'true' },
  { binary: 'never', rows: 'id = 1' },
  { binary: 'never', rows: 'true' },
])(
  'what is too long for a domain of the target is refused, never cut off (binary: $binary, where $rows)',
  async ({ binary, rows }) => {
    await using db = await testDatabases();
    const tables = { number: 'int', word: 'text', padded: 'text', bits: 'text' };
    for (const [name, type] of Object.entries(tables))
      await sql(
        db.source,
        `CREATE TABLE ${name} (id int PRIMARY KEY, v ${type}); INSERT INTO ${name} SELECT i, 101 FROM generate_series(1, 40) i`,
      );
    await sql(
      db.target,
      `CREATE DOMAIN short AS varchar(3); CREATE DOMAIN shorter AS short; CREATE DOMAIN padded_short AS char(3); CREATE DOMAIN few_bits AS varbit(3);
     CREATE TABLE number (id int PRIMARY KEY, v short); CREATE TABLE word (id int PRIMARY KEY, v shorter);
     CREATE TABLE padded (id int PRIMARY KEY, v padded_short); CREATE TABLE bits (id int PRIMARY KEY, v few_bits)`,
    );
    await using running = await startCaughtUp(db, { apply: { binary } });
    const set = async (v: number): Promise<void> => {
      for (const name of Object.keys(tables)) await sql(db.source, `UPDATE ${name} SET v = ${v} WHERE ${rows}`);
      await running.caughtUp();
    };
    await set(110);
    await compareTables(db.source, db.target);
    await set(11011);
    for (const name of Object.keys(tables)) {
      expect(running.pipeline.model.table(`public.${name}`)?.error?.message).toMatch(/too long/);
      expect(await value(db.target, `SELECT v FROM ${name} WHERE id = 1`), name).toBe('110');
    }
  },
);

test('what does not fit puts the table in error with the SQL that mends it; the others go on', async () => {
  await using db = await testDatabases();
  const tables = {
    fine: ['id int PRIMARY KEY', 'id int PRIMARY KEY'],
    lacks: ['id int PRIMARY KEY, extra int', 'id int PRIMARY KEY'],
    clash: ['id int PRIMARY KEY, v point', 'id int PRIMARY KEY, v date'],
    unfilled: ['id int PRIMARY KEY', 'id int PRIMARY KEY, needed int NOT NULL'],
    generated: ['id int PRIMARY KEY, g int', 'id int PRIMARY KEY, g int GENERATED ALWAYS AS (id + 1) STORED'],
    ordinary: ['id int PRIMARY KEY, g int GENERATED ALWAYS AS (id + 1) STORED', 'id int PRIMARY KEY, g int'],
    missing: ['id int PRIMARY KEY, v text NOT NULL', null],
    keyed: [
      'id int NOT NULL, g int GENERATED ALWAYS AS (id + 1) STORED PRIMARY KEY',
      'id int, g int GENERATED ALWAYS AS (id + 1) STORED PRIMARY KEY',
    ],
  };
  for (const [name, [from, to]] of Object.entries(tables)) {
    await sql(db.source, `CREATE TABLE ${name} (${from}); INSERT INTO ${name} (id) SELECT 1 WHERE '${name}' <> 'missing'`);
    if (to) await sql(db.target, `CREATE TABLE ${name} (${to})`);
  }
  await using running = startPipeline(db, { schema: { create: 'never' } });
  await running.caughtUp();
  const states = () =>
    Object.fromEntries(running.pipeline.model.tables().map((table) => [table.source.slice(7), table.error?.code ?? table.state]));
  // Since 18 the stream carries the values of generated columns.
  expect(states()).toEqual({
    fine: 'streaming',
    lacks: 'TARGET_COLUMN_MISSING',
    clash: 'TARGET_COLUMN_TYPE',
    unfilled: 'TARGET_UNSUITABLE',
    generated: 'TARGET_COLUMN_TYPE',
    ordinary: TEST_VERSION >= 18 ? 'streaming' : 'TARGET_COLUMN_TYPE',
    missing: 'TARGET_TABLE_MISSING',
    keyed: TEST_VERSION >= 18 ? 'streaming' : 'SOURCE_UNSUITABLE',
  });
  await sql(
    db.source,
    'INSERT INTO fine VALUES (2); UPDATE lacks SET extra = 5; DELETE FROM clash; INSERT INTO ordinary VALUES (2)',
  );
  await running.caughtUp();
  expect(await value(db.target, 'SELECT count(*) FROM fine')).toBe('2');
  if (TEST_VERSION >= 18)
    expect(await sql(db.target, 'SELECT * FROM ordinary ORDER BY id')).toEqual([
      { id: '1', g: '2' },
      { id: '2', g: '3' },
    ]);

  // The remedies are SQL that runs as it stands, up to the alternative in prose.
  for (const { source, error } of running.pipeline.model.tables()) {
    if (!error) continue;
    const statement = error.remedy.replace(/^Run on the (?:source|target):\n/, '').replace(/\nor [^]*$/, '');
    await sql(error.code === 'SOURCE_UNSUITABLE' ? db.source : db.target, statement).catch((failure: unknown) => {
      throw new Error(`${source}: ${statement}`, { cause: failure });
    });
  }
  expect(running.pipeline.model.status()).toMatchObject({ state: 'streaming', tables: { error: TEST_VERSION >= 18 ? 5 : 7 } });
});
