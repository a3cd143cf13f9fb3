import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { connect, disconnect } from '../postgres/connect.ts';
import { quoteLiteral } from '../postgres/quote.ts';
import { describeError, SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { SEARCH_BY_KEY } from './planner-settings.ts';

const SETTINGS = {
  // Acknowledgements wait for the disk instead, see Acknowledger.
  synchronous_commit: 'off',
  // The same statements again and again, some with megabytes of parameters: planning each time would cost more than it brings.
  plan_cache_mode: 'force_generic_plan',
  jit: 'off',
  ...SEARCH_BY_KEY,
};

/** What the target's role may not do for us, and what follows from it. */
export interface SessionLimit {
  readonly code: 'REPLICA_ROLE_REFUSED' | 'ORIGIN_REFUSED';
  readonly message: string;
  readonly remedy: string;
}

/**
 * The connection that writes replicated rows: foreign keys and ordinary triggers are off (the source has checked and
 * fired them), commits do not wait for the disk (acknowledgements do), and rows carry the pipeline's replication
 * origin, so that a pipeline in the other direction can leave them out. What the role may not do is returned.
 */
export async function openTargetSession(options: {
  url: string;
  pipeline: string;
  purpose?: string;
}): Promise<{ client: Client; limits: SessionLimit[] }> {
  const purpose = `${options.pipeline} ${options.purpose ?? 'apply'}`;
  const client = await connect({ role: 'target', url: options.url, purpose, settings: SETTINGS });
  try {
    const limits = [await useReplicaRole(client)];
    return { client, limits: limits.filter((limit) => limit !== null) };
  } catch (error) {
    await disconnect(client);
    throw error;
  }
}

/** session_replication_role = replica on any session that writes copied or replicated rows; null when it was granted. */
export async function useReplicaRole(client: Client): Promise<SessionLimit | null> {
  try {
    await client.query('SET session_replication_role = replica');
    return null;
  } catch (error) {
    if (sqlState(error) !== SQLSTATE.insufficient_privilege) throw error;
    return {
      code: 'REPLICA_ROLE_REFUSED',
      message:
        'The target role may not set session_replication_role, so foreign keys are checked and triggers fire for replicated rows.',
      remedy:
        'On PostgreSQL 15 and newer: GRANT SET ON PARAMETER session_replication_role TO <role>; before that a superuser role is needed.',
    };
  }
}

/**
 * Marks what this session writes with the pipeline's replication origin. Call it once the pipeline's lock is held:
 * only one session at a time may use an origin. https://www.postgresql.org/docs/current/replication-origins.html
 */
export async function useOrigin(client: Client, pipeline: string): Promise<SessionLimit | null> {
  const name = quoteLiteral(await originName(client, pipeline));
  try {
    await client.query(
      `SELECT pg_catalog.pg_replication_origin_create(${name}) WHERE pg_catalog.pg_replication_origin_oid(${name}) IS NULL`,
    );
    await whenFree(() => client.query(`SELECT pg_catalog.pg_replication_origin_session_setup(${name})`));
    await dropCopyOrigins(client, name);
    return null;
  } catch (error) {
    const state = sqlState(error);
    if (state !== SQLSTATE.insufficient_privilege && state !== SQLSTATE.object_not_in_prerequisite_state && state !== '53400')
      throw error;
    return {
      code: 'ORIGIN_REFUSED',
      message: `Replicated rows carry no replication origin (${describeError(error)}). Nothing else depends on it: only a pipeline in the other direction with origin: none would send them back.`,
      remedy:
        'As a superuser: GRANT EXECUTE ON FUNCTION pg_replication_origin_create(text), pg_replication_origin_oid(text), pg_replication_origin_session_setup(text) TO <role>;',
    };
  }
}

/**
 * As useOrigin(), for one of several sessions that copy: only one session at a time may use an origin. Dropped by the next
 * session that follows.
 */
export async function useCopyOrigin(client: Client, pipeline: string): Promise<void> {
  const origin = await originName(client, pipeline);
  for (let n = 1; ; n++) {
    const name = quoteLiteral(copyOrigin(origin, n));
    try {
      await client
        .query(
          `SELECT pg_catalog.pg_replication_origin_create(${name}) WHERE pg_catalog.pg_replication_origin_oid(${name}) IS NULL`,
        )
        .catch((error: unknown) => {
          // Another session was faster.
          if (sqlState(error) !== SQLSTATE.duplicate_object && sqlState(error) !== SQLSTATE.unique_violation) throw error;
        });
      await client.query(`SELECT pg_catalog.pg_replication_origin_session_setup(${name})`);
      return;
    } catch (error) {
      if (sqlState(error) !== SQLSTATE.object_in_use) throw error;
    }
  }
}

function copyOrigin(origin: string, n: number | ''): string {
  return `${origin}_copy_${n}`;
}

// Each keeps one of the places that the server has for origins. Who may not drop them has them used again.
async function dropCopyOrigins(client: Client, pipelineOrigin: string): Promise<void> {
  const sql = `SELECT pg_catalog.pg_replication_origin_drop(roname) FROM pg_catalog.pg_replication_origin
    WHERE pg_catalog.starts_with(roname, ${pipelineOrigin} || ${quoteLiteral(copyOrigin('', ''))})`;
  await client.query(sql).catch((error: unknown) => {
    const state = sqlState(error);
    if (state !== SQLSTATE.insufficient_privilege && state !== SQLSTATE.object_in_use) throw error;
  });
}

/** Every origin of a pipeline that is there. */
export async function originsOf(client: Client, pipeline: string): Promise<string[]> {
  const origin = await originName(client, pipeline);
  const { rows } = await client.query<{ name: string }>(
    `SELECT roname AS name FROM pg_catalog.pg_replication_origin
      WHERE roname = $1 OR pg_catalog.starts_with(roname, $2) ORDER BY roname`,
    [origin, copyOrigin(origin, '')],
  );
  return rows.map(({ name }) => name);
}

/** Origins belong to the whole cluster, where pipelines to other databases may have the same name. */
async function originName(client: Client, pipeline: string): Promise<string> {
  const { rows } = await client.query<{ oid: number }>(
    'SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()',
  );
  return `pgfollow_${pipeline}_${rows[0]?.oid ?? 0}`;
}

// A backend that ends lets go of the pipeline's lock a moment before it lets go of its origin.
async function whenFree(setUp: () => Promise<unknown>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await setUp();
      return;
    } catch (error) {
      if (sqlState(error) !== SQLSTATE.object_in_use || attempt === 20) throw error;
    }
    await sleep(100);
  }
}
