import { chown, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { serverUser } from '../embedded/binaries.ts';
import { ask } from '../testing/ask.ts';
import { testDatabases, sql, value } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startTraffic, TRANSACTIONS } from './demo-traffic.ts';
import { startDemoServers } from './demo.ts';

test('the demo has both databases; kept ones are found as they were left', async () => {
  const parent = await mkdtemp(join(tmpdir(), 'pgfollow-test-'));
  const user = serverUser();
  try {
    if (user) await chown(parent, user.uid, user.gid);
    const lines: string[] = [];
    const options = { keepDir: join(parent, 'kept'), log: (line: string) => lines.push(line) };
    const first = await startDemoServers(options);
    try {
      expect(await ask(first.sourceUrl, 'SHOW wal_level')).toBe('logical');
      expect(await ask(first.sourceUrl, 'SELECT count(*) FROM tb_trx_src')).toBe('10');
      expect(
        await ask(
          first.sourceUrl,
          "SELECT concat_ws(' ', (SELECT count(*) FROM shop.customers), (SELECT count(*) FROM shop.orders), (SELECT count(*) FROM shop.order_items))",
        ),
      ).toBe('60 200 500');
      expect(await ask(first.targetUrl, 'SELECT (SELECT count(*) FROM tb_trx_dest) + (SELECT count(*) FROM shop.orders)')).toBe(
        '0',
      );
      await ask(first.sourceUrl, 'DELETE FROM tb_trx_src WHERE id > 3');
    } finally {
      await first.stop();
    }
    const second = await startDemoServers(options);
    try {
      expect(await ask(second.sourceUrl, 'SELECT count(*) FROM tb_trx_src')).toBe('3');
    } finally {
      await second.stop();
    }
    expect(lines).toEqual(expect.arrayContaining([`pg_x: ${second.sourceUrl}`, `pg_y: ${second.targetUrl}`]));
  } finally {
    await rm(parent, { recursive: true });
  }
});

test('every transaction of the traffic works on the demo data, and the tables stay bounded', async () => {
  await using db = await testDatabases();
  for (const file of ['010_trx', '020_shop', '030_shop_rows']) {
    await sql(db.source, await readFile(new URL(`../../db/pg_x/${file}.sql`, import.meta.url), 'utf8'));
  }
  // Notes that really are out of line: larger than a page.
  expect(Number(await value(db.source, 'SELECT max(pg_column_size(notes)) FROM shop.customers'))).toBeGreaterThan(8192);
  await sql(db.source, "SELECT setval('tb_trx_src_id_seq', 5000), setval('shop.orders_id_seq', 5000)");
  for (const { sql: text } of TRANSACTIONS) for (let i = 0; i < 10; i++) await sql(db.source, text);
  expect(await value(db.source, 'SELECT count(*) <= 10 FROM tb_trx_src')).toBe('t');
  expect(await value(db.source, 'SELECT count(*) <= 10 FROM shop.orders')).toBe('t');
  // An empty shop has no customers who could order: nothing to do there, and no error.
  await sql(db.source, 'TRUNCATE tb_trx_src, shop.order_items, shop.orders');
  for (const { sql: text } of TRANSACTIONS) await sql(db.source, text);
});

test('traffic comes back after its connection was cut, and stops', async () => {
  await using db = await testDatabases();
  await sql(db.source, await readFile(new URL('../../db/pg_x/010_trx.sql', import.meta.url), 'utf8'));
  await sql(db.source, await readFile(new URL('../../db/pg_x/020_shop.sql', import.meta.url), 'utf8'));
  await sql(db.source, await readFile(new URL('../../db/pg_x/030_shop_rows.sql', import.meta.url), 'utf8'));
  const written = async () =>
    Number(await value(db.source, 'SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) FROM pg_stat_user_tables'));
  const traffic = startTraffic(db.source.url);
  try {
    const start = await written();
    await eventually(async () => (await written()) > start);
    await sql(
      db.source,
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgfollow-demo-traffic'",
    );
    const cut = await written();
    await eventually(async () => (await written()) > cut + 2);
  } finally {
    await traffic.stop();
  }
});

test('the shop is defined in the same words on both sides', async () => {
  const [x, y] = await Promise.all(
    ['pg_x', 'pg_y'].map((side) => readFile(new URL(`../../db/${side}/020_shop.sql`, import.meta.url), 'utf8')),
  );
  expect(y).toBe(x);
});
