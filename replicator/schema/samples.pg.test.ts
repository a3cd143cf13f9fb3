import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { sql, testDatabases } from '../testing/databases.ts';
import { describeSchema } from '../testing/describe-schema.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline, type RunningPipeline } from '../testing/run-pipeline.ts';

function sample(name: string): string {
  return readFileSync(new URL(`samples/${name}.sql`, import.meta.url), 'utf8');
}

/** What the target is to have of the source: all but what is never created. */
function expected(lines: readonly string[], leftOut: RegExp): string[] {
  return lines.filter((line) => !leftOut.test(line));
}

async function linked({ pipeline }: RunningPipeline, db: { target: { query(text: string): Promise<unknown[]> } }): Promise<void> {
  await eventually(
    async () => {
      const open = await db.target.query('SELECT target_table FROM pgfollow.created_table WHERE linked_at IS NULL');
      if (open.length > 0)
        throw new Error(`not linked: ${JSON.stringify(open)}, ${JSON.stringify(pipeline.model.status().problems)}`);
    },
    { timeout: 30_000 },
  );
}

test('a film rental shop arrives in an empty database as it is', async () => {
  await using db = await testDatabases();
  await sql(db.source, sample('film-rental'));
  const before = await describeSchema(db.source);
  await using running = startPipeline(db);
  await running.caughtUp();
  await linked(running, db);
  expect(await describeSchema(db.target)).toEqual(expected(before, /^function CREATE OR REPLACE FUNCTION rental\.film_words/));
  await compareTables(db.source, db.target);
  const events = running.pipeline.events.after(0);
  expect(events.filter(({ code }) => code === 'PART_NOT_CREATED')).toEqual([]);
});
