import { describe, expect, test } from 'vitest';
import type { Column, Relation } from '../catalog/relation.ts';
import { TYPE_OID } from '../postgres/oid.ts';
import type { StreamRelation } from '../pgoutput/messages.ts';
import { buildColumn, buildIndex, buildMapping, buildRelation } from '../testing/build-relation.ts';
import { mapRows, type RowMap } from './row-map.ts';
import { deleteStatement, insertStatement, truncateSql, updateStatement, type OnMissing, type Statement } from './statements.ts';

const text = { oid: TYPE_OID.text, sqlName: 'text' };
const id = buildColumn('id', { notNull: true });
const v = buildColumn('v', { type: text });
const key = { uniqueIndexes: [buildIndex('t_pkey', ['id'], { primary: true })] };

/** The stream's relation as a target like this would have it, with the given key. */
function streamOf(
  target: Relation,
  replicaIdentity: StreamRelation['replicaIdentity'],
  identity: readonly string[],
): StreamRelation {
  const columns = target.columns.map(({ name, type }) => ({
    name,
    typeOid: type.oid,
    typmod: -1,
    identity: identity.includes(name),
  }));
  return { oid: 1, schema: 'public', name: 't', replicaIdentity, columns };
}

function keyed(columns: Column[] = [id, v], more: Partial<Omit<Relation, 'columns'>> = {}, identity = ['id']): RowMap {
  const target = buildRelation('t', { columns, ...key, ...more });
  return mapRows(streamOf(target, 'default', identity), buildMapping('t'), target, { binary: false });
}

function keyless(columns: Column[], more: Partial<Omit<Relation, 'columns'>> = {}): RowMap {
  const target = buildRelation('t', { columns, ...more });
  return mapRows(
    streamOf(
      target,
      'full',
      columns.map(({ name }) => name),
    ),
    buildMapping('t'),
    target,
    { binary: false },
  );
}

function update(map: RowMap, onMissing: OnMissing = 'skip', changed = map.columns, carried = map.columns): Statement {
  return updateStatement(map, { changed, carried }, onMissing);
}

/** The statement, and which columns its parameters are. */
function shown({ sql, row, old, types, answer }: Statement): string {
  const names = [...row.map((column) => column.target.name), ...old.map((column) => `old ${column.target.name}`)];
  expect(types).toHaveLength(names.length);
  return `${sql} -- (${names.map((name, i) => `${name} ${types[i]}`).join(', ')}) ${answer}`;
}

describe('INSERT', () => {
  test('of a row', () => {
    expect(shown(insertStatement(keyed(), 'error'))).toMatchInlineSnapshot(
      `"INSERT INTO "public"."t" ("id", "v") VALUES ($1, $2) -- (id 23, v 25) touched"`,
    );
  });

  test('where an existing row is overwritten', () => {
    expect(shown(insertStatement(keyed(), 'source_wins'))).toMatchInlineSnapshot(
      `"WITH existing AS (SELECT FROM ONLY "public"."t" AS t WHERE t."id" = $1), written AS (INSERT INTO "public"."t" ("id", "v") VALUES ($1, $2) ON CONFLICT ("id") DO UPDATE SET "v" = EXCLUDED."v") SELECT pg_catalog.count(*) FROM existing -- (id 23, v 25) existed"`,
    );
    expect(shown(insertStatement(keyed([id]), 'source_wins'))).toMatchInlineSnapshot(
      `"WITH existing AS (SELECT FROM ONLY "public"."t" AS t WHERE t."id" = $1), written AS (INSERT INTO "public"."t" ("id") VALUES ($1) ON CONFLICT ("id") DO NOTHING) SELECT pg_catalog.count(*) FROM existing -- (id 23) existed"`,
    );
  });

  test('where there is no key that could exist', () => {
    expect(insertStatement(keyless([v]), 'source_wins').sql).toBe(insertStatement(keyless([v]), 'error').sql);
    const partial = { uniqueIndexes: [buildIndex('u', ['id'], { identifies: false })] };
    expect(insertStatement(keyed([id, v], partial), 'source_wins').sql).not.toContain('ON CONFLICT');
  });

  test('into identity columns', () => {
    const always = buildColumn('id', { identity: 'always', notNull: true });
    expect(insertStatement(keyed([always, v]), 'error').sql).toMatchInlineSnapshot(
      `"INSERT INTO "public"."t" ("id", "v") OVERRIDING SYSTEM VALUE VALUES ($1, $2)"`,
    );
    expect(insertStatement(keyed([buildColumn('id', { identity: 'by default' }), v]), 'error').sql).not.toContain('OVERRIDING');
    const counter = buildColumn('n', { identity: 'always' });
    expect(shown(insertStatement(keyed([id, counter, v]), 'source_wins'))).toMatchInlineSnapshot(
      `"WITH gone AS (DELETE FROM ONLY "public"."t" AS t WHERE t."id" = $1 RETURNING t.*), rewritten AS (INSERT INTO "public"."t" ("id", "n", "v") OVERRIDING SYSTEM VALUE SELECT $1, $2, $3 FROM gone), written AS (INSERT INTO "public"."t" ("id", "n", "v") OVERRIDING SYSTEM VALUE SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT FROM gone)) SELECT pg_catalog.count(*) FROM gone -- (id 23, n 23, v 25) existed"`,
    );
  });

  test('leaves out what the target generates', () => {
    expect(insertStatement(keyed([id, buildColumn('g', { generated: 'stored' })]), 'error').sql).toMatchInlineSnapshot(
      `"INSERT INTO "public"."t" ("id") VALUES ($1)"`,
    );
  });

  test('into a table without columns', () => {
    expect(insertStatement(keyless([]), 'error').sql).toMatchInlineSnapshot(`"INSERT INTO "public"."t" DEFAULT VALUES"`);
  });
});

describe('UPDATE', () => {
  test('by the key, old values after the new ones', () => {
    expect(shown(update(keyed()))).toMatchInlineSnapshot(
      `"UPDATE ONLY "public"."t" AS t SET "id" = $1, "v" = $2 WHERE t."id" = $3 -- (id 23, v 25, old id 23) touched"`,
    );
  });

  test('of the columns that were sent', () => {
    const map = keyed([id, v, buildColumn('w')]);
    const sent = map.columns.filter((column) => column.target.name !== 'v');
    expect(shown(update(map, 'skip', sent, sent))).toMatchInlineSnapshot(
      `"UPDATE ONLY "public"."t" AS t SET "id" = $1, "w" = $2 WHERE t."id" = $3 -- (id 23, w 23, old id 23) touched"`,
    );
    // A row that is not complete cannot be put in.
    expect(update(map, 'insert', sent, sent)).toMatchObject({ answer: 'touched', sql: expect.not.stringContaining('INSERT') });
  });

  test('that puts a missing row in', () => {
    expect(shown(update(keyed(), 'insert'))).toMatchInlineSnapshot(
      `"WITH updated AS (UPDATE ONLY "public"."t" AS t SET "id" = $1, "v" = $2 WHERE t."id" = $3 RETURNING 1) INSERT INTO "public"."t" ("id", "v") SELECT $1, $2 WHERE NOT EXISTS (SELECT FROM updated) -- (id 23, v 25, old id 23) inserted"`,
    );
  });

  test('of a GENERATED ALWAYS identity column, which cannot be SET', () => {
    const map = keyed([buildColumn('id', { identity: 'always' }), v, buildColumn('g', { generated: 'stored' })]);
    expect(shown(update(map))).toMatchInlineSnapshot(
      `"WITH gone AS (DELETE FROM ONLY "public"."t" AS t WHERE t."id" = $3 RETURNING t.*) INSERT INTO "public"."t" ("id", "v") OVERRIDING SYSTEM VALUE SELECT $1, $2 FROM gone -- (id 23, v 25, old id 23) touched"`,
    );
    expect(shown(update(map, 'insert'))).toMatchInlineSnapshot(
      `"WITH gone AS (DELETE FROM ONLY "public"."t" AS t WHERE t."id" = $3 RETURNING t.*), updated AS (INSERT INTO "public"."t" ("id", "v") OVERRIDING SYSTEM VALUE SELECT $1, $2 FROM gone RETURNING 1) INSERT INTO "public"."t" ("id", "v") OVERRIDING SYSTEM VALUE SELECT $1, $2 WHERE NOT EXISTS (SELECT FROM updated) -- (id 23, v 25, old id 23) inserted"`,
    );
    const rest = map.columns.filter((column) => column.target.name === 'v');
    expect(shown(update(map, 'skip', rest))).toMatchInlineSnapshot(
      `"UPDATE ONLY "public"."t" AS t SET "v" = $1 WHERE t."id" = $2 -- (v 25, old id 23) touched"`,
    );
    expect(shown(update(map, 'insert', rest))).toMatchInlineSnapshot(
      `"WITH updated AS (UPDATE ONLY "public"."t" AS t SET "v" = $2 WHERE t."id" = $3 RETURNING 1) INSERT INTO "public"."t" ("id", "v") OVERRIDING SYSTEM VALUE SELECT $1, $2 WHERE NOT EXISTS (SELECT FROM updated) -- (id 23, v 25, old id 23) inserted"`,
    );
  });

  test('where nothing was sent that could be set', () => {
    const map = keyed([buildColumn('id', { identity: 'always' }), v]);
    expect(shown(update(map, 'skip', [], map.columns.slice(0, 1)))).toMatchInlineSnapshot(
      `"UPDATE ONLY "public"."t" AS t SET "v" = t."v" WHERE t."id" = $1 -- (old id 23) touched"`,
    );
  });

  test('by a key of several columns', () => {
    const map = keyed([id, buildColumn('region', { type: text }), v], {}, ['id', 'region']);
    expect(update(map).sql).toMatchInlineSnapshot(
      `"UPDATE ONLY "public"."t" AS t SET "id" = $1, "region" = $2, "v" = $3 WHERE t."id" = $4 AND t."region" = $5"`,
    );
  });

  test('of one of the rows that equal the old one, found by its image', () => {
    const map = keyless([id, v]);
    expect(shown(updateStatement(map, { changed: map.columns, carried: map.columns }, 'skip', new Set()))).toMatchInlineSnapshot(
      `"UPDATE ONLY "public"."t" AS t SET "id" = $1, "v" = $2 WHERE t.ctid = (SELECT s.ctid FROM ONLY "public"."t" AS s WHERE s."id" = $3 AND s."v" = $4 LIMIT 1) -- (id 23, v 25, old id 23, old v 25) touched"`,
    );
  });
});

describe('DELETE', () => {
  test('by the key', () => {
    expect(shown(deleteStatement(keyed()))).toMatchInlineSnapshot(
      `"DELETE FROM ONLY "public"."t" AS t WHERE t."id" = $1 -- (old id 23) touched"`,
    );
  });

  test('of one of the rows that equal the old one, in a partitioned table too', () => {
    expect(shown(deleteStatement(keyless([v]), new Set()))).toMatchInlineSnapshot(
      `"DELETE FROM ONLY "public"."t" AS t WHERE t.ctid = (SELECT s.ctid FROM ONLY "public"."t" AS s WHERE s."v" = $1 LIMIT 1) -- (old v 25) touched"`,
    );
    expect(shown(deleteStatement(keyless([v], { kind: 'partitioned' }), new Set()))).toMatchInlineSnapshot(
      `"DELETE FROM "public"."t" AS t WHERE (t.tableoid, t.ctid) = (SELECT s.tableoid, s.ctid FROM "public"."t" AS s WHERE s."v" = $1 LIMIT 1) -- (old v 25) touched"`,
    );
    expect(shown(deleteStatement(keyless([]), new Set()))).toMatchInlineSnapshot(
      `"DELETE FROM ONLY "public"."t" AS t WHERE t.ctid = (SELECT s.ctid FROM ONLY "public"."t" AS s WHERE true LIMIT 1) -- () touched"`,
    );
  });

  test('what is NULL in the image is told by the statement, or asked by one that serves all', () => {
    const map = keyless([id, v, buildColumn('w')]);
    expect(shown(deleteStatement(map, new Set(map.columns.slice(1, 2))))).toMatchInlineSnapshot(
      `"DELETE FROM ONLY "public"."t" AS t WHERE t.ctid = (SELECT s.ctid FROM ONLY "public"."t" AS s WHERE s."id" = $1 AND s."v" IS NULL AND s."w" = $2 LIMIT 1) -- (old id 23, old w 23) touched"`,
    );
    expect(shown(deleteStatement(map, 'any'))).toMatchInlineSnapshot(
      `"DELETE FROM ONLY "public"."t" AS t WHERE t.ctid = (SELECT s.ctid FROM ONLY "public"."t" AS s WHERE s."id" = $1 AND (s."w" = $3 OR (s."w" IS NULL AND $3 IS NULL)) AND (s."v" = $2 OR (s."v" IS NULL AND $2 IS NULL)) LIMIT 1) -- (old id 23, old v 25, old w 23) touched"`,
    );
  });

  test('without a key to go by finds nothing', () => {
    expect(deleteStatement(keyed([id, v], {}, [])).sql).toContain('WHERE false');
  });

  test("by a type's own equality, also behind a domain", () => {
    const citext = { oid: 20000, sqlName: 'ext.citext', operatorSchema: 'ex"t' };
    const domain = { oid: 20001, baseOid: 20000, sqlName: 'public.email', kind: 'domain' as const, operatorSchema: 'ex"t' };
    expect(deleteStatement(keyed([buildColumn('id', { type: citext })])).sql).toMatchInlineSnapshot(
      `"DELETE FROM ONLY "public"."t" AS t WHERE t."id" OPERATOR("ex""t".=) $1"`,
    );
    expect(deleteStatement(keyed([buildColumn('id', { type: domain })])).sql).toContain(`OPERATOR("ex""t".=) $1`);
  });
});

test('TRUNCATE of a group is one statement, never with CASCADE', () => {
  const maps = [keyed(), keyless([v], { kind: 'partitioned', name: 'p "q"' })];
  expect(truncateSql(maps, false)).toMatchInlineSnapshot(`"TRUNCATE TABLE ONLY "public"."t", "public"."p ""q""""`);
  expect(truncateSql(maps.slice(0, 1), true)).toMatchInlineSnapshot(`"TRUNCATE TABLE ONLY "public"."t" RESTART IDENTITY"`);
});

test('values of another built-in type are read as what they are, and cast', () => {
  const target = buildRelation('t', {
    columns: [buildColumn('id', { type: { oid: TYPE_OID.int8, sqlName: 'bigint' } }), buildColumn('done'), v],
    ...key,
  });
  const relation: StreamRelation = {
    oid: 1,
    schema: 'public',
    name: 't',
    replicaIdentity: 'default',
    columns: [
      { name: 'id', typeOid: TYPE_OID.numeric, typmod: -1, identity: true },
      { name: 'done', typeOid: TYPE_OID.bool, typmod: -1, identity: false },
      { name: 'v', typeOid: TYPE_OID.varchar, typmod: -1, identity: false },
    ],
  };
  const map = mapRows(relation, buildMapping('t'), target, { binary: false });
  expect(shown(insertStatement(map, 'error'))).toMatchInlineSnapshot(
    `"INSERT INTO "public"."t" ("id", "done", "v") VALUES ($1::bigint, $2::integer, $3) -- (id 1700, done 16, v 25) touched"`,
  );
  expect(shown(update(map))).toMatchInlineSnapshot(
    `"UPDATE ONLY "public"."t" AS t SET "id" = $1::bigint, "done" = $2::integer, "v" = $3 WHERE t."id" = $4::bigint -- (id 1700, done 16, v 25, old id 1700) touched"`,
  );
});
