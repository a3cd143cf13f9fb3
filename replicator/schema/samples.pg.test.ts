import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { complete } from '../testing/created.ts';
import { ownServers, sql, testDatabases } from '../testing/databases.ts';
import { describeSchema } from '../testing/describe-schema.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline } from '../testing/run-pipeline.ts';

function sample(name: string): string {
  return readFileSync(new URL(`samples/${name}.sql`, import.meta.url), 'utf8');
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
  await complete(running, db);
  const source = await describeSchema(db.source);
  expect(await describeSchema(db.target)).toEqual(source.filter((line) => !leftOut.test(line)));
  await compareTables(db.source, db.target);
  const events = running.pipeline.events.after(0);
  expect(events.filter(({ code }) => code.endsWith('_NOT_CREATED'))).toEqual([]);
  const findings = events.filter(({ message }) => message.startsWith('Not created'));
  expect(findings).toHaveLength(told.length > 0 ? 1 : 0);
  for (const each of told) expect(findings[0]?.message).toContain(`1 ${each}`);
});

test('from the oldest version to the newest, and not the other way', async () => {
  const older = await ownServers({ source: { version: 14 }, target: { version: 18 } });
  await using db = older;
  for (const { name } of SAMPLES) await sql(db.source, sample(name));
  await using running = startPipeline(db);
  await running.caughtUp();
  await complete(running, db);
  await compareTables(db.source, db.target);
  expect(running.pipeline.model.status().problems).toEqual([]);
  expect(running.pipeline.events.after(0).filter(({ code }) => code.endsWith('_NOT_CREATED'))).toEqual([]);
  // What 14 knows: names of NOT NULL constraints are new in 18, and partitions share the identity of their table since 17.
  const known = (line: string): boolean =>
    !line.includes(': NOT NULL ') && !/film_words|^schema|^extension|^column rental\.payment_.*\.payment_id/.test(line);
  const [source, target] = [await describeSchema(db.source), await describeSchema(db.target)];
  expect(target.filter(known)).toEqual(source.filter(known));
  // An extension that 18 has no more.
  await sql(
    db.source,
    `CREATE EXTENSION adminpack; CREATE TABLE public.managed (id int PRIMARY KEY, gone boolean DEFAULT pg_catalog.pg_file_unlink('nothing'))`,
  );
  await eventually(() => running.pipeline.model.table('public.managed')?.state === 'error', { timeout: 30_000 });
  expect(running.pipeline.model.table('public.managed')).toMatchObject({
    error: {
      code: 'SCHEMA_NOT_CREATED',
      message: expect.stringMatching(/extension adminpack: extension "adminpack" is not available/),
    },
  });
  expect(running.pipeline.model.table('public.playlist')).toMatchObject({ state: 'streaming' });
  await running.stop();

  await using back = {
    ...db,
    source: db.target,
    target: db.source,
    name: `${db.name}_back`,
    [Symbol.asyncDispose]: async () => {},
  };
  await sql(db.target, 'CREATE TABLE public.newer (id int PRIMARY KEY)');
  await using refused = startPipeline(back, { tables: { include: ['public.newer'] } });
  await refused.caughtUp();
  expect(refused.pipeline.model.table('public.newer')).toMatchObject({
    state: 'error',
    error: { code: 'SCHEMA_NOT_CREATED', message: expect.stringContaining('the source is 18, the target 14') },
  });
  await refused.stop();
});
