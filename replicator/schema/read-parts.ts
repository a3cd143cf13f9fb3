import type { Client } from 'pg';
import { groupBy } from '../catalog/group-by.ts';
import { displayName, type RelationName, type TableMapping } from '../catalog/relation.ts';
import { readParts as readDone } from '../metadata/created-tables.ts';
import type { Oid } from '../postgres/oid.ts';
import { memberTarget } from './definition.ts';
import { TREES } from './definition-queries.ts';
import { freeName } from './free-name.ts';
import {
  CHECKS,
  INDEXES,
  MEMBERS,
  STATISTICS,
  type CheckRow,
  type IndexRow,
  type MemberRow,
  type StatisticsRow,
} from './part-queries.ts';
import { planParts, type NameIndex, type TableParts } from './parts.ts';
import type { TablePlan } from './step.ts';

/**
 * What is still to be made of these tables of ours, by what both catalogs and the metadata say now; or, of `refused`, what the target
 * has not taken.
 */
export async function planTables(
  { source, target }: { source: Client; target: Client },
  pipeline: string,
  tables: readonly { readonly oid: Oid; readonly mapping: TableMapping }[],
  what: 'left' | 'refused' = 'left',
): Promise<TablePlan[]> {
  const parts = await readTableParts(source, tables);
  const done = await readDone(
    target,
    pipeline,
    tables.map(({ mapping }) => mapping.target),
  );
  const nameIndex = await indexNames(target, parts);
  return parts.map((each) => {
    const plan = planParts(each, nameIndex);
    const known = done.get(displayName(plan.mapping.target));
    // Undefined where nothing is known of it, null where it is there.
    const isOpen = ({ part }: { part: string }): boolean =>
      what === 'left' ? known?.get(part) === undefined : typeof known?.get(part) === 'string';
    return { ...plan, steps: plan.steps.filter(isOpen), impossible: plan.impossible.filter(isOpen) };
  });
}

async function readTableParts(
  source: Client,
  tables: readonly { readonly oid: Oid; readonly mapping: TableMapping }[],
): Promise<TableParts[]> {
  const tree = (await source.query<{ root: Oid; oid: Oid }>(TREES, [tables.map(({ oid }) => oid)])).rows;
  const oids = tree.map(({ oid }) => oid);
  const members = new Map((await source.query<MemberRow>(MEMBERS, [oids])).rows.map((row) => [row.oid, row]));
  const indexes = groupBy((await source.query<IndexRow>(INDEXES, [oids])).rows, ({ relation }) => relation);
  const checks = groupBy((await source.query<CheckRow>(CHECKS, [oids])).rows, ({ relation }) => relation);
  const statistics = groupBy((await source.query<StatisticsRow>(STATISTICS, [oids])).rows, ({ relation }) => relation);
  const byRoot = groupBy(tree, ({ root }) => root);
  return tables.map(({ oid, mapping }) => {
    const own = (byRoot.get(oid) ?? []).map((member) => member.oid);
    return {
      mapping,
      members: own.map((member) => members.get(member)).filter((member) => member !== undefined),
      indexes: own.flatMap((member) => indexes.get(member) ?? []),
      checks: own.flatMap((member) => (checks.get(member) ?? []).filter((check) => member === oid || !check.inherited)),
      statistics: own.flatMap((member) => statistics.get(member) ?? []),
    };
  });
}

// A name that is taken by the table itself is of the index that is asked for, made before a crash.
async function indexNames(target: Client, parts: readonly TableParts[]): Promise<NameIndex> {
  const wanted = parts.flatMap(({ mapping, members, indexes }) => {
    const schemas = new Map(members.map((member) => [member.oid, memberTarget(mapping, member).schema]));
    return indexes.map(({ relation, name }) => ({ schema: schemas.get(relation) ?? mapping.target.schema, name }));
  });
  const { rows } = await target.query<RelationName & { on_schema: string | null; on_name: string | null }>(
    `SELECT n.nspname AS schema, c.relname AS name, tn.nspname AS on_schema, t.relname AS on_name
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
       LEFT JOIN pg_catalog.pg_class t ON t.oid = i.indrelid LEFT JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
      WHERE (n.nspname::text, c.relname::text) IN (SELECT * FROM unnest($1::pg_catalog.text[], $2::pg_catalog.text[]))`,
    [wanted.map(({ schema }) => schema), wanted.map(({ name }) => name)],
  );
  const holders = new Map(
    rows.map((row) => [
      displayName(row),
      row.on_schema === null || row.on_name === null ? '' : displayName({ schema: row.on_schema, name: row.on_name }),
    ]),
  );
  return (wanted, table) => {
    const name = freeName(wanted, table, (each) => (holders.get(displayName(each)) ?? displayName(table)) !== displayName(table));
    holders.set(displayName(name), displayName(table));
    return name;
  };
}
