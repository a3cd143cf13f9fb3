import { expect, test } from 'vitest';
import { compareTables } from '../testing/compare.ts';
import { complete } from '../testing/created.ts';
import { sql, testDatabases } from '../testing/databases.ts';
import { describeSchema } from '../testing/describe-schema.ts';
import { eventually } from '../testing/eventually.ts';
import { startPipeline } from '../testing/run-pipeline.ts';

test('text search configurations and dictionaries that columns and indexes use are made', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `CREATE SCHEMA "Search"; CREATE TEXT SEARCH DICTIONARY "Search"."My words" (TEMPLATE = pg_catalog.simple, StopWords = english, Accept = false);
     CREATE TEXT SEARCH CONFIGURATION en (COPY = pg_catalog.english);
     ALTER TEXT SEARCH CONFIGURATION en ALTER MAPPING FOR asciiword, hword_part WITH "Search"."My words", english_stem;
     ALTER TEXT SEARCH CONFIGURATION en DROP MAPPING FOR email;
     CREATE TEXT SEARCH CONFIGURATION bare (PARSER = pg_catalog."default");
     CREATE TABLE page (id int PRIMARY KEY, body text, words tsvector GENERATED ALWAYS AS (to_tsvector('public.en', body)) STORED);
     CREATE INDEX ON page USING gin (words); CREATE INDEX page_bare ON page USING gin (to_tsvector('public.bare', body));
     INSERT INTO page VALUES (1, 'The running foxes, the mail fox@example.com and 12 hens')`,
  );
  await using running = startPipeline(db);
  await running.caughtUp();
  await complete(running, db);
  const mappings = `SELECT c.cfgname, m.maptokentype, m.mapseqno, m.mapdict::regdictionary::text AS dict, d.dictinitoption
    FROM pg_ts_config c LEFT JOIN pg_ts_config_map m ON m.mapcfg = c.oid LEFT JOIN pg_ts_dict d ON d.oid = m.mapdict WHERE c.oid >= 16384 ORDER BY 1, 2, 3`;
  expect(await sql(db.target, mappings)).toEqual(await sql(db.source, mappings));
  expect(await describeSchema(db.target)).toEqual(await describeSchema(db.source));
  await sql(db.source, `INSERT INTO page VALUES (2, 'More foxes')`);
  await running.caughtUp();
  await compareTables(db.source, db.target);
});

// An operator of its own sorts backwards; a type of its own is text by another name.
const PIECES = `
  CREATE TYPE label; CREATE FUNCTION label_in(cstring) RETURNS label LANGUAGE internal IMMUTABLE STRICT AS 'textin';
  CREATE FUNCTION label_out(label) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
  CREATE TYPE label (INPUT = label_in, OUTPUT = label_out, LIKE = text);
  CREATE FUNCTION backwards(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $2 - $1';
  CREATE OPERATOR CLASS public.backwards FOR TYPE int USING btree AS OPERATOR 1 >, OPERATOR 2 >=, OPERATOR 3 =, OPERATOR 4 <=, OPERATOR 5 <, FUNCTION 1 backwards(int, int)`;

test('what is not made is told with the commands that bring it, and its table is taken up once it is there', async () => {
  await using db = await testDatabases();
  await sql(
    db.source,
    `${PIECES}; CREATE TABLE parcel (id int PRIMARY KEY, tag label); INSERT INTO parcel VALUES (1, 'a');
     CREATE TABLE sorted (id int PRIMARY KEY, n int); CREATE INDEX sorted_n ON sorted (n public.backwards); INSERT INTO sorted VALUES (1, 1);
     CREATE TABLE later (id int PRIMARY KEY, n int); CREATE UNIQUE INDEX later_n ON later (n public.backwards); CREATE INDEX later_m ON later (n public.backwards, id)`,
  );
  await using running = startPipeline(db);
  await running.caughtUp();
  const commands = [
    `pg_dump --schema-only --format=custom --file=schema.dump --schema='"public"' "$PGFOLLOW_SOURCE_URL"`,
    `grep -E ' (SHELL TYPE|TYPE|FUNCTION|AGGREGATE|OPERATOR|OPERATOR FAMILY|OPERATOR CLASS|TEXT SEARCH [A-Z]+) public '`,
    'pg_restore --use-list=missing.list --dbname="$PGFOLLOW_TARGET_URL" schema.dump',
  ];
  const { model, events } = running.pipeline;
  expect(model.table('public.parcel')).toMatchObject({
    state: 'error',
    error: {
      code: 'SCHEMA_NOT_CREATED',
      message: expect.stringContaining('type public.label does not exist there, and pgfollow does not create it'),
    },
  });
  for (const command of commands) expect(model.table('public.parcel')?.error?.remedy).toContain(command);
  expect(model.table('public.sorted')).toMatchObject({ state: 'streaming' });
  await eventually(() => expect(events.after().filter(({ code }) => code === 'PART_NOT_CREATED')).toHaveLength(2));
  const found = events.after().filter(({ code, message }) => code === 'TABLE_FINDING' && message.includes('backwards'));
  expect(found.map(({ message, remedy }) => `${message} ${remedy}`)).toContainEqual(expect.stringContaining(commands[0] ?? ''));
  expect(events.after()).toContainEqual(
    expect.objectContaining({
      code: 'PART_NOT_CREATED',
      message: expect.stringContaining('index public.sorted_n'),
      remedy: expect.stringContaining('CREATE INDEX "sorted_n"'),
    }),
  );
  await sql(db.target, PIECES);
  await running.pipeline.controls.retryTable('public.parcel', 'test');
  await eventually(() => expect(model.table('public.parcel')).toMatchObject({ state: 'streaming', error: null }), {
    timeout: 30_000,
  });
  await sql(db.source, `INSERT INTO parcel VALUES (2, 'b')`);
  await running.caughtUp();
  await compareTables(db.source, db.target);

  // What was refused is tried again: of a table in no error because somebody asks, of others at the next start.
  await expect(running.pipeline.controls.retryTable('public.parcel', 'test')).rejects.toMatchObject({ code: 'NOT_POSSIBLE_NOW' });
  await running.pipeline.controls.retryTable('public.sorted', 'test');
  await eventually(() =>
    expect(events.after()).toContainEqual(
      expect.objectContaining({
        code: 'PART_CREATED',
        message: 'public.sorted has what it went without: index public.sorted_n.',
      }),
    ),
  );
  await running.stop();
  // One was made by hand, of another an attempt was cut short.
  await sql(db.target, `CREATE UNIQUE INDEX later_n ON later (n public.backwards); CREATE INDEX later_m ON later (n)`);
  await sql(db.target, `UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'later_m'::regclass`);
  await using again = startPipeline(db);
  await eventually(
    () =>
      expect(again.pipeline.events.after()).toContainEqual(
        expect.objectContaining({
          code: 'PART_CREATED',
          message: 'public.later has what it went without: index public.later_m; index public.later_n.',
        }),
      ),
    { timeout: 30_000 },
  );
  const indexes = `SELECT indexdef, indisvalid FROM pg_indexes JOIN pg_index ON indexrelid = format('%I.%I', schemaname, indexname)::regclass WHERE schemaname = 'public' ORDER BY 1`;
  expect(await sql(db.target, indexes)).toEqual(await sql(db.source, indexes));
  await expect(again.pipeline.controls.retryTable('public.later', 'test')).rejects.toMatchObject({ code: 'NOT_POSSIBLE_NOW' });
  expect(await sql(db.target, 'SELECT FROM pgfollow.created_part WHERE refused IS NOT NULL')).toEqual([]);
});
