import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { expect, test } from 'vitest';
import { sql, testDatabases, value, type TestDatabase } from '../testing/databases.ts';
import { CopyIn, CopyOut } from './copy.ts';

async function open(database: TestDatabase): Promise<Client & AsyncDisposable> {
  const client = new Client({ connectionString: database.url });
  client.on('error', () => {});
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}

async function collect(out: CopyOut): Promise<Buffer[]> {
  const pieces: Buffer[] = [];
  for await (const piece of out) pieces.push(piece);
  return pieces;
}

test.each(['text', 'binary'])('rows of all sizes go from one to the other in %s, byte for byte', async (format) => {
  await using db = await testDatabases();
  const table = 'CREATE TABLE t (id int, v text)';
  const rows = `INSERT INTO t SELECT i, repeat(chr(65 + i % 26), (ARRAY[0, 1, 100, 65530, 65536, 200000, NULL])[1 + i % 7]) FROM generate_series(1, 300) i`;
  await sql(db.source, `${table}; ${rows}`);
  await sql(db.target, table);
  await using source = await open(db.source);
  await using target = await open(db.target);
  const out = new CopyOut(source, `COPY t TO STDOUT (FORMAT ${format})`);
  const into = new CopyIn(target, `COPY t FROM STDIN (FORMAT ${format})`);
  const kept: { piece: Buffer; copy: Buffer }[] = [];
  for await (const piece of out) {
    kept.push({ piece, copy: Buffer.from(piece) });
    await into.write(piece);
  }
  expect(await into.end()).toBe(300);
  // The trailer of binary is a message too.
  expect(out.messages).toBe(format === 'binary' ? 301 : 300);
  // Nothing that was handed out is written over later.
  expect(kept.every(({ piece, copy }) => piece.equals(copy))).toBe(true);
  const digest = `SELECT md5(string_agg(id || ' ' || coalesce(md5(v), 'NULL'), ',' ORDER BY id)) FROM t`;
  expect(await value(db.target, digest)).toBe(await value(db.source, digest));
  for (const client of [source, target])
    expect((await client.query<{ one: number }>('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
});

test('an empty table', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, 'CREATE TABLE t (id int)');
  await using source = await open(db.source);
  await using target = await open(db.target);
  expect(await collect(new CopyOut(source, 'COPY t TO STDOUT'))).toEqual([]);
  expect(await new CopyIn(target, 'COPY t FROM STDIN').end()).toBe(0);
});

test('a slow taker holds the server up, not the memory', async () => {
  await using db = await testDatabases();
  await using source = await open(db.source);
  const out = new CopyOut(source, `COPY (SELECT repeat('x', 10000) FROM generate_series(1, 5000)) TO STDOUT`);
  let bytes = 0;
  for await (const piece of out) {
    bytes += piece.length;
    if (bytes < 300_000) {
      await sleep(20);
      // 50 MB are there to be had; a few pieces and what one read brought are what waits here.
      expect(out.messages * 10_000).toBeLessThan(bytes + 2_000_000);
    }
  }
  expect(bytes).toBe(5000 * 10_001);
});

test('errors of the source: at the start, and amid the rows', async () => {
  await using db = await testDatabases();
  await using source = await open(db.source);
  await expect(collect(new CopyOut(source, 'COPY nowhere TO STDOUT'))).rejects.toMatchObject({ code: '42P01' });
  const pieces: Buffer[] = [];
  const half = async (): Promise<void> => {
    for await (const piece of new CopyOut(source, `COPY (SELECT 1 / (200000 - i) FROM generate_series(1, 300000) i) TO STDOUT`))
      pieces.push(piece);
  };
  await expect(half()).rejects.toMatchObject({ code: '22012' });
  expect(pieces.length).toBeGreaterThan(0);
  await expect(collect(new CopyOut(source, 'COPY pg_class FROM STDIN'))).rejects.toThrow();
  expect((await source.query<{ one: number }>('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
});

test('errors of the target: at the start, amid the rows, at the end', async () => {
  await using db = await testDatabases();
  await sql(db.target, 'CREATE TABLE t (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)');
  await using target = await open(db.target);
  const write = async (statement: string, lines: string[]): Promise<number> => {
    const into = new CopyIn(target, statement);
    for (const line of lines) await into.write(Buffer.from(line));
    return into.end();
  };
  await expect(write('COPY nowhere FROM STDIN', ['1\n'])).rejects.toMatchObject({ code: '42P01' });
  await expect(
    write('COPY t FROM STDIN', ['1\n', 'no number\n', ...Array.from({ length: 3000 }, (_, i) => `${i + 2}\n`.repeat(100))]),
  ).rejects.toMatchObject({ code: '22P02' });
  await expect(write('COPY t FROM STDIN', ['1\n', '1\n'])).rejects.toMatchObject({ code: '23505' });
  expect(await write('COPY t FROM STDIN', ['1\n', '2', '2\n3\n'])).toBe(3);
  expect(await value(db.target, `SELECT string_agg(id::text, ',') FROM t`)).toBe('1,22,3');
});

test('giving up leaves nothing behind, whenever it comes', async () => {
  await using db = await testDatabases();
  await sql(db.target, 'CREATE TABLE t (id int)');
  await using target = await open(db.target);
  const begun = new CopyIn(target, 'COPY t FROM STDIN');
  await begun.write(Buffer.from('1\n'));
  await begun.fail('no more');
  await new CopyIn(target, 'COPY t FROM STDIN').fail('not begun');
  const refused = new CopyIn(target, 'COPY nowhere FROM STDIN');
  await refused.fail('refused before');
  expect((await target.query<{ n: string }>('SELECT count(*) AS n FROM t')).rows).toEqual([{ n: '0' }]);
});

test('a connection that is cut ends both directions', async () => {
  await using db = await testDatabases();
  await sql(db.target, 'CREATE TABLE t (id int)');
  await using source = await open(db.source);
  await using target = await open(db.target);
  const reading = (async () => {
    for await (const piece of new CopyOut(
      source,
      'COPY (SELECT a, b FROM generate_series(1, 10000) a, generate_series(1, 10000) b) TO STDOUT',
    )) {
      if (piece.length > 0) source.connection.stream.destroy();
    }
  })();
  await expect(reading).rejects.toThrow();
  const into = new CopyIn(target, 'COPY t FROM STDIN');
  await into.write(Buffer.from('1\n'));
  target.connection.stream.destroy();
  await expect(into.end()).rejects.toThrow();
});
