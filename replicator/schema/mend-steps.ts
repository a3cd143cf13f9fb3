import type { Client } from 'pg';
import type { RelationName } from '../catalog/relation.ts';
import { storePart } from '../metadata/created-tables.ts';
import { quoteRelation } from '../postgres/quote.ts';
import { describeError, isTransient, SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { inTurn, runStep, type BuildOptions, type Refusal } from './build-steps.ts';
import type { Step, TablePlan } from './step.ts';

/** The stream waits behind the lock of what is no index, so it is not waited for long. */
const LOCK_TIMEOUT = '2s';

/** What came of parts that the target had refused before. */
export interface Mended {
  readonly made: readonly string[];
  readonly refusals: readonly Refusal[];
}

/**
 * Tries once more what the target has refused of a table, while changes are applied to it: indexes are built CONCURRENTLY. One that
 * somebody has made meanwhile counts as made. Throws what ends a connection, and what passes by itself.
 */
export async function mendParts(plan: TablePlan, { pipeline, use }: BuildOptions): Promise<Mended> {
  const { target } = plan.mapping;
  const made: string[] = [];
  const refusals: Refusal[] = [];
  for (const step of inTurn(plan.steps)) {
    const reason = await use((client) => mendStep(client, step, target, pipeline));
    if (reason === null) made.push(step.part);
    else refusals.push({ part: step.part, isKey: step.isKey, reason, sql: step.sql });
  }
  return { made, refusals };
}

async function mendStep(client: Client, step: Step, table: RelationName, pipeline: string): Promise<string | null> {
  if (step.index) return await mendIndex(client, step, step.index, { table, pipeline });
  return await runStep(client, { ...step, sql: [`SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'`, ...step.sql] }, table, pipeline);
}

// Outside a transaction: that it is there is looked at, and what was left half made is dropped.
async function mendIndex(
  client: Client,
  { part, sql: [create = '', ...rest] }: Step,
  index: RelationName,
  { table, pipeline }: { table: RelationName; pipeline: string },
): Promise<string | null> {
  const standing = await isValid(client, index);
  if (standing === false) await dropIndex(client, index);
  try {
    if (standing !== true) await client.query(create.replace(/^CREATE (UNIQUE )?INDEX /, 'CREATE $1INDEX CONCURRENTLY '));
    for (const sql of rest) await client.query(sql);
  } catch (error) {
    if (sqlState(error) === null) throw error;
    if ((await isValid(client, index)) === false) await dropIndex(client, index);
    if (isTransient(error)) throw error;
    const reason = describeError(error);
    await storePart(client, pipeline, table, { part, refused: reason });
    return reason;
  }
  await storePart(client, pipeline, table, { part, refused: null });
  return null;
}

// Null where there is none.
async function isValid(client: Client, index: RelationName): Promise<boolean | null> {
  const { rows } = await client.query<{ valid: boolean }>(
    'SELECT indisvalid AS valid FROM pg_catalog.pg_index WHERE indexrelid = pg_catalog.to_regclass($1)',
    [quoteRelation(index)],
  );
  return rows[0]?.valid ?? null;
}

async function dropIndex(client: Client, index: RelationName): Promise<void> {
  await client.query(`DROP INDEX CONCURRENTLY IF EXISTS ${quoteRelation(index)}`).catch((error: unknown) => {
    if (sqlState(error) !== SQLSTATE.lock_not_available) throw error;
  });
}
