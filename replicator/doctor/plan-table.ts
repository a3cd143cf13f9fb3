import type { Client } from 'pg';
import { displayName } from '../catalog/relation.ts';
import type { Config } from '../config/schema.ts';
import { parseRelationName } from '../config/table-pattern.ts';
import { complaint, type Finding } from '../finding.ts';
import type { TablePlan } from '../table-plan.ts';
import { disconnect } from '../postgres/connect.ts';
import { Problem } from '../problem.ts';
import { isThere } from '../schema/make-pieces.ts';
import { planCreation } from '../schema/plan-creation.ts';
import { identifyOverReplication } from '../session/identify.ts';
import { refuseToCopyAgain, refuseUnmanaged } from '../session/table-controls.ts';
import { identifySource, type SourceIdentity } from '../source/identity.ts';
import { wantedTables } from '../source/publication.ts';
import { planReplicaIdentity, type IdentityChange } from '../source/replica-identity.ts';
import { removedOnes } from '../metadata/table-choices.ts';
import { connectToLook } from './connection.ts';
import { classifyCreation, readCreationRights } from './creation.ts';
import { classifyIndexes, readPairs, type Pairs, type TablePair } from './pairs.ts';
import { addSteps, resyncSteps } from './plan-steps.ts';
import { classifyManaged, readSight } from './publishing.ts';
import { classifySourceRights, classifyTargetRights, mayRead, readRights } from './rights.ts';
import { readStanding, type Standing } from './standing.ts';
import { classifyActors, classifyExistingRows, readActors, readFilled } from './target-tables.ts';
import { readTarget, type TargetFacts } from './target-settings.ts';

/**
 * What following one more table would come down to. Looks at both databases in read-only sessions of its own; nothing is
 * changed. Throws what a command to add it would refuse.
 */
export async function planTable(config: Config, name: string): Promise<TablePlan> {
  return await planWith(config, name, 'add');
}

/** The same for a table that is copied again. */
export async function planResync(config: Config, name: string): Promise<TablePlan> {
  return await planWith(config, name, 'resync');
}

async function planWith(config: Config, name: string, what: 'add' | 'resync'): Promise<TablePlan> {
  const purpose = `${config.name} plan`;
  const opening = (['source', 'target'] as const).map((role) => connectToLook(role, config[role].url, purpose));
  const opened = await Promise.allSettled(opening);
  const clients = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  try {
    const [source, target] = await Promise.all(opening);
    if (!source || !target) throw new Error('two sessions were opened');
    return await look({ config, source, target }, name, what);
  } finally {
    await Promise.all(clients.map((client) => disconnect(client)));
  }
}

interface Sight {
  readonly config: Config;
  readonly source: Client;
  readonly target: Client;
}

async function look(sight: Sight, name: string, what: 'add' | 'resync'): Promise<TablePlan> {
  const { config, source, target } = sight;
  const { standing } = await readStanding(target, config);
  const asked = { source: parseRelationName(name), followed: true };
  const others = (standing?.choices ?? []).filter((choice) => displayName(choice.source) !== name);
  if (what === 'add' && !removedOnes(standing?.choices ?? []).has(name)) refuseUnmanaged(config, name);
  const identity = await identifySource(source, () => identifyOverReplication(config));
  if (what === 'resync') refuseToCopyAgain(config, identity, name);
  // A target table that is gone is created again by a copy, whatever it held.
  const stored = (standing?.tables ?? []).filter((table) => displayName(table.source) !== name);
  const pairs = await readPairs({ source, target }, config, {
    sourceVersion: identity.version,
    choices: [...others, asked],
    stored,
  });
  const pair = pairs.pairs.find((each) => each.name === name);
  if (!pair) throw notThere(pairs, name);
  const facts = await readTarget(target);
  const rights = pair.target && (await readRights(target, [pair.target.oid])).get(pair.target.oid);
  const readable = pair.target !== null && mayRead(rights ?? undefined);
  const unread: Finding[] = [];
  const names = readable ? await readFilled(target, [pair], (finding) => unread.push(finding)) : null;
  const filled = unread.length > 0 ? null : (names?.has(name) ?? null);
  const ours = filled === true && config.snapshot.copy && (standing?.copied.has(name) ?? false);
  const missing = pairs.missing.some((each) => each.name === name);
  const creates = missing ? await createdFor(sight, pair, pairs) : [];
  const found = [
    ...pairs.findings.filter(({ table }) => table === name),
    ...unread,
    ...(await onSource(sight, pair, { pairs, identity, standing })),
    ...(await onTarget(sight, pair, { facts, standing, identity, missing })),
    ...(what === 'add' && filled && config.snapshot.copy ? existingRows(config, pair, ours) : []),
  ];
  const findings = found.filter(({ level }) => level !== 'ok');
  const changes = identityChanges(pair, pairs);
  const plan = {
    table: name,
    target: displayName(pair.mapping.target),
    possible: findings.every(({ level }) => level !== 'error'),
    rows: pair.source.estimatedRows < 0 ? null : pair.source.estimatedRows,
    bytes: pair.source.bytes,
    identity: identityAfter(pair, changes),
    targetExists: pair.target !== null,
    targetHasRows: filled,
    sourceStatements: changes.map(({ sql }) => `${sql};`),
    creates,
    findings,
  };
  return { ...plan, steps: what === 'add' ? addSteps(plan, config, ours) : resyncSteps(plan) };
}

// Rows of an earlier copy are replaced, unless those of others are to stay among them.
function existingRows(config: Config, pair: TablePair, ours: boolean): Finding[] {
  if (!ours) return classifyExistingRows(config, [pair], new Set([pair.name]));
  if (config.snapshot.existingRows !== 'keep') return [];
  return [
    complaint('error', 'target', 'TARGET_TABLE_NOT_EMPTY', {
      table: pair.name,
      message: `${displayName(pair.mapping.target)} holds rows of an earlier copy, which snapshot.existingRows: keep does not tell from those of others.`,
      remedy: 'Set snapshot.existingRows to truncate or error and start pgfollow again: its rows become those of the source.',
    }),
  ];
}

function notThere({ relations, findings }: Pairs, name: string): Problem {
  if (!relations.some((relation) => displayName(relation) === name)) {
    return new Problem('SOURCE_TABLE_MISSING', `${name} does not exist on the source.`, {
      remedy: 'Check the spelling: schema.table.',
      table: name,
    });
  }
  const why = findings.find(({ table, level }) => table === name && level !== 'ok');
  return new Problem('NOT_POSSIBLE_NOW', why?.message ?? `${name} cannot be followed as a table of its own.`, {
    remedy: why?.remedy ?? 'A partition is followed with its partitioned table: add that.',
    table: name,
    retry: 'transient',
  });
}

async function onSource(
  { config, source }: Sight,
  pair: TablePair,
  { pairs, identity, standing }: { pairs: Pairs; identity: SourceIdentity; standing: Standing | null },
): Promise<Finding[]> {
  const rights = await readRights(source, [pair.source.oid]);
  const sight = await readSight(source, config, identity);
  return [
    ...(config.snapshot.copy ? classifySourceRights([pair], rights, identity.role.name) : []),
    ...classifyManaged(config, identity, { pairs: { ...pairs, pairs: [pair] }, sight, rights, row: standing?.row ?? null }),
  ];
}

async function onTarget(
  { target }: Sight,
  pair: TablePair,
  known: { facts: TargetFacts; standing: Standing | null; identity: SourceIdentity; missing: boolean },
): Promise<Finding[]> {
  const { facts, standing, identity, missing } = known;
  const oids = pair.target ? [pair.target.oid] : [];
  const majors = { source: Math.floor(identity.version / 10_000), target: Math.floor(facts.version / 10_000) };
  const creation = missing
    ? classifyCreation([pair], await readCreationRights(target, [pair.mapping.target.schema]), majors)
    : [];
  return [
    ...creation,
    ...classifyTargetRights([pair], await readRights(target, oids), facts.user),
    ...classifyActors([pair], await readActors(target, oids), { replicaRole: facts.replicaRole === null }),
    ...classifyIndexes([pair], standing?.unbuilt ?? new Set()),
  ];
}

// Only what the target lacks is made.
async function createdFor({ source, target }: Sight, pair: TablePair, { pairs }: Pairs): Promise<string[]> {
  const mappings = pairs.map(({ mapping }) => mapping);
  const pieces = await planCreation({ source, target }, [pair], { mappings, made: new Set() });
  const lacking: string[] = [];
  for (const piece of pieces) if (!(await isThere(target, piece))) lacking.push(piece.label);
  return lacking;
}

function identityChanges({ mapping }: TablePair, { relations }: Pairs): IdentityChange[] {
  return wantedTables([mapping], relations).flatMap(({ relation, partitions, excludeColumns }) =>
    planReplicaIdentity(relation, partitions, excludeColumns),
  );
}

function identityAfter({ source }: TablePair, changes: readonly IdentityChange[]): TablePlan['identity'] {
  const kind = changes.find(({ oid }) => oid === source.oid)?.to.kind ?? source.replicaIdentity;
  if (kind === 'full' || kind === 'index') return kind;
  return kind === 'default' && source.uniqueIndexes.some(({ primary }) => primary) ? 'primary_key' : 'nothing';
}
