import type { Client } from 'pg';
import { fine, type Finding } from '../finding.ts';
import type { Oid } from '../postgres/oid.ts';
import { some, type TablePair } from './pairs.ts';

/** Columns that a sequence of their own feeds (serial, identity), by table. */
export async function readFedColumns(client: Client, oids: readonly Oid[]): Promise<Map<Oid, string[]>> {
  const { rows } = await client.query<{ oid: Oid; columns: string[] }>(
    `select d.refobjid as oid, array_agg(distinct a.attname::pg_catalog.text) as columns
     from pg_catalog.pg_depend d
     join pg_catalog.pg_class s on s.oid = d.objid and s.relkind = 'S'
     join pg_catalog.pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
     where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
       and d.deptype in ('a', 'i') and d.refobjid = any ($1::pg_catalog.oid[])
     group by d.refobjid`,
    [oids],
  );
  return new Map(rows.map(({ oid, columns }) => [oid, columns]));
}

/** Pure: whether the target could give out the next value itself, should it take over one day. */
export function classifySequences(
  pairs: readonly TablePair[],
  fed: { source: ReadonlyMap<Oid, readonly string[]>; target: ReadonlyMap<Oid, readonly string[]> },
): Finding[] {
  const columns = pairs.flatMap(({ name, source, target, mapping }) =>
    (fed.source.get(source.oid) ?? [])
      .filter((column) => !mapping.excludeColumns.includes(column))
      .map((column) => ({
        name: `${name}.${column}`,
        there: target !== null && (fed.target.get(target.oid) ?? []).includes(mapping.renameColumns[column] ?? column),
      })),
  );
  if (columns.length === 0) return [];
  const missing = columns.filter(({ there }) => !there).map(({ name }) => name);
  const said = `${columns.length} ${columns.length === 1 ? 'column has' : 'columns have'} a sequence on the source`;
  if (missing.length === 0) return [fine('target', 'SEQUENCES', `${said}, and one on the target too.`)];
  return [
    fine('target', 'SEQUENCES', `${said}; without one on the target: ${some(missing)}. That matters once the target takes over.`),
  ];
}
