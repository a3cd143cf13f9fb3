import { expect, test } from 'vitest';
import { parseLsn } from '../postgres/lsn.ts';
import { testDatabases } from '../testing/databases.ts';
import { main } from './main.ts';
import { sampleStatus, testApi, testIo } from '../testing/cli-io.ts';

const STATUS = 'GET /api/v1/status';

test('wait asks the source where it is, and moves it on so that an idle database is not waited for', async () => {
  await using db = await testDatabases();
  await db.source.query(`CREATE PUBLICATION p`);
  await db.source.query(`SELECT pg_create_logical_replication_slot('${db.name}', 'pgoutput')`);
  const io = testIo({ env: { PGFOLLOW_SOURCE_URL: db.source.url } });
  const here = async () => parseLsn((await db.source.query('SELECT pg_current_wal_insert_lsn() AS lsn'))[0]?.['lsn'] ?? '');

  const before = await here();
  {
    await using api = await testApi({
      [STATUS]: { status: 200, body: sampleStatus({ position: { received: null, applied: '0/1', acknowledged: null } }) },
    });
    expect(await main(['wait', '--timeout', '0', '--url', api.url], io)).toBe(4);
  }
  const wanted = /applied 0\/1, wanted ([0-9A-F/]+)\./.exec(io.err())?.[1] ?? '';
  expect(parseLsn(wanted)).toBeGreaterThanOrEqual(before);
  expect(parseLsn(wanted)).toBeLessThan(await here());

  const messages = await db.source.query(
    `SELECT count(*) FROM pg_logical_slot_peek_binary_changes('${db.name}', NULL, NULL,
       'proto_version', '1', 'publication_names', 'p', 'messages', 'true')
      WHERE position('pgfollow'::bytea IN data) > 0`,
  );
  expect(messages).toEqual([{ count: '1' }]);

  await using api = await testApi({
    [STATUS]: { status: 200, body: sampleStatus({ position: { received: null, applied: 'FFFFFFFF/0', acknowledged: null } }) },
  });
  expect(await main(['wait', '--url', api.url], io)).toBe(0);
});

test('wait says that the source does not answer', async () => {
  await using db = await testDatabases();
  const url = new URL(db.source.url);
  url.pathname = '/no_such_database';
  const io = testIo({ env: { PGFOLLOW_SOURCE_URL: url.href } });
  expect(await main(['wait', '--url', 'http://127.0.0.1:1'], io)).toBe(1);
  expect(io.err()).toContain('no_such_database');
  expect(io.err()).not.toContain(url.password);
});
