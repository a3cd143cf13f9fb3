import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { startPipeline } from '../testing/run-pipeline.ts';
import { sql, testDatabases, type TestDatabases } from '../testing/databases.ts';
import { connect, connectionEnd, disconnect } from './connect.ts';

// What an administrator may have set for a role, and what would change or end our work.
const HOSTILE: Readonly<Record<string, string>> = {
  DateStyle: 'German',
  IntervalStyle: 'iso_8601',
  TimeZone: 'Asia/Kathmandu',
  extra_float_digits: '-15',
  bytea_output: 'escape',
  xmloption: 'document',
  array_nulls: 'off',
  quote_all_identifiers: 'on',
  search_path: 'evil, public',
  client_encoding: 'LATIN1',
  row_security: 'on',
  statement_timeout: '1ms',
  lock_timeout: '1ms',
  idle_in_transaction_session_timeout: '1ms',
  idle_session_timeout: '1ms',
  transaction_timeout: '10s',
  default_transaction_isolation: 'serializable',
  default_transaction_read_only: 'on',
};

async function withHostileRole(db: TestDatabases, work: (url: string) => Promise<void>): Promise<void> {
  const role = `${db.name}_role`;
  await sql(db.target, `CREATE ROLE ${role} LOGIN SUPERUSER PASSWORD 'it''s @ /?#'`);
  try {
    for (const [name, value] of Object.entries(HOSTILE)) {
      const known = await sql(db.target, 'SELECT FROM pg_settings WHERE name = $1', [name]);
      if (known.length > 0) await sql(db.target, `ALTER ROLE ${role} SET ${name} = '${value}'`);
    }
    const url = new URL(db.target.url);
    await work(`postgresql://${role}:${encodeURIComponent("it's @ /?#")}@${url.host}${url.pathname}?sslmode=prefer`);
  } finally {
    await sql(db.target, `DROP ROLE ${role}`);
  }
}

test("whatever a role's own settings are, ours hold: values print and read the same everywhere, and nothing ends our work", async () => {
  await using db = await testDatabases();
  await withHostileRole(db, async (url) => {
    for (const replication of [false, true]) {
      const client = await connect({ role: 'target', url, purpose: 'test', replication });
      try {
        const { rows } = await client.query<{ name: string; setting: string }>(
          `SELECT name, setting FROM pg_catalog.pg_settings WHERE lower(name) = ANY ('{${Object.keys(HOSTILE).join(',').toLowerCase()}}')`,
        );
        const settings = Object.fromEntries(rows.map(({ name, setting }) => [name, setting]));
        expect(settings).toMatchObject({
          DateStyle: 'ISO, YMD',
          IntervalStyle: 'postgres',
          TimeZone: 'UTC',
          extra_float_digits: '3',
          bytea_output: 'hex',
          xmloption: 'content',
          array_nulls: 'on',
          quote_all_identifiers: 'off',
          search_path: '',
          client_encoding: 'UTF8',
          row_security: 'off',
          statement_timeout: '0',
          lock_timeout: '0',
          idle_in_transaction_session_timeout: '0',
          idle_session_timeout: '0',
          default_transaction_isolation: 'read committed',
          default_transaction_read_only: 'off',
        });
        expect(settings['transaction_timeout'] ?? '0').toBe('0');
      } finally {
        await disconnect(client);
      }
    }
  });
});

test('settings of one session go on top, blanks and backslashes too; the purpose is shown', async () => {
  await using db = await testDatabases();
  const client = await connect({
    role: 'target',
    url: db.target.url,
    purpose: `shop ${'x'.repeat(100)}`,
    settings: { synchronous_commit: 'off', 'pgfollow.odd': String.raw`a \b 'c'` },
  });
  try {
    const { rows } = await client.query<Record<string, string>>(
      `SELECT current_setting('synchronous_commit') AS commit, current_setting('pgfollow.odd') AS odd, current_setting('application_name') AS app`,
    );
    expect(rows[0]).toEqual({ commit: 'off', odd: String.raw`a \b 'c'`, app: `pgfollow shop ${'x'.repeat(49)}` });
  } finally {
    await disconnect(client);
  }
});

test('why nobody is let in, and what helps', async () => {
  await using db = await testDatabases();
  const url = new URL(db.source.url);
  url.pathname = '/nowhere';
  await expect(connect({ role: 'source', url: url.href, purpose: 'test' })).rejects.toMatchObject({
    code: 'SOURCE_UNREACHABLE',
    retry: 'transient',
    message: expect.stringContaining('3D000'),
    remedy: expect.stringContaining('source.url'),
  });
});

test('the end of a connection is told with its reason', async () => {
  await using db = await testDatabases();
  const client = await connect({ role: 'target', url: db.target.url, purpose: 'test' });
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const ended = connectionEnd(client);
  await sql(db.target, 'SELECT pg_terminate_backend($1)', [rows[0]?.pid]);
  expect((await ended).message).toMatch(/terminat/);
  await disconnect(client);
});

test('several hosts: the first that is there and is what is asked for', async () => {
  await using db = await testDatabases();
  const { host, username, password, pathname } = new URL(db.source.url);
  const url = (query: string): string => `postgresql://${username}:${password}@127.0.0.1:1,${host}${pathname}?${query}`;
  for (const query of [
    '',
    'target_session_attrs=read-write',
    'target_session_attrs=primary',
    'target_session_attrs=prefer-standby',
  ]) {
    const client = await connect({ role: 'source', url: url(query), purpose: 'test' });
    expect(`${client.host}:${client.port}`).toBe(host);
    await disconnect(client);
  }
  await expect(connect({ role: 'source', url: url('target_session_attrs=standby'), purpose: 'test' })).rejects.toMatchObject({
    code: 'SOURCE_UNREACHABLE',
    message: expect.stringMatching(/^No host of the source lets us in\. 127\.0\.0\.1:1: .*; .*: it is a primary, and/),
  });
});

test('a pipeline stays with the host that it has found', async () => {
  await using db = await testDatabases();
  for (const side of [db.source, db.target]) await sql(side, 'CREATE TABLE t (id int PRIMARY KEY)');
  const several = (url: string): string => url.replace('127.0.0.1:', '127.0.0.1:1,127.0.0.1:');
  await using running = startPipeline(db, {
    source: { url: several(db.source.url) },
    target: { url: `${several(db.target.url)}?target_session_attrs=read-write` },
  });
  await sql(db.source, 'INSERT INTO t VALUES (1)');
  await running.caughtUp();
  await compareTables(db.source, db.target, 'public.t');
});

test("a URI's own options hold as long as they do not touch ours", async () => {
  await using db = await testDatabases();
  const options = encodeURIComponent('-c work_mem=8MB -c DateStyle=German');
  const client = await connect({
    role: 'target',
    url: `${db.target.url}?options=${options}&connect_timeout=20`,
    purpose: 'test',
  });
  try {
    const { rows } = await client.query<Record<string, string>>(
      `SELECT current_setting('work_mem') AS memory, current_setting('DateStyle') AS style`,
    );
    expect(rows[0]).toEqual({ memory: '8MB', style: 'ISO, YMD' });
  } finally {
    await disconnect(client);
  }
});
