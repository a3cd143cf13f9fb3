import { expect, test } from 'vitest';
import { testIo } from '../testing/cli-io.ts';
import { sql, testDatabases } from '../testing/databases.ts';
import { startPipeline } from '../testing/run-pipeline.ts';
import { servePipeline } from '../testing/serve-pipeline.ts';
import { main } from './main.ts';

test('compares the tables of a running pipeline, and names what differs until it is mended', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `CREATE TABLE a (id int PRIMARY KEY, v text); INSERT INTO a SELECT n, 'secret' FROM generate_series(1, 2000) n;
     CREATE TABLE b (v text); INSERT INTO b VALUES ('x'), ('x')`,
  );
  await using running = startPipeline(db);
  await running.caughtUp();
  const { model, metrics } = running.pipeline;
  await using server = await servePipeline(running);
  const validate = async (...args: string[]): Promise<{ code: number; out: string }> => {
    const io = testIo();
    const code = await main(['validate', ...args, '--url', server.address], io);
    return { code, out: io.out() + io.err() };
  };
  expect(await validate()).toEqual({
    code: 0,
    out: 'public.a  equal  2 000 rows compared\npublic.b  equal  2 rows compared\n',
  });
  await sql(db.target, `DELETE FROM a WHERE id = 77; UPDATE a SET v = 'other' WHERE id = 1999`);
  const { code, out } = await validate('public.a');
  expect(code).toBe(1);
  expect(out).toContain('public.a  different  2 000 rows compared, 1 missing on the target, 1 different');
  expect(out).toContain('missing on the target: id=77');
  expect(out).not.toMatch(/secret|other/);
  expect(await metrics.text()).toContain('pgfollow_validation_mismatched_rows{table="public.a"} 2');
  await sql(db.target, `INSERT INTO a VALUES (77, 'secret'); UPDATE a SET v = 'secret' WHERE id = 1999`);
  expect((await validate('public.a', 'public.b')).code).toBe(0);
  expect(await metrics.text()).toContain('pgfollow_validation_mismatched_rows{table="public.a"} 0');
  expect(model.status().problems).toEqual([]);
  expect((await validate('public.none')).code).toBe(1);
});
