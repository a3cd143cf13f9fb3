import { Client } from 'pg';
import { expect, test } from 'vitest';
import { sql, testDatabases, value, type TestDatabases } from '../testing/databases.ts';
import { int32 } from '../testing/pgoutput-bytes.ts';
import { TYPE_OID } from './oid.ts';
import { PipeError, StatementPipe } from './statement-pipe.ts';

async function open(db: TestDatabases): Promise<Client & AsyncDisposable> {
  const client = new Client({ connectionString: db.target.url });
  client.on('error', () => {});
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}

function bindRow(pipe: StatementPipe, name: string, id: number, v: string | null): void {
  const writer = pipe.bind(name, [1, 0]);
  writer.bytes(Buffer.concat([int32(4), int32(id)]));
  if (v === null) writer.int32(-1);
  else writer.textParameter(v);
  pipe.execute();
}

const INSERT = 'INSERT INTO t VALUES ($1, $2)';
const TYPES = [TYPE_OID.int4, TYPE_OID.text];

test('many statements and one round trip: answers come in order, each with its index', async () => {
  await using db = await testDatabases();
  await sql(db.target, 'CREATE TABLE t (id int PRIMARY KEY, v text)');
  await using client = await open(db);
  const completed: [number, number][] = [];
  const returned: [number, (string | null)[]][] = [];
  const pipe = new StatementPipe(
    client,
    (statement, rows) => completed.push([statement, rows]),
    (statement, fields) => returned.push([statement, fields]),
  );
  pipe.run('BEGIN');
  pipe.parse('in', INSERT, TYPES);
  for (let i = 1; i <= 3; i++) bindRow(pipe, 'in', i, i === 2 ? null : `v${i} é`);
  expect(pipe.nextStatement).toBe(4);
  pipe.run(`UPDATE t SET v = 'new' WHERE id > 1`);
  pipe.run('SELECT id, v FROM t ORDER BY id');
  pipe.run('');
  pipe.run('TRUNCATE t');
  pipe.close('in');
  pipe.parse('in', 'SELECT $1::int + 1, $2::text', TYPES);
  bindRow(pipe, 'in', 41, 'again');
  pipe.run('COMMIT');
  await pipe.end();
  expect(completed).toEqual([0, 1, 1, 1, 2, 3, 0, 0, 1, 0].map((rows, statement) => [statement, rows]));
  expect(returned).toEqual([
    [5, ['1', 'v1 é']],
    [5, ['2', 'new']],
    [5, ['3', 'new']],
    [8, ['42', 'again']],
  ]);
  expect((await client.query<{ one: number }>('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
});

test('a refused statement is named, nothing after it is run, and the connection is of use again', async () => {
  await using db = await testDatabases();
  await sql(db.target, 'CREATE TABLE t (id int PRIMARY KEY, v text)');
  await using client = await open(db);
  const completed: number[] = [];
  const pipe = new StatementPipe(client, (statement) => completed.push(statement));
  pipe.run('BEGIN');
  pipe.parse('in', INSERT, TYPES);
  for (const id of [1, 2, 2, 3]) bindRow(pipe, 'in', id, null);
  pipe.run('COMMIT');
  const error = await pipe.end().catch((failure: unknown) => failure);
  expect(error).toBeInstanceOf(PipeError);
  expect(error).toMatchObject({ statement: 3, cause: { code: '23505', detail: 'Key (id)=(2) already exists.' } });
  expect(completed).toEqual([0, 1, 2]);
  await client.query('ROLLBACK');
  expect(await value(db.target, 'SELECT count(*) FROM t')).toBe('0');

  const again = new StatementPipe(client, () => {});
  bindRow(again, 'in', 7, 'still prepared');
  await again.end();
  expect(await value(db.target, 'SELECT v FROM t')).toBe('still prepared');
});

test('what the parser refuses is the index of the statement that was to come', async () => {
  await using db = await testDatabases();
  await using client = await open(db);
  const pipe = new StatementPipe(client, () => {});
  pipe.run('SELECT 1');
  pipe.run('SELECT nonsense');
  pipe.run('SELECT 2');
  await expect(pipe.end()).rejects.toMatchObject({ statement: 1, cause: { code: '42703' } });
});

test('a flood is written in pieces; the first refusal stops it', async () => {
  await using db = await testDatabases();
  await sql(db.target, 'CREATE TABLE t (id int PRIMARY KEY, v text)');
  await using client = await open(db);
  let answers = 0;
  const flood = async (from: number, count: number, pad: string): Promise<number> => {
    const pipe = new StatementPipe(client, () => answers++);
    pipe.parse('', INSERT, TYPES);
    let written = 0;
    for (; written < count; written++) {
      bindRow(pipe, '', from + written, pad);
      if (pipe.full) await pipe.drain();
    }
    await pipe.end();
    return written;
  };
  expect(await flood(0, 20_000, 'x'.repeat(500))).toBe(20_000);
  expect(answers).toBe(20_000);
  expect(await value(db.target, 'SELECT count(*) || $$ $$ || sum(length(v)) FROM t')).toBe('20000 10000000');
  await expect(flood(19_999, 200_000, 'x'.repeat(500))).rejects.toMatchObject({ statement: 0, cause: { code: '23505' } });
  // Far from all of it was written: the refusal was seen on the way.
  expect(answers).toBe(20_000);
  expect(await flood(30_000, 10, '')).toBe(10);
});

test('COPY goes down the same pipe, and a refused row is known', async () => {
  await using db = await testDatabases();
  await sql(db.target, 'CREATE TABLE t (id int PRIMARY KEY, v text)');
  await using client = await open(db);
  const write = async (lines: string): Promise<number[]> => {
    const rows: number[] = [];
    const pipe = new StatementPipe(client, (_, count) => rows.push(count));
    pipe.run('BEGIN');
    pipe.beginCopy('COPY t FROM STDIN');
    const writer = pipe.copyRows();
    writer.bytes(Buffer.from(lines));
    pipe.endCopyRows();
    pipe.endCopy();
    pipe.run(`UPDATE t SET v = 'after'`);
    pipe.run('COMMIT');
    await pipe.end();
    return rows;
  };
  expect(await write('1\ta\n2\tb\n')).toEqual([0, 2, 2, 0]);
  await expect(write('3\tc\n1\td\n')).rejects.toMatchObject({ statement: 1, cause: { code: '23505' } });
  await client.query('ROLLBACK');
  expect(await write('4\td\n')).toEqual([0, 1, 3, 0]);
});

test('a connection that is cut rejects what waits, at once', async () => {
  await using db = await testDatabases();
  await using client = await open(db);
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const pipe = new StatementPipe(client, () => {});
  pipe.run('SELECT pg_sleep(30)');
  const failed = pipe.end().catch((error: unknown) => error);
  setTimeout(() => void db.target.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid]), 200);
  expect(await failed).toMatchObject({ statement: 0, cause: { code: '57P01' } });

  await using other = await open(db);
  const second = new StatementPipe(other, () => {});
  second.run('SELECT pg_sleep(1)');
  setTimeout(() => other.connection.stream.destroy(), 200);
  expect(await second.end().catch((error: unknown) => error)).toBeInstanceOf(Error);
});
