import type { Client } from 'pg';
import type { Config } from './config/schema.ts';
import { lockPipeline, readPipeline } from './metadata/pipeline-row.ts';
import { connect, disconnect } from './postgres/connect.ts';
import { quoteIdent, quoteLiteral } from './postgres/quote.ts';
import { dropPublication } from './source/publication.ts';
import { dropSlot, readSlot } from './source/slot.ts';

/** One thing that teardown does. `sql` says it in SQL, for people. */
export interface TeardownAction {
  readonly where: 'source' | 'target';
  readonly kind: 'slot' | 'publication' | 'metadata' | 'schema' | 'origin';
  readonly what: string;
  readonly sql: string;
}

export interface TeardownPlan {
  readonly actions: readonly TeardownAction[];
  /** What stays, one line each: the target's data, and replica identities that were set on the source. */
  readonly remains: readonly string[];
}

/** What teardown would do, read from both databases. Drops nothing that this pipeline did not make. */
export async function planTeardown(config: Config): Promise<TeardownPlan> {
  return await withEnds(config, async ({ source, target }) => {
    const known = await hasMetadata(target);
    const row = known ? await readPipeline(target, config.name) : null;
    const actions: TeardownAction[] = [];
    if (row?.slotCreated && (await readSlot(source, row.slot))) {
      const sql = `SELECT pg_catalog.pg_drop_replication_slot(${quoteLiteral(row.slot)});`;
      actions.push({ where: 'source', kind: 'slot', what: `replication slot ${row.slot}`, sql });
    }
    const publication = config.publication.names[0] ?? config.name;
    if (row?.publicationCreated && (await exists(source, 'SELECT FROM pg_catalog.pg_publication WHERE pubname = $1', publication))) {
      actions.push({ where: 'source', kind: 'publication', what: `publication ${publication}`, sql: `DROP PUBLICATION ${quoteIdent(publication)};` });
    }
    const origin = `pgfollow_${config.name}`;
    if (await exists(target, 'SELECT FROM pg_catalog.pg_replication_origin WHERE roname = $1', origin)) {
      actions.push({ where: 'target', kind: 'origin', what: `replication origin ${origin}`, sql: `SELECT pg_catalog.pg_replication_origin_drop(${quoteLiteral(origin)});` });
    }
    if (row) {
      const sql = `DELETE FROM pgfollow.event WHERE pipeline = ${quoteLiteral(config.name)}; DELETE FROM pgfollow.pipeline WHERE name = ${quoteLiteral(config.name)};`;
      actions.push({ where: 'target', kind: 'metadata', what: `checkpoint, table states and events of ${config.name}`, sql });
    }
    const others = known && (await exists(target, 'SELECT FROM pgfollow.pipeline WHERE name <> $1', config.name));
    if (known && !others) actions.push({ where: 'target', kind: 'schema', what: 'schema pgfollow (no other pipeline uses it)', sql: 'DROP SCHEMA pgfollow CASCADE;' });
    return { actions, remains: ['The rows on the target stay.', ...(row ? await replicaIdentities(target, config.name) : [])] };
  });
}

/**
 * Carries the plan out. The pipeline must not be running: throws PIPELINE_LOCKED or SLOT_IN_USE with what to do. The
 * metadata goes last, so that a teardown that was interrupted can be called again.
 */
export async function executeTeardown(config: Config, plan: TeardownPlan): Promise<void> {
  await withEnds(config, async ({ source, target }) => {
    if (plan.actions.some((action) => action.kind === 'metadata')) await lockPipeline(target, config.name);
    const row = (await hasMetadata(target)) ? await readPipeline(target, config.name) : null;
    for (const action of plan.actions) {
      if (action.kind === 'slot') await dropSlot(source, row?.slot ?? config.slot.name);
      else if (action.kind === 'publication') await dropPublication(source, config.publication.names[0] ?? config.name);
      else await target.query(action.sql);
    }
  });
}

async function replicaIdentities(target: Client, pipeline: string): Promise<string[]> {
  const { rows } = await target.query<{ source_schema: string; source_table: string; replica_identity_set: string }>(
    `SELECT source_schema, source_table, replica_identity_set FROM pgfollow.table_state
      WHERE pipeline = $1 AND replica_identity_set IS NOT NULL ORDER BY 1, 2`,
    [pipeline],
  );
  return rows.map((row) => {
    const name = `${quoteIdent(row.source_schema)}.${quoteIdent(row.source_table)}`;
    return `REPLICA IDENTITY ${row.replica_identity_set.toUpperCase()} of ${row.source_schema}.${row.source_table} on the source stays; to undo it: ALTER TABLE ${name} REPLICA IDENTITY DEFAULT;`;
  });
}

async function hasMetadata(target: Client): Promise<boolean> {
  const { rows } = await target.query<{ known: boolean }>(`SELECT pg_catalog.to_regclass('pgfollow.pipeline') IS NOT NULL AS known`);
  return rows[0]?.known ?? false;
}

async function exists(client: Client, sql: string, value: string): Promise<boolean> {
  const { rows } = await client.query<{ found: boolean }>(`SELECT EXISTS (${sql}) AS found`, [value]);
  return rows[0]?.found ?? false;
}

async function withEnds<T>(config: Config, work: (ends: { source: Client; target: Client }) => Promise<T>): Promise<T> {
  const source = await connect({ role: 'source', url: config.source.url, purpose: `${config.name} teardown` });
  try {
    const target = await connect({ role: 'target', url: config.target.url, purpose: `${config.name} teardown` });
    try {
      return await work({ source, target });
    } finally {
      await disconnect(target);
    }
  } finally {
    await disconnect(source);
  }
}
