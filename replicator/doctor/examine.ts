import type { Client } from 'pg';
import type { Config } from '../config/schema.ts';
import { complaint, fine, ofProblem, type Finding } from '../finding.ts';
import { disconnect } from '../postgres/connect.ts';
import { pinnedUrl } from '../postgres/hosts.ts';
import { describeError } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';
import { identifyOverReplication, refuseSameDatabase } from '../session/identify.ts';
import { identifySource, type SourceIdentity } from '../source/identity.ts';
import { waitingFor } from '../source/create-slot.ts';
import { readSlot, type SlotState } from '../source/slot.ts';
import { classifyTransactions } from './activity.ts';
import { classifyEventTriggers, readEventTriggers } from './event-triggers.ts';
import { classifyCreation, readCreationRights } from './creation.ts';
import { isLocal, reach, replicationRefused } from './connection.ts';
import { classifyConfig, examineDisk, examinePasswordFiles } from './here.ts';
import { classifyIndexes, readPairs, type Pairs, type TablePair } from './pairs.ts';
import { classifyManaged, examineUnmanaged, readSight } from './publishing.ts';
import { classifySourceRights, classifyTargetRights, mayRead, readRights } from './rights.ts';
import { classifySequences, readSequenceSight } from './sequences.ts';
import { classifySource, readSourceSettings } from './source-settings.ts';
import { classifyBystanders, classifyToast, readBystanders, readToasted } from './source-tables.ts';
import { classifyStanding, readReader, readStanding, type Standing } from './standing.ts';
import { classifySurroundings, readSurroundings } from './surroundings.ts';
import { classifyActors, classifyExistingRows, readActors, readFilled, uncopied } from './target-tables.ts';
import { classifyTarget, readTarget, type TargetFacts } from './target-settings.ts';
import { classifyTypes, readTypeRules, ruledTypes } from './type-differences.ts';

/**
 * Looks at configuration, network, source and target, and says what it finds; sessions are read-only, so that nothing is
 * changed. What one check cannot find out holds up no other. `signal` ends it early, with what is known by then.
 */
export async function examine(given: Config, options: { signal?: AbortSignal } = {}): Promise<Finding[]> {
  const report = new Report(options.signal);
  report.add(classifyConfig(given), examinePasswordFiles(given));
  const purpose = `${given.name} doctor`;
  const [source, target] = await Promise.all([
    reach('source', given.source.url, purpose),
    reach('target', given.target.url, purpose),
  ]);
  const cut = (): void => {
    void disconnect(source.client);
    void disconnect(target.client);
  };
  options.signal?.addEventListener('abort', cut, { once: true });
  try {
    report.add(source.findings, target.findings);
    const [x, y] = [source.client, target.client];
    // Of several hosts, the one that was found.
    const config = x ? { ...given, source: { url: pinnedUrl(given.source.url, x) } } : given;
    if (x && y && !(await report.check('target', async () => [await differ(x, y)]))) return report.findings;
    const facts = y && (await lookAtTarget(report, y, config));
    const standing = y && (await report.get('target', () => readStanding(y, config)));
    report.add(standing?.findings ?? []);
    if (x) await lookAtSource(report, x, { config, target: y, facts, standing: standing?.standing ?? null });
    return report.findings;
  } finally {
    options.signal?.removeEventListener('abort', cut);
    await Promise.all([disconnect(source.client), disconnect(target.client)]);
  }
}

/** Gathers findings; a check that fails is a finding itself. */
class Report {
  readonly findings: Finding[] = [];
  readonly #signal: AbortSignal | undefined;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  add(...groups: (readonly Finding[])[]): void {
    this.findings.push(...groups.flat());
  }

  /** Runs a check; false where it found an error, or could not be made. */
  async check(where: 'source' | 'target', look: () => Promise<Finding[]>): Promise<boolean> {
    const found = await this.get(where, look);
    this.add(found ?? []);
    return found !== null && found.every(({ level }) => level !== 'error');
  }

  /** What `look` gives; null where it could not be found out. */
  async get<T>(where: 'source' | 'target', look: () => Promise<T>): Promise<T | null> {
    if (this.#signal?.aborted) return null;
    try {
      return await look();
    } catch (error) {
      if (this.#signal?.aborted) return null;
      this.add([error instanceof Problem ? ofProblem(where, error) : failed(where, error)]);
      return null;
    }
  }
}

function failed(where: 'source' | 'target', error: unknown): Finding {
  return complaint('warning', where, 'CHECK_FAILED', {
    message: `A check of the ${where} could not be made: ${describeError(error)}`,
    remedy: `Let the role of ${where}.url do what the message names, or look at it yourself.`,
  });
}

async function differ(source: Client, target: Client): Promise<Finding> {
  await refuseSameDatabase(source, target);
  return fine('config', 'SAME_DATABASE', 'Source and target are two databases.');
}

async function lookAtTarget(report: Report, target: Client, config: Config): Promise<TargetFacts | null> {
  const facts = await report.get('target', () => readTarget(target));
  if (facts) report.add(classifyTarget(facts, { originNone: config.origin === 'none' }));
  return facts;
}

interface Known {
  readonly config: Config;
  readonly target: Client | null;
  readonly facts: TargetFacts | null;
  readonly standing: Standing | null;
}

async function lookAtSource(report: Report, source: Client, known: Known): Promise<void> {
  const { config, standing } = known;
  const identity = await report.get('source', () => identifySource(source, () => identifyOverReplication(config)));
  if (!identity) return;
  const tooOld = identity.version < 140000;
  const slot = tooOld ? null : await report.get('source', () => readSlot(source, config.slot.name));
  await report.check('source', async () => {
    const needs = {
      slotExists: slot !== null,
      managedPublication: config.publication.managed,
      originNone: config.origin === 'none',
    };
    return classifySource(identity, await readSourceSettings(source), needs);
  });
  if (tooOld) return;
  if (mayReplicate(identity)) await report.check('source', async () => [await replicationConnection(config)]);
  await report.check('source', async () => classifyTransactions(await waitingFor(source, 0), { slotExists: slot !== null }));
  if (standing) await report.check('source', () => lookAtStanding(source, identity, { config, standing, slot }));
  const options = { sourceVersion: identity.version, choices: standing?.choices ?? [], stored: standing?.tables ?? [] };
  const pairs = await report.get('source', () => readPairs({ source, target: known.target }, config, options));
  if (!pairs) return;
  report.add(pairs.findings);
  await lookAtSourceTables(report, source, { ...known, identity, pairs });
  if (known.target) await lookAtTargetTables(report, known.target, { ...known, source, identity, pairs });
}

function majorOf(version: number): number {
  return Math.floor(version / 10_000);
}

// Where it may not, that is said already.
function mayReplicate({ role, walSenders }: SourceIdentity): boolean {
  return (role.superuser || role.replication) && walSenders.free > 0;
}

async function replicationConnection(config: Config): Promise<Finding> {
  try {
    await identifyOverReplication(config);
    return fine('network', 'REPLICATION_CONNECTION', 'The source takes a replication connection from here.');
  } catch (error) {
    return replicationRefused(error);
  }
}

async function lookAtStanding(
  source: Client,
  identity: SourceIdentity,
  { config, standing, slot }: { config: Config; standing: Standing; slot: SlotState | null },
): Promise<Finding[]> {
  const reader = slot && (await readReader(source, slot));
  return classifyStanding(config, identity, standing, { slot, reader });
}

interface Tables extends Known {
  readonly identity: SourceIdentity;
  readonly pairs: Pairs;
}

async function lookAtSourceTables(report: Report, source: Client, { config, identity, standing, pairs }: Tables): Promise<void> {
  const oids = pairs.pairs.map((pair) => pair.source.oid);
  await report.check('source', async () => {
    const rights = await readRights(source, oids);
    const findings = config.snapshot.copy ? classifySourceRights(pairs.pairs, rights, identity.role.name) : [];
    if (!config.publication.managed) return [...findings, ...(await examineUnmanaged(source, config, pairs))];
    const sight = await readSight(source, config, identity);
    return [...findings, ...classifyManaged(config, identity, { pairs, sight, rights, row: standing?.row ?? null })];
  });
  await report.check('source', async () => classifyToast(pairs.pairs, await readToasted(source, oids)));
  await report.check('source', async () => classifyBystanders(await readBystanders(source), config));
  await report.check('source', async () => {
    const { managed } = config.publication;
    const firing = await readEventTriggers(source, 'source');
    return classifyEventTriggers('source', managed ? firing : firing.filter(({ event }) => event === 'login'));
  });
}

async function lookAtTargetTables(report: Report, target: Client, known: Tables & { readonly source: Client }): Promise<void> {
  const { config, facts, identity, pairs, source, standing } = known;
  const oids = pairs.pairs.flatMap((pair) => (pair.target ? [pair.target.oid] : []));
  const user = facts?.user ?? '';
  report.add(classifyIndexes(pairs.pairs, standing?.unbuilt ?? new Set()));
  await report.check('target', async () => {
    const schemas = pairs.missing.map(({ mapping }) => mapping.target.schema);
    const majors = { source: majorOf(identity.version), target: majorOf(facts?.version ?? identity.version) };
    return classifyCreation(pairs.missing, await readCreationRights(target, schemas), majors);
  });
  await report.check('target', async () => classifyEventTriggers('target', await readEventTriggers(target, 'target')));
  const rights = await report.get('target', () => readRights(target, oids));
  if (rights) report.add(classifyTargetRights(pairs.pairs, rights, user));
  const replicaRole = facts?.replicaRole === null;
  await report.check('target', async () => classifyActors(pairs.pairs, await readActors(target, oids), { replicaRole }));
  if (config.sequences === 'on' || (config.sequences === 'auto' && config.origin === 'any')) {
    await report.check('target', async () =>
      classifySequences(await readSequenceSight({ source, target }, pairs.pairs), { source: identity.role.name, target: user }),
    );
  }
  const empty = uncopied(pairs.pairs, standing ?? { tables: [], copied: new Set() });
  const readable = empty.filter(({ target: relation }) => relation !== null && mayRead(rights?.get(relation.oid)));
  if (config.snapshot.copy) {
    await report.check('target', async () => {
      const unread = new Map<TablePair, Finding>();
      const filled = await readFilled(target, readable, (finding, pair) => unread.set(pair, finding));
      const read = readable.filter((pair) => !unread.has(pair));
      return [...unread.values(), ...classifyExistingRows(config, read, filled)];
    });
    const needed = [...empty, ...pairs.missing].reduce((sum, pair) => sum + pair.source.bytes, 0);
    await report.check('target', () => examineDisk(target, needed, isLocal(target.host)));
  }
  await report.check('target', async () =>
    classifySurroundings(
      await readSurroundings(source, identity.version),
      await readSurroundings(target, facts?.version ?? 140000),
    ),
  );
  await report.check('target', async () => {
    const types = ruledTypes(pairs.pairs.flatMap(({ columns }) => columns ?? []));
    return classifyTypes(types, {
      source: await readTypeRules(
        source,
        types.map((pair) => pair.source.oid),
      ),
      target: await readTypeRules(
        target,
        types.map((pair) => pair.target.oid),
      ),
    });
  });
}
