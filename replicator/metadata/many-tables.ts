import type { Client } from 'pg';
import type { RelationName } from '../catalog/relation.ts';
import { formatLsn } from '../postgres/lsn.ts';
import type { Oid } from '../postgres/oid.ts';
import type { CopiedAsOf, StoredColumns, StoredMapping, StoredPartition } from './table-states.ts';

// One statement for all of them: there may be thousands.

/**
 * Adds tables as `pending`, or puts them back there; their targets may have changed with the configuration. Gives those whose
 * rows may be of a copy of ours, made before the table left; in another target table they are not.
 */
export async function enrollTables(
  target: Client,
  pipeline: string,
  tables: readonly { readonly source: RelationName; readonly target: RelationName }[],
): Promise<RelationName[]> {
  const names = [...columns(tables.map(({ source }) => source)), ...columns(tables.map((table) => table.target))];
  await target.query(
    `DELETE FROM pgfollow.copy_chunk c
      USING pgfollow.table_state s JOIN unnest($2::pg_catalog.text[], $3::pg_catalog.text[], $4::pg_catalog.text[], $5::pg_catalog.text[])
            AS t (source_schema, source_table, target_schema, target_table) USING (source_schema, source_table)
      WHERE s.pipeline = $1 AND (s.target_schema, s.target_table) <> (t.target_schema, t.target_table)
        AND (c.pipeline, c.source_schema, c.source_table) = (s.pipeline, s.source_schema, s.source_table)`,
    [pipeline, ...names],
  );
  const { rows } = await target.query<RelationName & { ours: boolean }>(
    `INSERT INTO pgfollow.table_state AS s (pipeline, source_schema, source_table, target_schema, target_table, state)
     SELECT $1, t.source_schema, t.source_table, t.target_schema, t.target_table, 'pending'
       FROM unnest($2::pg_catalog.text[], $3::pg_catalog.text[], $4::pg_catalog.text[], $5::pg_catalog.text[])
            AS t (source_schema, source_table, target_schema, target_table)
     ON CONFLICT (pipeline, source_schema, source_table) DO UPDATE
       SET target_schema = EXCLUDED.target_schema, target_table = EXCLUDED.target_table, state = 'pending',
           since = pg_catalog.clock_timestamp(), rows_copied = 0, bytes_copied = 0, copy_started_at = NULL,
           copy_finished_at = CASE WHEN (s.target_schema, s.target_table) = (EXCLUDED.target_schema, EXCLUDED.target_table) THEN s.copy_finished_at END,
           error_code = NULL, error_message = NULL, error_remedy = NULL,
           spooling = false, has_rows = false, copy_snapshot = NULL, copy_wal_end = NULL, left_at = NULL
     RETURNING source_schema AS schema, source_table AS name, copy_finished_at IS NOT NULL AS ours`,
    [pipeline, ...names],
  );
  return rows.filter(({ ours }) => ours);
}

/** Notes which table of the source each is. */
export async function storeSourceOids(
  target: Client,
  pipeline: string,
  tables: readonly { readonly source: RelationName; readonly oid: Oid }[],
): Promise<void> {
  const values = tables.map(({ source, oid }) => ({ source, value: String(oid) }));
  await storeOfEach(target, pipeline, 'source_oid = t.value::pg_catalog.oid', values);
}

/** Notes which partitions each table has. */
export async function storePartitions(
  target: Client,
  pipeline: string,
  tables: readonly { readonly source: RelationName; readonly partitions: readonly StoredPartition[] }[],
): Promise<void> {
  const values = tables.map(({ source, partitions }) => ({ source, value: JSON.stringify(partitions) }));
  await storeOfEach(target, pipeline, 'partitions = t.value::pg_catalog.jsonb', values);
}

/** Notes which column each name of a table stands for. */
export async function storeColumns(
  target: Client,
  pipeline: string,
  tables: readonly { readonly source: RelationName; readonly columns: StoredColumns }[],
): Promise<void> {
  const values = tables.map(({ source, columns: places }) => ({ source, value: JSON.stringify(places) }));
  await storeOfEach(target, pipeline, 'columns = t.value::pg_catalog.jsonb', values);
}

/** Notes how each table is mapped. */
export async function storeMappings(
  target: Client,
  pipeline: string,
  tables: readonly { readonly source: RelationName; readonly mapping: StoredMapping }[],
): Promise<void> {
  const values = tables.map(({ source, mapping }) => ({ source, value: JSON.stringify(mapping) }));
  await storeOfEach(target, pipeline, 'mapping = t.value::pg_catalog.jsonb', values);
}

/** Notes by which entries of the publications each table's changes come. */
export async function storeMemberships(
  target: Client,
  pipeline: string,
  tables: readonly { readonly source: RelationName; readonly membership: readonly string[] }[],
): Promise<void> {
  const values = tables.map(({ source, membership }) => ({ source, value: membership.join() }));
  await storeOfEach(target, pipeline, `membership = pg_catalog.string_to_array(t.value, ',')`, values);
}

// One text a table: arrays of arrays must have one length.
async function storeOfEach(
  target: Client,
  pipeline: string,
  assignment: string,
  values: readonly { readonly source: RelationName; readonly value: string }[],
): Promise<void> {
  await target.query(
    `UPDATE pgfollow.table_state SET ${assignment}
       FROM unnest($2::pg_catalog.text[], $3::pg_catalog.text[], $4::pg_catalog.text[]) AS t (schema, name, value)
      WHERE pipeline = $1 AND source_schema = t.schema AND source_table = t.name`,
    [pipeline, ...columns(values.map(({ source }) => source)), values.map(({ value }) => value)],
  );
}

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
 * These tables are empty on both sides, so they are copied, and returned; but for those whose changes were not kept since before (see
 * storeCopied()). `bare` as for storeTakenAsIs().
 */
export async function storeNothingCopied(
  target: Client,
  pipeline: string,
  sources: readonly RelationName[],
  { asOf, bare }: { asOf: CopiedAsOf | null; bare: boolean },
): Promise<RelationName[]> {
  const { rows } = await target.query<RelationName>(
    `UPDATE pgfollow.table_state
        SET state = $4, spooling = spooling OR $5, has_rows = true, rows_copied = 0, bytes_copied = 0,
            since = pg_catalog.clock_timestamp(), copy_started_at = pg_catalog.clock_timestamp(),
            copy_finished_at = pg_catalog.clock_timestamp(), error_code = NULL, error_message = NULL, error_remedy = NULL,
            copy_snapshot = $6, copy_wal_end = $7::pg_catalog.pg_lsn
      WHERE pipeline = $1 AND spooling AND left_at IS NULL
        AND (source_schema, source_table) IN (SELECT * FROM unnest($2::pg_catalog.text[], $3::pg_catalog.text[]))
      RETURNING source_schema AS schema, source_table AS name`,
    [
      pipeline,
      ...columns(sources),
      bare ? 'indexing' : 'catching_up',
      bare,
      asOf?.snapshot ?? null,
      asOf ? formatLsn(asOf.walEnd) : null,
    ],
  );
  return rows;
}

/** The indexes of these tables are there: what their spools hold can be applied. */
export async function storeIndexed(target: Client, pipeline: string, sources: readonly RelationName[]): Promise<void> {
  await target.query(
    `UPDATE pgfollow.table_state SET state = 'catching_up', since = pg_catalog.clock_timestamp()
      WHERE pipeline = $1 AND state = 'indexing'
        AND (source_schema, source_table) IN (SELECT * FROM unnest($2::pg_catalog.text[], $3::pg_catalog.text[]))`,
    [pipeline, ...columns(sources)],
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
