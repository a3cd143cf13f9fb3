import type { Client } from 'pg';
import type { RelationName } from '../catalog/relation.ts';
import { nameEventTrigger } from '../postgres/event-triggers.ts';
import { quoteRelation } from '../postgres/quote.ts';
import { describeError, isTransient, SQLSTATE, sqlState } from '../postgres/sqlstate.ts';

/** What a copy that was made again found on the target. */
export interface Difference {
  /** Rows that only the source had. */
  readonly missing: number;
  /** Rows that only the target had. */
  readonly extra: number;
  /** Rows that both had, with other values. */
  readonly different: number;
}

/** Somebody may be reading it (pg_dump does): then it is dropped another time. */
const LOCK_TIMEOUT = '1s';

/** The table itself, in our schema. */
export function shadowName(id: number): RelationName {
  return { schema: 'pgfollow', name: `shadow_${id}` };
}

/** Notes a shadow that is about to be made, in the transaction that makes it. Gives its id. */
export async function storeShadow(target: Client, pipeline: string, source: RelationName): Promise<number> {
  const { rows } = await target.query<{ id: number }>(
    'INSERT INTO pgfollow.shadow (pipeline, source_schema, source_table) VALUES ($1, $2, $3) RETURNING id',
    [pipeline, source.schema, source.name],
  );
  return rows[0]?.id ?? 0;
}

/** As claimChunk(), for a chunk that goes to a shadow. */
export async function claimShadowChunk(target: Client, shadow: number, chunk: number): Promise<boolean> {
  const { rowCount } = await target.query(
    'INSERT INTO pgfollow.shadow_chunk (shadow, chunk) VALUES ($1, $2) ON CONFLICT DO NOTHING',
    [shadow, chunk],
  );
  return rowCount === 1;
}

/** Whether all chunks are in the shadow: not so where the target has crashed since. */
export async function isShadowComplete(target: Client, shadow: number, chunks: number): Promise<boolean> {
  const { rows } = await target.query<{ complete: boolean }>(
    'SELECT pg_catalog.count(*) = $2 AS complete FROM pgfollow.shadow_chunk WHERE shadow = $1',
    [shadow, chunks],
  );
  return rows[0]?.complete ?? false;
}

/** Notes what the merge found, in its transaction: its answer may get lost. */
export async function storeDifference(target: Client, shadow: number, found: Difference): Promise<void> {
  await target.query('UPDATE pgfollow.shadow SET missing = $2, extra = $3, different = $4 WHERE id = $1', [
    shadow,
    found.missing,
    found.extra,
    found.different,
  ]);
}

/** Null while it is not merged. */
export async function readDifference(target: Client, shadow: number): Promise<Difference | null> {
  const { rows } = await target.query<Record<keyof Difference, string>>(
    'SELECT missing, extra, different FROM pgfollow.shadow WHERE id = $1 AND missing IS NOT NULL',
    [shadow],
  );
  const [row] = rows;
  return row ? { missing: Number(row.missing), extra: Number(row.extra), different: Number(row.different) } : null;
}

/** The shadows of a pipeline, or of one of its tables. */
export async function readShadows(
  target: Client,
  pipeline: string,
  source: RelationName | null = null,
): Promise<{ id: number; source: RelationName }[]> {
  const { rows } = await target.query<{ id: number; schema: string; name: string }>(
    `SELECT id, source_schema AS schema, source_table AS name FROM pgfollow.shadow
      WHERE pipeline = $1 AND ($2::pg_catalog.text IS NULL OR (source_schema, source_table) = ($2, $3)) ORDER BY id`,
    [pipeline, source?.schema ?? null, source?.name ?? null],
  );
  return rows.map(({ id, schema, name }) => ({ id, source: { schema, name } }));
}

/** Why a shadow stays for now: it is found again. */
export interface ShadowLeft {
  /** Somebody reads it; else the target refuses. */
  readonly locked: boolean;
  readonly reason: string;
}

/** Drops a shadow and what is known of it; null when it is gone. */
export async function dropShadow(target: Client, id: number): Promise<ShadowLeft | null> {
  try {
    await target.query(
      `SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'; DROP TABLE IF EXISTS ${quoteRelation(shadowName(id))}; ` +
        `DELETE FROM pgfollow.shadow_chunk WHERE shadow = ${id}; DELETE FROM pgfollow.shadow WHERE id = ${id}`,
    );
    return null;
  } catch (error) {
    const locked = sqlState(error) === SQLSTATE.lock_not_available;
    if (!locked && (sqlState(error) === null || isTransient(error))) throw error;
    await nameEventTrigger(target, 'target', error);
    return { locked, reason: describeError(error) };
  }
}
