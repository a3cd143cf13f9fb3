import type { Client } from 'pg';
import type { RelationName } from '../catalog/relation.ts';
import { quoteLiteral } from '../postgres/quote.ts';

/** One row of pgfollow.spool. */
export interface StoredSpoolRow {
  /** Rises with time; text, because it is a bigint. */
  readonly seq: string;
  readonly binary: boolean;
  readonly bytes: Buffer;
}

/** INSERT of one row: pipeline, schema, table, binary, bytes; the last in binary form. */
export const INSERT_SPOOL_ROW =
  'INSERT INTO pgfollow.spool (pipeline, source_schema, source_table, binary_values, bytes) VALUES ($1, $2, $3, $4, $5)';

/** The oldest rows of a table's spool, at most `limit`. */
export async function readSpool(
  target: Client,
  pipeline: string,
  source: RelationName,
  limit: number,
): Promise<StoredSpoolRow[]> {
  const { rows } = await target.query<{ seq: string; binary: boolean; bytes: Buffer }>(
    `SELECT seq::text AS seq, binary_values AS binary, bytes FROM pgfollow.spool
      WHERE pipeline = $1 AND source_schema = $2 AND source_table = $3 ORDER BY pgfollow.spool.seq LIMIT $4`,
    [pipeline, source.schema, source.name, limit],
  );
  return rows;
}

/** SQL that deletes what was applied, to be sent with it. */
export function deleteSpooledSql(pipeline: string, source: RelationName, upTo: string): string {
  return (
    `DELETE FROM pgfollow.spool WHERE pipeline = ${quoteLiteral(pipeline)} AND source_schema = ${quoteLiteral(source.schema)} ` +
    `AND source_table = ${quoteLiteral(source.name)} AND seq <= ${quoteLiteral(upTo)}::pg_catalog.int8`
  );
}

/** Forgets a table's spool: a copy is about to replace what it would bring. */
export async function clearSpool(target: Client, pipeline: string, source: RelationName): Promise<void> {
  await target.query('DELETE FROM pgfollow.spool WHERE pipeline = $1 AND source_schema = $2 AND source_table = $3', [
    pipeline,
    source.schema,
    source.name,
  ]);
}

/** Bytes in every spool of a pipeline, by `schema.table`. */
export async function readSpoolBytes(target: Client, pipeline: string): Promise<Map<string, number>> {
  const { rows } = await target.query<{ table: string; bytes: string }>(
    `SELECT source_schema || '.' || source_table AS table, pg_catalog.sum(pg_catalog.octet_length(bytes))::text AS bytes
       FROM pgfollow.spool WHERE pipeline = $1 GROUP BY 1`,
    [pipeline],
  );
  return new Map(rows.map((row) => [row.table, Number(row.bytes)]));
}
