import type { Client } from 'pg';
import { originsOf } from './apply/target-session.ts';
import { displayName } from './catalog/relation.ts';
import type { Config } from './config/schema.ts';
import { isSameSource, lockPipeline, readPipeline, type PipelineRow } from './metadata/pipeline-row.ts';
import { readCreatedTables } from './metadata/created-tables.ts';
import { readIdentities, type GivenIdentity } from './metadata/replica-identities.ts';
import { readShadows, shadowName } from './metadata/shadows.ts';
import { connect, disconnect } from './postgres/connect.ts';
import { eventTriggerRemedy, nameEventTrigger } from './postgres/event-triggers.ts';
import { quoteIdent, quoteLiteral, quoteRelation } from './postgres/quote.ts';
import { describeError, sqlState } from './postgres/sqlstate.ts';
import { identifyOverReplication } from './session/identify.ts';
import { readUnbuiltParts } from './session/unbuilt-parts.ts';
import { Problem } from './problem.ts';
import { identifySource } from './source/identity.ts';
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

/** How long a pipeline that is just being stopped may take to let go. */
const LOCK_WAIT_MS = 2000;

/** What teardown would do, read from both databases. Drops nothing that this pipeline did not make. */
export async function planTeardown(config: Config): Promise<TeardownPlan> {
  return await withEnds(config, async ({ source, target }) => {
    const known = await hasMetadata(target);
    const row = known ? await readPipeline(target, config.name) : null;
    const onSource = row ? await planSource(config, source, target, row) : { actions: [], remains: [] };
    const onTarget = await planTarget(config, target, { known, row });
    return {
      actions: [...onSource.actions, ...onTarget.actions],
      remains: ['The rows on the target stay.', ...onSource.remains, ...onTarget.remains],
    };
  });
}

/**
 * Carries the plan out. The pipeline must not be running: throws PIPELINE_LOCKED or SLOT_IN_USE with what to do. The
 * metadata goes last, so that a teardown that was interrupted can be called again.
 */
export async function executeTeardown(config: Config, plan: TeardownPlan): Promise<void> {
  await withEnds(config, async ({ source, target }) => {
    if (plan.actions.some((action) => action.kind === 'metadata'))
      await lockPipeline(target, config.name, { waitMs: LOCK_WAIT_MS });
    const row = (await hasMetadata(target)) ? await readPipeline(target, config.name) : null;
    const carryOut = async (action: TeardownAction): Promise<unknown> => {
      if (action.kind === 'slot') return dropSlot(source, row?.slot ?? config.slot.name);
      if (action.kind === 'publication') return dropPublication(source, publicationOf(config, row));
      return target.query(action.sql);
    };
    for (const action of plan.actions) {
      await carryOut(action).catch(async (error: unknown) => {
        if (sqlState(error) === null) throw error;
        await nameEventTrigger(action.where === 'source' ? source : target, action.where, error);
        throw notDropped(action, error);
      });
    }
  });
}

function notDropped({ where, what, sql }: TeardownAction, error: unknown): Problem {
  const code = where === 'source' ? 'SOURCE_UNSUITABLE' : 'TARGET_UNSUITABLE';
  return new Problem(code, `The ${where} does not let go of ${what}: ${describeError(error)}`, {
    cause: error,
    remedy: `${eventTriggerRemedy(error) ?? `Mend what the message names. It was:\n${sql}`}\nThen call pgfollow teardown again, which goes on from there.`,
  });
}

// Another server may have a slot and a publication of these names too, and those are somebody else's.
async function planSource(config: Config, source: Client, target: Client, row: PipelineRow): Promise<TeardownPlan> {
  const found = await identifySource(source, () => identifyOverReplication(config));
  if (!isSameSource(row.source, found)) {
    const { systemIdentifier, database } = row.source;
    const where = `database ${database} of server ${systemIdentifier}, which source.url does not lead to`;
    return {
      actions: [],
      remains: [`Slot ${row.slot} and the publication in ${where}: where that still exists, drop them there.`],
    };
  }
  const actions: TeardownAction[] = [];
  if (row.slotCreated && (await readSlot(source, row.slot))) {
    const sql = `SELECT pg_catalog.pg_drop_replication_slot(${quoteLiteral(row.slot)});`;
    actions.push({ where: 'source', kind: 'slot', what: `replication slot ${row.slot}`, sql });
  }
  const publication = publicationOf(config, row);
  if (row.publicationCreated && (await exists(source, 'SELECT FROM pg_catalog.pg_publication WHERE pubname = $1', publication))) {
    actions.push({
      where: 'source',
      kind: 'publication',
      what: `publication ${publication}`,
      sql: `DROP PUBLICATION ${quoteIdent(publication)};`,
    });
  }
  const given = await readIdentities(target, config.name);
  const remains = await unbuiltLines({ source, target }, config, found.version);
  for (const each of given) if (await isInForce(source, each)) remains.push(identityLine(each));
  return { actions, remains };
}

async function planTarget(
  config: Config,
  target: Client,
  { known, row }: { known: boolean; row: PipelineRow | null },
): Promise<TeardownPlan> {
  const actions: TeardownAction[] = [];
  const remains: string[] = [];
  for (const origin of await originsOf(target, config.name)) {
    const sql = `SELECT pg_catalog.pg_replication_origin_drop(${quoteLiteral(origin)});`;
    if (await mayDropOrigin(target)) actions.push({ where: 'target', kind: 'origin', what: `replication origin ${origin}`, sql });
    else remains.push(`Replication origin ${origin} on the target stays, its role may not drop it; as a superuser: ${sql}`);
  }
  if (row) {
    const name = quoteLiteral(config.name);
    const drops = (await shadowsOf(target, config.name))
      .map(
        (id) => `DROP TABLE IF EXISTS ${quoteRelation(shadowName(id))}; DELETE FROM pgfollow.shadow_chunk WHERE shadow = ${id}; `,
      )
      .join('');
    const sql = `${drops}DELETE FROM pgfollow.event WHERE pipeline = ${name}; DELETE FROM pgfollow.pipeline WHERE name = ${name};`;
    actions.push({ where: 'target', kind: 'metadata', what: `checkpoint, table states and events of ${config.name}`, sql });
  }
  const others = known && (await exists(target, 'SELECT FROM pgfollow.pipeline WHERE name <> $1', config.name));
  if (known && !others)
    actions.push({
      where: 'target',
      kind: 'schema',
      what: 'schema pgfollow (no other pipeline uses it)',
      sql: 'DROP SCHEMA pgfollow CASCADE;',
    });
  return { actions, remains };
}

// What a copy that was killed has left. Metadata of an older version has none.
async function shadowsOf(target: Client, pipeline: string): Promise<number[]> {
  if (!(await exists(target, `SELECT WHERE pg_catalog.to_regclass($1) IS NOT NULL`, 'pgfollow.shadow'))) return [];
  return (await readShadows(target, pipeline)).map(({ id }) => id);
}

async function mayDropOrigin(target: Client): Promise<boolean> {
  const { rows } = await target.query<{ may: boolean }>(
    `SELECT pg_catalog.has_function_privilege('pg_catalog.pg_replication_origin_drop(text)', 'EXECUTE') AS may`,
  );
  return rows[0]?.may ?? false;
}

// Afterwards nobody knows any more what tables of ours would have got after their rows.
async function unbuiltLines(ends: { source: Client; target: Client }, config: Config, sourceVersion: number): Promise<string[]> {
  const { rows } = await ends.target.query<{ version: number }>(
    `SELECT pg_catalog.current_setting('server_version_num')::int AS version`,
  );
  const versions = { sourceVersion, targetVersion: rows[0]?.version ?? 0 };
  try {
    const parts = await readUnbuiltParts(ends, config, versions);
    return parts.map(
      ({ table, part, sql }) => `The ${part} of ${table} on the target is not built; to build it: ${sql.join('; ')};`,
    );
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    // The source's tables are not to be told any more.
    const unbuilt = [...(await readCreatedTables(ends.target, config.name))].filter(([, { built, linked }]) => !built || !linked);
    const command = `pg_dump --section=post-data "$PGFOLLOW_SOURCE_URL"`;
    return unbuilt.map(
      ([table]) =>
        `Keys, indexes or foreign keys of ${table} on the target may be missing; what there is on the source: ${command}`,
    );
  }
}

function identityLine({ relation, identity, before }: GivenIdentity): string {
  return `REPLICA IDENTITY ${identity} of ${displayName(relation)} on the source stays; to undo it: ALTER TABLE ONLY ${quoteRelation(relation)} REPLICA IDENTITY ${before};`;
}

// What was written down need not have come to pass, and somebody may have changed it since.
async function isInForce(source: Client, { relation, identity }: GivenIdentity): Promise<boolean> {
  const { rows } = await source.query<{ identity: string }>(
    `SELECT CASE c.relreplident WHEN 'f' THEN 'FULL' WHEN 'd' THEN 'DEFAULT' WHEN 'n' THEN 'NOTHING' ELSE
              (SELECT 'USING INDEX "' || pg_catalog.replace(i.relname, '"', '""') || '"' FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
                WHERE x.indrelid = c.oid AND x.indisreplident) END AS identity
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`,
    [relation.schema, relation.name],
  );
  return rows[0]?.identity === identity;
}

// One that is used as it is belongs to others, whatever was made before.
function publicationOf({ name, publication: { managed, names } }: Config, row: PipelineRow | null): string {
  return row?.publication ?? (managed ? (names[0] ?? name) : name);
}

async function hasMetadata(target: Client): Promise<boolean> {
  const { rows } = await target.query<{ known: boolean }>(
    `SELECT pg_catalog.to_regclass('pgfollow.pipeline') IS NOT NULL AS known`,
  );
  return rows[0]?.known ?? false;
}

async function exists(client: Client, sql: string, value: string): Promise<boolean> {
  const { rows } = await client.query<{ found: boolean }>(`SELECT EXISTS (${sql}) AS found`, [value]);
  return rows[0]?.found ?? false;
}

async function withEnds<T>(config: Config, work: (ends: { source: Client; target: Client }) => Promise<T>): Promise<T> {
  // Neither side's standbys shall hold it up.
  const shared = { purpose: `${config.name} teardown`, settings: { synchronous_commit: 'local' } };
  const source = await connect({ role: 'source', url: config.source.url, ...shared });
  try {
    const target = await connect({ role: 'target', url: config.target.url, ...shared });
    try {
      return await work({ source, target });
    } finally {
      await disconnect(target);
    }
  } finally {
    await disconnect(source);
  }
}
