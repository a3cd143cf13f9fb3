import type { Client } from 'pg';
import type { RelationName } from '../catalog/relation.ts';

// One statement for all of them: there may be thousands.

/**
 * From here on the changes of these tables go to their spools, which are empty, until they are copied. To be called between two
 * batches of the stream, or before it begins.
 */
export async function storeSpooling(target: Client, pipeline: string, sources: readonly RelationName[]): Promise<void> {
  const names = columns(sources);
  await target.query(
    `DELETE FROM pgfollow.spool WHERE pipeline = $1
        AND (source_schema, source_table) IN (SELECT * FROM unnest($2::pg_catalog.text[], $3::pg_catalog.text[]))`,
    [pipeline, ...names],
  );
  await target.query(
    `UPDATE pgfollow.table_state
        SET state = 'pending', spooling = true, has_rows = false, error_code = NULL, error_message = NULL, error_remedy = NULL,
            since = pg_catalog.clock_timestamp(), copy_snapshot = NULL, copy_wal_end = NULL
      WHERE pipeline = $1
        AND (source_schema, source_table) IN (SELECT * FROM unnest($2::pg_catalog.text[], $3::pg_catalog.text[]))`,
    [pipeline, ...names],
  );
}

/**
 * These tables count as copied, because their rows are there already. `bare` are those among them whose indexes are still to be
 * built; their changes go to the spool until then.
 */
export async function storeTakenAsIs(
  target: Client,
  pipeline: string,
  sources: readonly RelationName[],
  bare: readonly RelationName[],
): Promise<void> {
  await target.query(
    `UPDATE pgfollow.table_state
        SET state = CASE WHEN bare.schema IS NULL THEN 'catching_up' ELSE 'indexing' END, spooling = bare.schema IS NOT NULL,
            has_rows = true, rows_copied = 0, bytes_copied = 0, since = pg_catalog.clock_timestamp(),
            copy_started_at = pg_catalog.clock_timestamp(), copy_finished_at = pg_catalog.clock_timestamp(),
            error_code = NULL, error_message = NULL, error_remedy = NULL, copy_snapshot = NULL, copy_wal_end = NULL
       FROM unnest($2::pg_catalog.text[], $3::pg_catalog.text[]) AS taken (schema, name)
            LEFT JOIN unnest($4::pg_catalog.text[], $5::pg_catalog.text[]) AS bare (schema, name) USING (schema, name)
      WHERE pipeline = $1 AND source_schema = taken.schema AND source_table = taken.name`,
    [pipeline, ...columns(sources), ...columns(bare)],
  );
}

/**
 * Those of these tables whose spools are empty join the others, and are returned. To be called between two batches of the
 * stream.
 */
export async function joinStream(target: Client, pipeline: string, sources: readonly RelationName[]): Promise<RelationName[]> {
  const { rows } = await target.query<RelationName>(
    `UPDATE pgfollow.table_state t
        SET state = 'streaming', since = pg_catalog.clock_timestamp(), spooling = false, copy_snapshot = NULL, copy_wal_end = NULL,
            error_code = NULL, error_message = NULL, error_remedy = NULL
      WHERE pipeline = $1
        AND (source_schema, source_table) IN (SELECT * FROM unnest($2::pg_catalog.text[], $3::pg_catalog.text[]))
        AND NOT EXISTS (SELECT FROM pgfollow.spool s WHERE s.pipeline = t.pipeline
                           AND s.source_schema = t.source_schema AND s.source_table = t.source_table)
      RETURNING source_schema AS schema, source_table AS name`,
    [pipeline, ...columns(sources)],
  );
  return rows;
}

function columns(sources: readonly RelationName[]): [string[], string[]] {
  return [sources.map(({ schema }) => schema), sources.map(({ name }) => name)];
}
