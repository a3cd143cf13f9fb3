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

const SAMPLES: readonly { name: string; leftOut: RegExp; told: string[] }[] = [
  {
    name: 'film-rental',
    leftOut: /^function CREATE OR REPLACE FUNCTION rental\.film_words/,
    told: [
      'function (rental.film_words)',
      'grant (on rental.film)',
      'materialized view (rental.sales)',
      'policy (everybody on rental.customer)',
      'trigger (film_fulltext on rental.film)',
      'view (rental.short_film)',
    ],
  },
  { name: 'orders', leftOut: /^$/, told: [] },
  { name: 'music', leftOut: /^$/, told: [] },
];

test.each(SAMPLES)('$name arrives in an empty database as it is', async ({ name, leftOut, told }) => {
  await using db = await testDatabases();
  await sql(db.source, sample(name));
  await using running = startPipeline(db);
  await running.caughtUp();
  await linked(running, db);
  const source = await describeSchema(db.source);
  expect(await describeSchema(db.target)).toEqual(source.filter((line) => !leftOut.test(line)));
  await compareTables(db.source, db.target);
  const events = running.pipeline.events.after(0);
  expect(events.filter(({ code }) => code === 'PART_NOT_CREATED' || code === 'SCHEMA_NOT_CREATED')).toEqual([]);
  const findings = events.filter(({ message }) => message.startsWith('Not created'));
  expect(findings).toHaveLength(told.length > 0 ? 1 : 0);
  for (const each of told) expect(findings[0]?.message).toContain(`1 ${each}`);
});
