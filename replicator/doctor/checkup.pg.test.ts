import { expect, test } from 'vitest';
import { complaint, fine } from '../finding.ts';
import { sql, testDatabases } from '../testing/databases.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline } from '../testing/run-pipeline.ts';
import { worthKnowing } from './checkup.ts';

test('a pipeline that runs knows what doctor would warn of; problems are told once, as problems', async () => {
  await using db = await testDatabases();
  await sql(db.source, 'CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE missing (id int PRIMARY KEY)');
  await sql(db.target, 'CREATE TABLE t (id int)');
  await using running = startPipeline(db, { schema: { create: 'never' } });
  const { model } = running.pipeline;
  await eventually(() => model.findings.read().checkedAt !== null);
  const { findings } = model.findings.read();
  expect(findings.map(({ code, table }) => `${code} ${table}`)).toEqual(['SLOT_WAL_LIMIT null', 'TARGET_INDEX public.t']);
  expect(model.status().problems.map(({ code }) => code)).toEqual(['TARGET_TABLE_MISSING']);
  await running.stop();
});

test('what is fine, and what the pipeline reports itself, is left out', () => {
  const said = { message: 'so', remedy: 'mend' };
  const type = complaint('error', 'target', 'TYPE_DIFFERENCE', said);
  const limit = complaint('warning', 'source', 'SLOT_WAL_LIMIT', said);
  const missing = complaint('error', 'target', 'TARGET_TABLE_MISSING', said);
  expect(worthKnowing([fine('source', 'WAL_LEVEL', 'logical'), limit, missing, type])).toEqual([limit, type]);
});
