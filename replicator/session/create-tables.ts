import type { Client } from 'pg';
import { mappingFault } from '../catalog/match-target.ts';
import { readRelations } from '../catalog/read-relations.ts';
import { displayName, type Relation, type TableMapping } from '../catalog/relation.ts';
import type { Config } from '../config/schema.ts';
import { complaint, type Finding } from '../finding.ts';
import { readCreatedTables, type CreatedTable } from '../metadata/created-tables.ts';
import type { StoredTable } from '../metadata/table-states.ts';
import { connect, destroySocket, disconnect } from '../postgres/connect.ts';
import { noticeLostClient } from '../postgres/lost-client.ts';
import { describeError, SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';
import { leftOut } from '../schema/left-out.ts';
import { makePieces, notCreated, type Made } from '../schema/make-pieces.ts';
import { planPartitions } from '../schema/new-partitions.ts';
import type { Piece } from '../schema/piece.ts';
import { planCreation, type MissingTable } from '../schema/plan-creation.ts';
import { blame, on } from './blame.ts';
import { goesWhereItWent } from './remapped-tables.ts';
import { openUnless } from './together.ts';

/** The source's catalog is read with functions that wait for whoever changes a table: not for long, it is tried again. */
const SOURCE_LOCK_TIMEOUT = '2s';

export interface TargetOptions {
  readonly mappings: readonly TableMapping[];
  /** The source's relations by display name. */
  readonly byName: ReadonlyMap<string, Relation>;
  readonly stored: ReadonlyMap<string, StoredTable>;
  readonly sourceVersion: number;
  /** The first copy is still to be made. */
  readonly copyAhead: boolean;
  readonly signal: AbortSignal;
}

export interface Targets {
  readonly targets: readonly Relation[];
  /** Tables that we have made, by display name on the target. */
  readonly made: ReadonlyMap<string, CreatedTable>;
  /** Why tables could not be created, by source name. */
  readonly problems: ReadonlyMap<string, Problem>;
  /** Partitioned tables of which it could not be seen which partitions the target lacks, by source name: somebody keeps them locked. */
  readonly unseen: ReadonlySet<string>;
  /** What was created in this call, for people. */
  readonly created: readonly string[];
  /** What was not created, and what would bring it. */
  readonly findings: readonly Finding[];
}

/**
 * The target tables of these mappings. With schema.create: missing those that do not exist are created before; not so a table
 * whose rows were there, which would be empty, and look as if nothing had happened.
 */
export async function findTargets(target: Client, config: Config, options: TargetOptions): Promise<Targets> {
  const { mappings, byName, stored } = options;
  const names = mappings.map((mapping) => mapping.target);
  const targets = await readRelations(target, { names });
  const made = await readCreatedTables(target, config.name);
  const found = { targets, made, problems: new Map<string, Problem>(), unseen: new Set<string>(), created: [], findings: [] };
  if (config.schema.create === 'never') return found;
  const there = new Set(targets.map(displayName));
  const pairs = mappings.flatMap((mapping) => {
    const source = byName.get(displayName(mapping.source));
    return source && !mappingFault(source, mapping) ? [{ source, mapping }] : [];
  });
  const missing = pairs.filter(({ mapping }) => {
    const before = stored.get(displayName(mapping.source)) ?? null;
    const hadRows = !options.copyAhead && before?.hasRows === true && goesWhereItWent(mapping, before);
    return !hadRows && !there.has(displayName(mapping.target));
  });
  const growing = pairs.filter(
    ({ source, mapping: { target: to } }) =>
      source.kind === 'partitioned' && there.has(displayName(to)) && made.has(displayName(to)),
  );
  if (missing.length + growing.length === 0) return found;
  const creation = await create({ config, missing, growing, made, ...options });
  if (creation.tables.size === 0) return { ...found, ...creation };
  return {
    ...creation,
    targets: await readRelations(target, { names }),
    made: await readCreatedTables(target, config.name),
  };
}

interface CreateOptions extends TargetOptions {
  readonly config: Config;
  readonly missing: readonly MissingTable[];
  /** Partitioned tables of ours, which may lack partitions. */
  readonly growing: readonly MissingTable[];
  readonly made: ReadonlyMap<string, CreatedTable>;
}

type Creation = Pick<Targets, 'problems' | 'unseen' | 'created' | 'findings'> & Pick<Made, 'tables'>;

// On connections of its own.
async function create(options: CreateOptions): Promise<Creation> {
  const { config, missing, growing, made, signal } = options;
  const nothing: Creation = { created: [], tables: new Set(), problems: new Map(), unseen: new Set(), findings: [] };
  const clients: Client[] = [];
  const cut = (): void => clients.forEach(destroySocket);
  const open = async (role: 'source' | 'target', settings: Record<string, string>): Promise<Client> => {
    const connecting = connect({ role, url: config[role].url, purpose: `${config.name} schema`, settings });
    const client = await on(
      role,
      openUnless(signal, connecting, (late) => void disconnect(late)),
    );
    clients.push(client);
    return client;
  };
  signal.addEventListener('abort', cut, { once: true });
  try {
    const source = await open('source', { lock_timeout: SOURCE_LOCK_TIMEOUT });
    // Not for its synchronous standbys; see TargetStandbys.
    const target = await open('target', { synchronous_commit: 'local' });
    await on('target', noticeLostClient(target));
    const older = await on('target', olderTarget(target, options));
    if (older) return { ...nothing, problems: new Map(missing.map((each) => [displayName(each.mapping.source), older(each)])) };
    const ends = { source, target };
    const pieces = await planned(missing, async () => [
      ...(await planCreation(ends, missing, { mappings: options.mappings, made: new Set(made.keys()) })),
      ...(await planPartitions(ends, growing)),
    ]);
    if (!Array.isArray(pieces))
      return { ...nothing, problems: pieces, unseen: new Set(growing.map((each) => displayName(each.mapping.source))) };
    const outcome = await on('target', makePieces(target, config.name, pieces));
    const tables = missing.map((each) => each.source).filter((relation) => outcome.tables.has(displayName(relation)));
    const around = tables.length > 0 ? await on('source', leftOut(source, tables, functionsOf(pieces))) : null;
    const findings = [...(around ? [around] : []), ...partitionFindings(pieces, outcome), ...absentFindings(pieces, outcome)];
    return { ...nothing, created: outcome.labels, tables: outcome.tables, problems: outcome.problems, findings };
  } finally {
    signal.removeEventListener('abort', cut);
    await Promise.all(clients.map((client) => disconnect(client)));
  }
}

// A table that somebody is altering cannot be described meanwhile: those that are there already go on without it.
async function planned(missing: readonly MissingTable[], plan: () => Promise<Piece[]>): Promise<Piece[] | Map<string, Problem>> {
  try {
    return await plan();
  } catch (error) {
    if (sqlState(error) !== SQLSTATE.lock_not_available) throw blame('source', error);
    const why = `its definition could not be read on the source: ${describeError(error)}`;
    return new Map(
      missing.map(({ mapping }) => {
        const table = displayName(mapping.source);
        return [table, notCreated(table, mapping.target, why)];
      }),
    );
  }
}

function functionsOf(pieces: readonly Piece[]): number[] {
  return pieces.filter(({ address }) => address.type === 'function').map(({ id }) => Number(id.split(' ')[1]));
}

// Indexes and constraints, which come after the rows, may need them too.
function absentFindings(pieces: readonly Piece[], { failures }: Made): Finding[] {
  return pieces.flatMap(({ id, label, bring }) => {
    if (bring === undefined || !failures.has(id)) return [];
    const message = `The ${label}, which followed tables or their indexes need, does not exist on the target, and pgfollow does not create it.`;
    return [complaint('warning', 'target', 'SCHEMA_NOT_CREATED', { message, remedy: bring })];
  });
}

function partitionFindings(pieces: readonly Piece[], { failures }: Made): Finding[] {
  return pieces
    .filter(({ id }) => id.startsWith('partition '))
    .flatMap(({ id, label, sql }) => {
      const reason = failures.get(id);
      if (reason === undefined) return [];
      const said = {
        message: `The ${label} could not be created on the target: ${reason}.`,
        remedy: `${sql?.join(';\n') ?? ''};`,
      };
      return [complaint('warning', 'target', 'SCHEMA_NOT_CREATED', said)];
    });
}

// What an older server does not know cannot be told beforehand, so nothing is tried there.
async function olderTarget(
  target: Client,
  { sourceVersion }: { readonly sourceVersion: number },
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
