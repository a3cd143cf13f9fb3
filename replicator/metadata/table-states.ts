import type { Client } from 'pg';
import { displayName, type RelationName } from '../catalog/relation.ts';
import { formatLsn, parseLsn, type Lsn } from '../postgres/lsn.ts';
import type { Oid } from '../postgres/oid.ts';
import { quoteLiteral } from '../postgres/quote.ts';
import { clearSpool } from './spool.ts';
import type { ProblemCode } from '../problem.ts';
import { storeText } from './stored-text.ts';
import { forgetValidation } from './validations.ts';
import type { TableProgress, TableStateName } from './table-state.ts';

/** What a table whose changes are kept has to heed before it may join the others. */
export interface CopiedAsOf {
  /**
   * pg_current_snapshot() of a copy beside the stream: the spool need not bring the transactions that it sees. Null for
   * none such.
   */
  readonly snapshot: string | null;
  /** Where the source's WAL ended then: whatever the snapshot sees ends before, and so does what the table refused. */
  readonly walEnd: Lsn;
}

/** A partition of a table, as it was seen last. */
export interface StoredPartition {
  readonly oid: Oid;
  readonly edges: string;
  readonly file: Oid;
  readonly name: string;
}

/** Which column of a table each name stands for, by its attnum: that is never used again. */
export type StoredColumns = readonly (readonly [name: string, attnum: number])[];

/** What tables.map said of a table: the row filter, columns that were left out, and other names of columns on the target. */
export interface StoredMapping {
  readonly where: string | null;
  readonly exclude: readonly string[];
  readonly rename: Readonly<Record<string, string>>;
}

/** One row of pgfollow.table_state. */
export interface StoredTable {
  readonly source: RelationName;
  readonly target: RelationName;
  /** Of the source's table; null where a version before this one has stored it. */
  readonly sourceOid: Oid | null;
  /** By which entries of the publications its changes come (see readMemberships); null where a version before this one has stored it. */
  readonly membership: readonly string[] | null;
  /** Null where a version before this one has stored it. */
  readonly partitions: readonly StoredPartition[] | null;
  /** Null where a version before this one has stored it. */
  readonly columns: StoredColumns | null;
  /** Null where a version before this one has stored it. */
  readonly mapping: StoredMapping | null;
  readonly progress: TableProgress;
  /** Its changes go to the spool. */
  readonly spooling: boolean;
  /** The rows are there as of a copy: what is in the spool and what comes is all that is missing. */
  readonly hasRows: boolean;
  /** The copy was made beside the stream, as of this snapshot. */
  readonly copiedAsOf: CopiedAsOf | null;
  readonly rowsCopied: number;
  readonly bytesCopied: number;
  readonly copyStartedAt: string | null;
  readonly copyFinishedAt: string | null;
  /** The target holds rows of a copy in chunks that was not finished. */
  readonly partial: boolean;
}

interface Row {
  source_schema: string;
  source_table: string;
  target_schema: string;
  target_table: string;
  source_oid: Oid | null;
  membership: string[] | null;
  partitions: StoredPartition[] | null;
  columns: StoredColumns | null;
  mapping: StoredMapping | null;
  state: TableStateName;
  spooling: boolean;
  has_rows: boolean;
  copy_snapshot: string | null;
  copy_wal_end: string | null;
  rows_copied: string;
  bytes_copied: string;
  copy_started_at: Date | null;
  copy_finished_at: Date | null;
  partial: boolean;
  error_code: ProblemCode | null;
  error_message: string | null;
  error_remedy: string | null;
}

/** All tables of a pipeline, by source name. */
export async function readTables(target: Client, pipeline: string): Promise<StoredTable[]> {
  const { rows } = await target.query<Row>(
    `SELECT source_schema, source_table, target_schema, target_table, source_oid, membership, partitions, columns, mapping, state, spooling, has_rows,
            copy_snapshot, copy_wal_end::text AS copy_wal_end, rows_copied, bytes_copied, copy_started_at, copy_finished_at, error_code, error_message, error_remedy,
            EXISTS (SELECT FROM pgfollow.copy_chunk c WHERE (c.pipeline, c.source_schema, c.source_table) = (t.pipeline, t.source_schema, t.source_table)) AS partial
       FROM pgfollow.table_state t WHERE pipeline = $1 AND left_at IS NULL ORDER BY source_schema, source_table`,
    [pipeline],
  );
  return rows.map((row) => ({
    source: { schema: row.source_schema, name: row.source_table },
    target: { schema: row.target_schema, name: row.target_table },
    sourceOid: row.source_oid,
    membership: row.membership,
    partitions: row.partitions,
    columns: row.columns,
    mapping: row.mapping,
    progress:
      row.state === 'error'
        ? { state: 'error', code: row.error_code ?? 'INTERNAL', message: row.error_message ?? '', remedy: row.error_remedy ?? '' }
        : { state: row.state },
    spooling: row.spooling,
    hasRows: row.has_rows,
    copiedAsOf: row.copy_wal_end === null ? null : { snapshot: row.copy_snapshot, walEnd: parseLsn(row.copy_wal_end) },
    rowsCopied: Number(row.rows_copied),
    bytesCopied: Number(row.bytes_copied),
    copyStartedAt: row.copy_started_at?.toISOString() ?? null,
    copyFinishedAt: row.copy_finished_at?.toISOString() ?? null,
    partial: row.partial,
  }));
}

/** Tables whose copy was complete once, also those that are no longer followed: what they hold is ours. By display name. */
export async function readCopied(target: Client, pipeline: string): Promise<Set<string>> {
  const { rows } = await target.query<RelationName>(
    `SELECT source_schema AS schema, source_table AS name FROM pgfollow.table_state
      WHERE pipeline = $1 AND copy_finished_at IS NOT NULL`,
    [pipeline],
  );
  return new Set(rows.map(displayName));
}

/** Whether the copy of a table is committed. Waits for a transaction that is about to, and lets no other change it before this one ends. */
export async function isCopied(target: Client, pipeline: string, source: RelationName): Promise<boolean> {
  const { rows } = await target.query<{ copied: boolean }>(
    `SELECT has_rows AS copied FROM pgfollow.table_state
      WHERE pipeline = $1 AND source_schema = $2 AND source_table = $3 FOR UPDATE`,
    [pipeline, source.schema, source.name],
  );
  return rows[0]?.copied ?? false;
}

/** Stores a table's state; whoever copies does it in the transaction that holds the rows. */
export async function storeProgress(
  target: Client,
  pipeline: string,
  source: RelationName,
  progress: TableProgress,
): Promise<void> {
  const error = progress.state === 'error' ? progress : null;
  const store = (texts: readonly (string | null)[]): Promise<unknown> =>
    target.query(
      `UPDATE pgfollow.table_state
        SET state = $4, since = pg_catalog.clock_timestamp(), error_code = $5, error_message = $6, error_remedy = $7,
            copy_started_at = CASE WHEN $4 = 'copying' THEN pg_catalog.clock_timestamp() ELSE copy_started_at END
      WHERE pipeline = $1 AND source_schema = $2 AND source_table = $3`,
      [pipeline, source.schema, source.name, progress.state, error?.code ?? null, ...texts],
    );
  await storeText([error?.message ?? null, error?.remedy ?? null], store);
}

/**
 * Stores what the copy brought, with the state that follows, in the transaction that holds the rows; of a copy in chunks, after
 * the last of them. False where the table is no longer in the state `after` which it is to be, or its changes were not kept since before
 * the copy: it was removed meanwhile, or became another one. `bare`: its indexes are still to be built, and its changes go to the spool until then.
 */
export async function storeCopied(
  target: Client,
  pipeline: string,
  source: RelationName,
  copied: { rows: number; bytes: number; asOf: CopiedAsOf | null; bare: boolean; after: 'copying' | 'pending' },
): Promise<boolean> {
  const { rowCount } = await target.query(
    `WITH brought AS (DELETE FROM pgfollow.copy_chunk WHERE pipeline = $1 AND source_schema = $2 AND source_table = $3)
     UPDATE pgfollow.table_state
        SET state = CASE WHEN $8 THEN 'indexing' ELSE 'catching_up' END, spooling = spooling OR $8,
            since = pg_catalog.clock_timestamp(), rows_copied = $4, bytes_copied = $5,
            copy_finished_at = pg_catalog.clock_timestamp(), error_code = NULL, error_message = NULL, error_remedy = NULL,
            has_rows = true, copy_snapshot = $6, copy_wal_end = $7::pg_catalog.pg_lsn
      WHERE pipeline = $1 AND source_schema = $2 AND source_table = $3 AND state = $9 AND left_at IS NULL
        AND (spooling OR $9 = 'pending')`,
    [
      pipeline,
      source.schema,
      source.name,
      copied.rows,
      copied.bytes,
      copied.asOf?.snapshot ?? null,
      copied.asOf ? formatLsn(copied.asOf.walEnd) : null,
      copied.bare,
      copied.after,
    ],
  );
  return rowCount === 1;
}

/** Stores that a table's changes go to the spool from here on, or that they are dropped until a copy begins. */
export async function storeRoute(
  target: Client,
  pipeline: string,
  source: RelationName,
  route: { progress: TableProgress; spooling: boolean; hasRows: boolean; copiedAsOf: CopiedAsOf | null },
): Promise<void> {
  const { progress, copiedAsOf } = route;
  const error = progress.state === 'error' ? progress : null;
  const store = (texts: readonly (string | null)[]): Promise<unknown> =>
    target.query(
      `UPDATE pgfollow.table_state
        SET state = $4, spooling = $5, has_rows = $6, error_code = $7, error_message = $8, error_remedy = $9,
            since = CASE WHEN state = $4 THEN since ELSE pg_catalog.clock_timestamp() END,
            copy_snapshot = $10, copy_wal_end = $11::pg_catalog.pg_lsn
      WHERE pipeline = $1 AND source_schema = $2 AND source_table = $3`,
      [
        pipeline,
        source.schema,
        source.name,
        progress.state,
        route.spooling,
        route.hasRows,
        error?.code ?? null,
        ...texts,
        copiedAsOf?.snapshot ?? null,
        copiedAsOf ? formatLsn(copiedAsOf.walEnd) : null,
      ],
    );
  await storeText([error?.message ?? null, error?.remedy ?? null], store);
}

/** SQL with which a table whose spool is empty joins the others, to be sent with the last of its changes. */
export function joinStreamSql(pipeline: string, source: RelationName): string {
  return (
    `UPDATE pgfollow.table_state SET state = 'streaming', since = pg_catalog.clock_timestamp(), spooling = false, ` +
    `copy_snapshot = NULL, copy_wal_end = NULL, error_code = NULL, error_message = NULL, error_remedy = NULL ` +
    `WHERE pipeline = ${quoteLiteral(pipeline)} AND source_schema = ${quoteLiteral(source.schema)} AND source_table = ${quoteLiteral(source.name)}`
  );
}

/** Every table that is catching up is now streaming. */
export async function storeCaughtUp(target: Client, pipeline: string): Promise<void> {
  await target.query(
    `UPDATE pgfollow.table_state SET state = 'streaming', since = pg_catalog.clock_timestamp() WHERE pipeline = $1 AND state = 'catching_up' AND NOT spooling`,
    [pipeline],
  );
}

/** A table is no longer followed; its rows stay, and so does the knowledge that they are ours. */
export async function forgetTable(target: Client, pipeline: string, source: RelationName): Promise<void> {
  await clearSpool(target, pipeline, source);
  await forgetValidation(target, pipeline, source);
  await target.query(
    `UPDATE pgfollow.table_state SET left_at = pg_catalog.clock_timestamp(), spooling = false, has_rows = false
      WHERE pipeline = $1 AND source_schema = $2 AND source_table = $3`,
    [pipeline, source.schema, source.name],
  );
}
