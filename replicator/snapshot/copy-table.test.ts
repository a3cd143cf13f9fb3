import { expect, test } from 'vitest';
import type { ColumnPair } from '../catalog/match-target.ts';
import type { Column, Relation } from '../catalog/relation.ts';
import { TYPE_OID } from '../postgres/oid.ts';
import { buildColumn, buildMapping, buildRelation } from '../testing/build-relation.ts';
import { copyInSql, copyOutSql } from './copy-table.ts';

const id = buildColumn('id');
const odd = buildColumn('odd "name"');
const flag = buildColumn('flag', { type: { oid: TYPE_OID.bool, sqlName: 'boolean' } });

function pair(source: Column, target: Column = source): ColumnPair {
  return { source, target };
}

function out(
  more: { columns?: ColumnPair[]; source?: Partial<Omit<Relation, 'columns'>>; where?: string; binary?: boolean } = {},
): string {
  const { columns = [pair(id), pair(odd)], where = null, binary = true } = more;
  return copyOutSql({ mapping: buildMapping('t', { where }), source: buildRelation('t', more.source), columns, binary });
}

test('a plain table is named, so that what inherits from it is left out', () => {
  expect(out()).toMatchInlineSnapshot(`"COPY "public"."t" ("id", "odd ""name""") TO STDOUT (FORMAT binary)"`);
  expect(out({ binary: false })).toMatchInlineSnapshot(`"COPY "public"."t" ("id", "odd ""name""") TO STDOUT (FORMAT text)"`);
});

test('a partitioned table, a filter, a generated column, a cast want a query', () => {
  expect(out({ source: { kind: 'partitioned' } })).toMatchInlineSnapshot(
    `"COPY (SELECT "id", "odd ""name""" FROM "public"."t") TO STDOUT (FORMAT binary)"`,
  );
  expect(out({ where: 'id > 0 -- all' })).toMatchInlineSnapshot(`
    "COPY (SELECT "id", "odd ""name""" FROM ONLY "public"."t" WHERE (id > 0 -- all
    )) TO STDOUT (FORMAT binary)"
  `);
  expect(out({ columns: [pair(id), pair(buildColumn('g', { generated: 'stored' }))] })).toMatchInlineSnapshot(
    `"COPY (SELECT "id", "g" FROM ONLY "public"."t") TO STDOUT (FORMAT binary)"`,
  );
  expect(out({ columns: [pair(flag, id), pair(id, flag)], binary: false })).toMatchInlineSnapshot(
    `"COPY (SELECT "flag"::integer, "id"::boolean FROM ONLY "public"."t") TO STDOUT (FORMAT text)"`,
  );
});

test('so does a chunk of a table', () => {
  const task = { mapping: buildMapping('t', { where: null }), source: buildRelation('t'), columns: [pair(id)], binary: true };
  expect(copyOutSql(task, { number: 0, ranges: [{ relation: null, blocks: { from: 0, to: 4096 } }] })).toMatchInlineSnapshot(
    `"COPY (SELECT "id" FROM ONLY "public"."t" WHERE ctid >= '(0,0)' AND ctid < '(4096,0)') TO STDOUT (FORMAT binary)"`,
  );
  const filtered = { ...task, mapping: buildMapping('t', { where: 'id > 0 OR true' }) };
  expect(copyOutSql(filtered, { number: 1, ranges: [{ relation: null, blocks: { from: 4096, to: null } }] }))
    .toMatchInlineSnapshot(`
    "COPY (SELECT "id" FROM ONLY "public"."t" WHERE ctid >= '(4096,0)' AND (id > 0 OR true
    )) TO STDOUT (FORMAT binary)"
  `);
});

test('partitions are asked by name, and go by that of their table', () => {
  const source = buildRelation('t', { kind: 'partitioned' });
  const task = { mapping: buildMapping('t', { where: 't.id > 0' }), source, columns: [pair(id)], binary: true };
  const ranges = [
    { relation: { schema: 'public', name: 't_1' }, blocks: { from: 0, to: 8 } },
    { relation: { schema: 'other', name: 't_2' }, blocks: null },
  ];
  expect(copyOutSql(task, { number: 0, ranges })).toMatchInlineSnapshot(`
    "COPY (SELECT "id" FROM ONLY "public"."t_1" AS "t" WHERE ctid >= '(0,0)' AND ctid < '(8,0)' AND (t.id > 0
    ) UNION ALL SELECT "id" FROM ONLY "other"."t_2" AS "t" WHERE (t.id > 0
    )) TO STDOUT (FORMAT binary)"
  `);
});

test('so does a table without columns', () => {
  expect(out({ columns: [] })).toMatchInlineSnapshot(`"COPY (SELECT  FROM ONLY "public"."t") TO STDOUT (FORMAT binary)"`);
  expect(copyInSql({ target: buildRelation('t'), columns: [], binary: false })).toMatchInlineSnapshot(
    `"COPY "public"."t" FROM STDIN (FORMAT text)"`,
  );
});

test('into the columns of the target, whose defaults fill the rest', () => {
  const columns = [pair(id, buildColumn('amount')), pair(odd)];
  expect(copyInSql({ target: buildRelation('there'), columns, binary: true })).toMatchInlineSnapshot(
    `"COPY "public"."there" ("amount", "odd ""name""") FROM STDIN (FORMAT binary)"`,
  );
});
