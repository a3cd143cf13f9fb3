import type { Client } from 'pg';
import type { RelationName } from '../catalog/relation.ts';
import type { ProblemCode } from '../problem.ts';
import type { TableProgress, TableStateName } from './table-state.ts';

/** One row of pgfollow.table_state. */
export interface StoredTable {
  readonly source: RelationName;
  readonly target: RelationName;
  readonly progress: TableProgress;
  readonly rowsCopied: number;
  readonly bytesCopied: number;
  readonly copyStartedAt: string | null;
  readonly copyFinishedAt: string | null;
}

interface Row {
  source_schema: string;
  source_table: string;
  target_schema: string;
  target_table: string;
  state: TableStateName;
  rows_copied: string;
  bytes_copied: string;
  copy_started_at: Date | null;
  copy_finished_at: Date | null;
  error_code: ProblemCode | null;
  error_message: string | null;
  error_remedy: string | null;
}

/** All tables of a pipeline, by source name. */
export async function readTables(target: Client, pipeline: string): Promise<StoredTable[]> {
  const { rows } = await target.query<Row>(
    `SELECT source_schema, source_table, target_schema, target_table, state, rows_copied, bytes_copied,
            copy_started_at, copy_finished_at, error_code, error_message, error_remedy
       FROM pgfollow.table_state WHERE pipeline = $1 ORDER BY source_schema, source_table`,
    [pipeline],
  );
  return rows.map((row) => ({
    source: { schema: row.source_schema, name: row.source_table },
    target: { schema: row.target_schema, name: row.target_table },
    progress:
      row.state === 'error'
        ? { state: 'error', code: row.error_code ?? 'INTERNAL', message: row.error_message ?? '', remedy: row.error_remedy ?? '' }
        : { state: row.state },
    rowsCopied: Number(row.rows_copied),
    bytesCopied: Number(row.bytes_copied),
    copyStartedAt: row.copy_started_at?.toISOString() ?? null,
    copyFinishedAt: row.copy_finished_at?.toISOString() ?? null,
  }));
}

/** Adds a table as `pending`, or puts it back there; its target may have changed with the configuration. */
export async function enrollTable(target: Client, pipeline: string, source: RelationName, to: RelationName): Promise<void> {
  await target.query(
    `INSERT INTO pgfollow.table_state (pipeline, source_schema, source_table, target_schema, target_table, state)
     VALUES ($1, $2, $3, $4, $5, 'pending')
     ON CONFLICT (pipeline, source_schema, source_table) DO UPDATE
       SET target_schema = EXCLUDED.target_schema, target_table = EXCLUDED.target_table, state = 'pending',
           since = pg_catalog.clock_timestamp(), rows_copied = 0, bytes_copied = 0, copy_started_at = NULL,
           copy_finished_at = NULL, error_code = NULL, error_message = NULL, error_remedy = NULL`,
    [pipeline, source.schema, source.name, to.schema, to.name],
  );
}

/** Stores a table's state; whoever copies does it in the transaction that holds the rows. */
export async function storeProgress(
  target: Client,
  pipeline: string,
  source: RelationName,
  progress: TableProgress,
): Promise<void> {
  const error = progress.state === 'error' ? progress : null;
  await target.query(
    `UPDATE pgfollow.table_state
        SET state = $4, since = pg_catalog.clock_timestamp(), error_code = $5, error_message = $6, error_remedy = $7,
            copy_started_at = CASE WHEN $4 = 'copying' THEN pg_catalog.clock_timestamp() ELSE copy_started_at END
      WHERE pipeline = $1 AND source_schema = $2 AND source_table = $3`,
    [pipeline, source.schema, source.name, progress.state, error?.code ?? null, error?.message ?? null, error?.remedy ?? null],
  );
}

/** Stores what the copy brought, with the state that follows, in the transaction that holds the rows. */
export async function storeCopied(
  target: Client,
  pipeline: string,
  source: RelationName,
  copied: { rows: number; bytes: number },
): Promise<void> {
  await target.query(
    `UPDATE pgfollow.table_state
        SET state = 'catching_up', since = pg_catalog.clock_timestamp(), rows_copied = $4, bytes_copied = $5,
            copy_finished_at = pg_catalog.clock_timestamp(), error_code = NULL, error_message = NULL, error_remedy = NULL
      WHERE pipeline = $1 AND source_schema = $2 AND source_table = $3`,
    [pipeline, source.schema, source.name, copied.rows, copied.bytes],
  );
}

/** Every table that is catching up is now streaming. */
export async function storeCaughtUp(target: Client, pipeline: string): Promise<void> {
  await target.query(
    `UPDATE pgfollow.table_state SET state = 'streaming', since = pg_catalog.clock_timestamp() WHERE pipeline = $1 AND state = 'catching_up'`,
    [pipeline],
  );
}

/** Forgets a table that is no longer followed; its rows stay. */
export async function forgetTable(target: Client, pipeline: string, source: RelationName): Promise<void> {
  await target.query('DELETE FROM pgfollow.table_state WHERE pipeline = $1 AND source_schema = $2 AND source_table = $3', [
    pipeline,
    source.schema,
    source.name,
  ]);
}
