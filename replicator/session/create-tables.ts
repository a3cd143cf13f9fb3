import type { Client } from 'pg';
import { displayName, type Relation, type TableMapping } from '../catalog/relation.ts';
import type { Config } from '../config/schema.ts';
import type { Finding } from '../finding.ts';
import type { CreatedTable } from '../metadata/created-tables.ts';
import { connect, destroySocket, disconnect } from '../postgres/connect.ts';
import { noticeLostClient } from '../postgres/lost-client.ts';
import { Problem } from '../problem.ts';
import { createMissing, type Created, type MissingTable } from '../schema/create-missing.ts';
import { leftOut } from '../schema/left-out.ts';
import { on } from './blame.ts';
import { openUnless } from './together.ts';

/** The source's catalog is read with functions that wait for whoever changes a table; not for long, and it is tried again. */
const SOURCE_LOCK_TIMEOUT = '5s';

export interface CreateTablesOptions {
  readonly config: Config;
  readonly missing: readonly MissingTable[];
  readonly mappings: readonly TableMapping[];
  readonly made: ReadonlyMap<string, CreatedTable>;
  readonly sourceVersion: number;
  readonly signal: AbortSignal;
}

export interface Creation extends Created {
  /** What was not created, and what would bring it. */
  readonly findings: readonly Finding[];
}

/** schema.create: missing. Makes the target tables that do not exist, on connections of its own. */
export async function createTables(options: CreateTablesOptions): Promise<Creation> {
  const { config, missing, signal } = options;
  const nothing = { labels: [], functions: [], tables: new Set<string>(), problems: new Map<string, Problem>(), findings: [] };
  if (missing.length === 0 || config.schema.create === 'never') return nothing;
  const open = async (role: 'source' | 'target', settings: Record<string, string>): Promise<Client> =>
    on(
      role,
      openUnless(
        signal,
        connect({ role, url: config[role].url, purpose: `${config.name} schema`, settings }),
        (late) => void disconnect(late),
      ),
    );
  const source = await open('source', { lock_timeout: SOURCE_LOCK_TIMEOUT });
  let target: Client | null = null;
  const cut = (): void => {
    for (const client of [source, target]) if (client) destroySocket(client);
  };
  signal.addEventListener('abort', cut, { once: true });
  try {
    target = await open('target', {});
    await on('target', noticeLostClient(target));
    const older = await on('target', olderTarget(target, options));
    if (older) return { ...nothing, problems: new Map(missing.map((each) => [displayName(each.source), older(each)])) };
    const ends = { source, target };
    const made = new Set(options.made.keys());
    const created = await on('target', createMissing(ends, missing, { pipeline: config.name, mappings: options.mappings, made }));
    const finding =
      created.tables.size > 0 ? await on('source', leftOut(source, sourcesOf(missing, created), created.functions)) : null;
    return { ...created, findings: finding ? [finding] : [] };
  } finally {
    signal.removeEventListener('abort', cut);
    await Promise.all([disconnect(source), disconnect(target)]);
  }
}

function sourcesOf(missing: readonly MissingTable[], created: Created): Relation[] {
  return missing.map(({ source }) => source).filter((source) => created.tables.has(displayName(source)));
}

// What an older server does not know cannot be told beforehand, so nothing is tried there.
async function olderTarget(
  target: Client,
  { sourceVersion }: CreateTablesOptions,
): Promise<((table: MissingTable) => Problem) | null> {
  const { rows } = await target.query<{ version: number }>(
    `SELECT pg_catalog.current_setting('server_version_num')::int AS version`,
  );
  const [from, to] = [sourceVersion, rows[0]?.version ?? 0].map((version) => Math.floor(version / 10_000)) as [number, number];
  if (to >= from) return null;
  return ({ mapping }) => {
    const [table, name] = [displayName(mapping.source), displayName(mapping.target)];
    return new Problem(
      'SCHEMA_NOT_CREATED',
      `${table} has no target table ${name}, and tables are only created on the same version of PostgreSQL or a newer one: the source is ${from}, the target ${to}.`,
      {
        table,
        remedy: `Create ${name} on the target, for example from pg_dump --schema-only --table '${table}' of the source; it is tried again by itself.`,
      },
    );
  };
}
