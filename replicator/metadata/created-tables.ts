import type { Client } from 'pg';
import { displayName, type RelationName } from '../catalog/relation.ts';

/** A target table that pgfollow has made, as far as something of it is still missing. */
export interface CreatedTable {
  readonly target: RelationName;
  /** Keys, indexes and constraints of its own are there. */
  readonly built: boolean;
  /** And its foreign keys, none of which the target has refused. */
  readonly linked: boolean;
  /** The target has refused something of it, foreign keys apart. */
  readonly lacking: boolean;
}

/** Tables of this pipeline's making, by the display name of the target table. */
export async function readCreatedTables(target: Client, pipeline: string): Promise<Map<string, CreatedTable>> {
  const { rows } = await target.query<RelationName & Omit<CreatedTable, 'target'>>(
    `SELECT target_schema AS schema, target_table AS name, built_at IS NOT NULL AS built,
            linked_at IS NOT NULL AND NOT refused.keys AS linked, refused.others AS lacking
       FROM pgfollow.created_table t,
            LATERAL (SELECT COALESCE(pg_catalog.bool_or(is_key), false) AS keys, COALESCE(pg_catalog.bool_or(NOT is_key), false) AS others
                       FROM pgfollow.created_part p, LATERAL (SELECT pg_catalog.starts_with(p.part, 'foreign key ') AS is_key) k
                      WHERE (p.pipeline, p.target_schema, p.target_table) = (t.pipeline, t.target_schema, t.target_table)
                        AND p.refused IS NOT NULL) refused
      WHERE pipeline = $1`,
    [pipeline],
  );
  return new Map(rows.map(({ schema, name, ...done }) => [displayName({ schema, name }), { target: { schema, name }, ...done }]));
}

/** Remembers that we make these tables, in the transaction that makes them. Those of such a name that were dropped are forgotten. */
export async function storeCreated(target: Client, pipeline: string, tables: readonly RelationName[]): Promise<void> {
  const names = [tables.map(({ schema }) => schema), tables.map(({ name }) => name)];
  await target.query(
    `DELETE FROM pgfollow.created_table WHERE pipeline = $1
        AND (target_schema, target_table) IN (SELECT * FROM unnest($2::pg_catalog.text[], $3::pg_catalog.text[]))`,
    [pipeline, ...names],
  );
  await target.query(
    `INSERT INTO pgfollow.created_table (pipeline, target_schema, target_table)
     SELECT $1, * FROM unnest($2::pg_catalog.text[], $3::pg_catalog.text[])`,
    [pipeline, ...names],
  );
}

/** The tables are as they should be, but for foreign keys (`built_at`), or altogether (`linked_at`). */
export async function markCreated(
  target: Client,
  pipeline: string,
  tables: readonly RelationName[],
  what: 'built_at' | 'linked_at',
): Promise<void> {
  if (tables.length === 0) return;
  await target.query(
    `UPDATE pgfollow.created_table SET ${what} = pg_catalog.clock_timestamp()
      WHERE pipeline = $1 AND (target_schema, target_table) IN (SELECT * FROM unnest($2::pg_catalog.text[], $3::pg_catalog.text[]))`,
    [pipeline, tables.map(({ schema }) => schema), tables.map(({ name }) => name)],
  );
}

/** What is done of these tables: display name of the target table -> each part that is there (null), or was refused (why). */
export async function readParts(
  target: Client,
  pipeline: string,
  tables: readonly RelationName[],
): Promise<Map<string, ReadonlyMap<string, string | null>>> {
  const { rows } = await target.query<RelationName & { parts: Record<string, string | null> }>(
    `SELECT target_schema AS schema, target_table AS name, pg_catalog.json_object_agg(part, refused) AS parts FROM pgfollow.created_part
      WHERE pipeline = $1 AND (target_schema, target_table) IN (SELECT * FROM unnest($2::pg_catalog.text[], $3::pg_catalog.text[]))
      GROUP BY 1, 2`,
    [pipeline, tables.map(({ schema }) => schema), tables.map(({ name }) => name)],
  );
  return new Map(rows.map((row) => [displayName(row), new Map(Object.entries(row.parts))]));
}

/** Writes down that a part is there, in the transaction that made it, or why it is not. */
export async function storePart(
  target: Client,
  pipeline: string,
  table: RelationName,
  { part, refused }: { part: string; refused: string | null },
): Promise<void> {
  await target.query(
    `INSERT INTO pgfollow.created_part (pipeline, target_schema, target_table, part, refused) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (pipeline, target_schema, target_table, part) DO UPDATE SET refused = EXCLUDED.refused`,
    [pipeline, table.schema, table.name, part, refused],
  );
}
