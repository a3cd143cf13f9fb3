import type { Client } from 'pg';
import type { RelationName } from '../catalog/relation.ts';

/**
 * Notes that this transaction brings a part of a table; false when another one has. Waits for one that is about to, such
 * as that of a connection that was lost while it committed.
 */
export async function claimChunk(target: Client, pipeline: string, source: RelationName, chunk: number): Promise<boolean> {
  const { rowCount } = await target.query(
    `INSERT INTO pgfollow.copy_chunk (pipeline, source_schema, source_table, chunk) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
    [pipeline, source.schema, source.name, chunk],
  );
  return rowCount === 1;
}

/** Whether the target's table holds rows of a copy in chunks that was not finished. */
export async function hasChunks(target: Client, pipeline: string, source: RelationName): Promise<boolean> {
  const { rowCount } = await target.query(
    'SELECT FROM pgfollow.copy_chunk WHERE pipeline = $1 AND source_schema = $2 AND source_table = $3 LIMIT 1',
    [pipeline, source.schema, source.name],
  );
  return rowCount === 1;
}

/** The copy is finished, or begins anew. */
export async function forgetChunks(target: Client, pipeline: string, source: RelationName): Promise<void> {
  await target.query('DELETE FROM pgfollow.copy_chunk WHERE pipeline = $1 AND source_schema = $2 AND source_table = $3', [
    pipeline,
    source.schema,
    source.name,
  ]);
}

/**
 * The last thing before the commit of a chunk: a copy that begins anew changes the table's state first, and so waits for this
 * transaction, whoever is left to hear of its end.
 */
export async function keepFromRestart(target: Client, pipeline: string, source: RelationName): Promise<void> {
  await target.query(
    `SELECT FROM pgfollow.table_state WHERE pipeline = $1 AND source_schema = $2 AND source_table = $3 FOR SHARE`,
    [pipeline, source.schema, source.name],
  );
}
