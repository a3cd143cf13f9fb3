import { Client } from 'pg';
import { expect, test } from 'vitest';
import { sql, testDatabases, value, type TestDatabase } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { CopyIn } from './copy-in.ts';
import { relayCopy, type Relayed } from './copy-relay.ts';

async function open(database: TestDatabase): Promise<Client & AsyncDisposable> {
  const client = new Client({ connectionString: database.url });
  client.on('error', () => {});
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}

async function relay(
  [source, out]: readonly [Client, string],
  [target, into]: readonly [Client, string],
  progress: (rows: number, bytes: number) => void = () => {},
): Promise<Relayed> {
  return relayCopy({ client: source, sql: out }, { client: target, sql: into }, progress);
}

test.each(['text', 'binary'])('rows of all sizes go from one to the other in %s, byte for byte', async (format) => {
  await using db = await testDatabases();
  const table = 'CREATE TABLE t (id int, v text)';
  const rows = `INSERT INTO t SELECT i, repeat(chr(65 + i % 26), (ARRAY[0, 1, 100, 65530, 65536, 200000, NULL])[1 + i % 7]) FROM generate_series(1, 3000) i`;
  await sql(db.source, `${table}; ${rows}`);
  await sql(db.target, table);
  await using source = await open(db.source);
  await using target = await open(db.target);
  const seen: [number, number][] = [];
  const relayed = await relay(
    [source, `COPY t TO STDOUT (FORMAT ${format})`],
    [target, `COPY t FROM STDIN (FORMAT ${format})`],
    (...passed) => seen.push(passed),
  );
  expect(relayed.rows).toBe(3000);
  // The trailer of binary is a message too.
  expect(seen.at(-1)).toEqual([format === 'binary' ? 3001 : 3000, relayed.bytes]);
  expect(seen.length).toBeGreaterThan(10);
  const digest = `SELECT md5(string_agg(id || ' ' || coalesce(md5(v), 'NULL'), ',' ORDER BY id)) FROM t`;
  expect(await value(db.target, digest)).toBe(await value(db.source, digest));
  const text = `SELECT sum(length(id::text) + coalesce(length(v), 2) + 2) FROM t`;
  if (format === 'text') expect(relayed.bytes).toBe(Number(await value(db.source, text)));
  // Both connections are as they were.
  for (const client of [source, target])
    expect((await client.query<{ one: number }>('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
});

test('one after the other on the same connections, empty ones too', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, 'CREATE TABLE t (id int)');
  await using source = await open(db.source);
  await using target = await open(db.target);
  for (const rows of [0, 1, 0, 1000]) {
    const query = `COPY (SELECT generate_series(1, ${rows})) TO STDOUT`;
    expect(await relay([source, query], [target, 'COPY t FROM STDIN'])).toMatchObject({ rows });
  }
  expect(await value(db.target, 'SELECT count(*) FROM t')).toBe('1001');
});

test('a slow target holds the source up, not the memory', async () => {
  await using db = await testDatabases();
  await sql(db.target, 'CREATE TABLE t (v text)');
  await using source = await open(db.source);
  await using target = await open(db.target);
  await using lock = await db.target.session();
  // The target takes the first rows and then waits: it has to write an index entry that somebody else is about to.
  await sql(
    db.target,
    'CREATE TABLE gate (i int); CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM FROM gate; RETURN NEW; END $$',
  );
  await sql(db.target, 'CREATE TRIGGER pass BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION pass()');
  await lock.query('BEGIN; LOCK TABLE gate');
  let bytes = 0;
  const relaying = relay(
    [source, `COPY (SELECT repeat('x', 10000) FROM generate_series(1, 10000)) TO STDOUT`],
    [target, 'COPY t FROM STDIN'],
    (_, passed) => (bytes = passed),
  );
  await eventually(async () => {
    const before = bytes;
    await new Promise((resolve) => setTimeout(resolve, 300));
    return bytes > 0 && bytes === before;
  });
  // 100 MB are there to be had; what lies in the sockets' buffers is what has passed.
  expect(bytes).toBeLessThan(50_000_000);
  await lock.query('ROLLBACK');
  expect(await relaying).toMatchObject({ rows: 10_000, bytes: 10_000 * 10_001 });
});

test('errors of the source: at the start, and amid the rows', async () => {
  await using db = await testDatabases();
  await sql(db.target, 'CREATE TABLE t (id int)');
  await using source = await open(db.source);
  await using target = await open(db.target);
  const into = [target, 'COPY t FROM STDIN'] as const;
  await expect(relay([source, 'COPY nowhere TO STDOUT'], into)).rejects.toMatchObject({ code: '42P01' });
  const half = 'COPY (SELECT 1 / (200000 - i) FROM generate_series(1, 300000) i) TO STDOUT';
  await expect(relay([source, half], into)).rejects.toMatchObject({ code: '22012' });
  await expect(relay([source, 'COPY pg_class FROM STDIN'], into)).rejects.toThrow();
  for (const client of [source, target])
    expect((await client.query<{ one: number }>('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  expect(await value(db.target, 'SELECT count(*) FROM t')).toBe('0');
});

test('errors of the target: at the start, amid the rows, at the end', async () => {
  await using db = await testDatabases();
  await sql(db.target, 'CREATE TABLE t (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)');
  const copy = async (query: string, statement: string): Promise<Relayed> => {
    await using source = await open(db.source);
    await using target = await open(db.target);
    try {
      return await relay([source, `COPY (${query}) TO STDOUT`], [target, statement]);
    } finally {
      source.connection.stream.destroy();
    }
  };
  await expect(copy('SELECT 1', 'COPY nowhere FROM STDIN')).rejects.toMatchObject({ code: '42P01' });
  const lines = `SELECT CASE WHEN i = 2 THEN 'no number' ELSE i::text END FROM generate_series(1, 3000000) i`;
  await expect(copy(lines, 'COPY t FROM STDIN')).rejects.toMatchObject({ code: '22P02' });
  await expect(copy('VALUES (1), (1)', 'COPY t FROM STDIN')).rejects.toMatchObject({ code: '23505' });
  expect(await copy('VALUES (1), (22), (3)', 'COPY t FROM STDIN')).toMatchObject({ rows: 3 });
});

test.each(['source', 'target'] as const)('the connection to the %s is cut amid the rows', async (side) => {
  await using db = await testDatabases();
  await sql(db.target, 'CREATE TABLE t (a int, b int)');
  const [source, target] = [await open(db.source), await open(db.target)];
  const endless = 'COPY (SELECT a, b FROM generate_series(1, 10000) a, generate_series(1, 10000) b) TO STDOUT';
  let cut = false;
  const relaying = relay([source, endless], [target, 'COPY t FROM STDIN'], (_, bytes) => {
    if (cut || bytes < 1_000_000) return;
    cut = true;
    (side === 'source' ? source : target).connection.stream.destroy();
  });
  await expect(relaying).rejects.toThrow();
  for (const client of [source, target]) client.connection.stream.destroy();
  await eventually(async () => (await value(db.target, `SELECT count(*) FROM pg_locks WHERE relation = 't'::regclass`)) === '0');
  expect(await value(db.target, 'SELECT count(*) FROM t')).toBe('0');
});

test('giving up leaves nothing behind, whenever it comes', async () => {
  await using db = await testDatabases();
  await sql(db.target, 'CREATE TABLE t (id int)');
  await using target = await open(db.target);
  const begun = new CopyIn(target, 'COPY t FROM STDIN');
  await begun.ready();
  target.connection.sendCopyFromChunk(Buffer.from('1\n'));
  await begun.fail('no more');
  await new CopyIn(target, 'COPY t FROM STDIN').fail('not begun');
  await new CopyIn(target, 'COPY nowhere FROM STDIN').fail('refused before');
  expect((await target.query<{ n: string }>('SELECT count(*) AS n FROM t')).rows).toEqual([{ n: '0' }]);
});
