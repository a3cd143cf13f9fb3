import { expect, test } from 'vitest';
import { compareTables } from './testing/compare.ts';
import { sql, testDatabases } from './testing/databases.ts';
import { startPipeline } from './testing/run-pipeline.ts';

const TRX = '(id serial NOT NULL, creation_date date, sale_value bigint NOT NULL)';

test('the nightly job: a keyless table under another name is copied, then followed', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `CREATE TABLE tb_trx_src ${TRX}; INSERT INTO tb_trx_src (creation_date, sale_value) SELECT date '2026-01-01' + n, n * 100 FROM generate_series(1, 10) n`,
  );
  await sql(db.target, `CREATE TABLE tb_trx_dest ${TRX}`);
  await using running = startPipeline(db, { tables: { map: [{ from: 'public.tb_trx_src', to: 'public.tb_trx_dest' }] } });
  await running.caughtUp();
  const names = { source: 'public.tb_trx_src', target: 'public.tb_trx_dest' };
  await compareTables(db.source, db.target, names);

  await sql(db.source, `INSERT INTO tb_trx_src (creation_date, sale_value) VALUES (NULL, 7), (NULL, 7), ('2026-02-02', 9)`);
  await sql(db.source, `DELETE FROM tb_trx_src WHERE id = 3; UPDATE tb_trx_src SET sale_value = sale_value + 1 WHERE id > 8`);
  await running.caughtUp();
  await compareTables(db.source, db.target, names);
  expect(running.pipeline.model.status()).toMatchObject({
    state: 'streaming',
    problems: [],
    totals: { insert: 3, delete: 1, update: 5 },
  });
  expect(running.pipeline.model.table('public.tb_trx_src')).toMatchObject({
    state: 'streaming',
    identity: 'full',
    snapshot: { rowsCopied: 10 },
  });
});
