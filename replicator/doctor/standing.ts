import type { Client } from 'pg';
import type { Config } from '../config/schema.ts';
import { complaint, fine, ofProblem, type Finding } from '../finding.ts';
import { checkSameSource, readPipeline, type PipelineRow } from '../metadata/pipeline-row.ts';
import { metadataFault, readMetadataRights, type MetadataRights } from '../metadata/rights.ts';
import { readCreatedTables } from '../metadata/created-tables.ts';
import { readChoices, type TableChoice } from '../metadata/table-choices.ts';
import { readCopied, readTables, type StoredTable } from '../metadata/table-states.ts';
import { formatLsn } from '../postgres/lsn.ts';
import { missingMigrations } from '../postgres/migrate.ts';
import { SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';
import type { SourceIdentity } from '../source/identity.ts';
import type { SlotState } from '../source/slot.ts';
import { slotVerdict } from '../source/slot-verdict.ts';

/** What the target knows of the pipeline. */
export interface Standing {
  /** Null where it never ran. */
  readonly row: PipelineRow | null;
  readonly choices: readonly TableChoice[];
  readonly tables: readonly StoredTable[];
  /** Tables that it has copied once, also those that are no longer followed, by display name of the source table. */
  readonly copied: ReadonlySet<string>;
  /** Target tables of our making whose keys and indexes are still to come, by display name. */
  readonly unbuilt: ReadonlySet<string>;
  /** A pgfollow of this name is connected. */
  readonly running: boolean;
}

/** Reads schema pgfollow; `standing` is null where it is there and cannot be read. */
export async function readStanding(target: Client, config: Config): Promise<{ standing: Standing | null; findings: Finding[] }> {
  const running = await isRunning(target, config.name);
  const rights = await readMetadataRights(target);
  const findings = classifyMetadata(rights);
  if (!rights.exists)
    return { standing: { row: null, choices: [], tables: [], copied: new Set(), unbuilt: new Set(), running }, findings };
  if (!rights.usage) return { standing: null, findings };
  try {
    const missing = await missingMigrations(target);
    if (missing.length > 0) {
      findings.push(fine('target', 'METADATA', `Schema pgfollow will be brought up to date: ${missing.join(', ')}.`));
    }
    const row = await orNothing(readPipeline(target, config.name), null);
    const choices = await orNothing(readChoices(target, config.name), []);
    const tables = await orNothing(readTables(target, config.name), []);
    const copied = await orNothing(readCopied(target, config.name), new Set<string>());
    const created = await orNothing(readCreatedTables(target, config.name), new Map());
    const unbuilt = new Set([...created].flatMap(([name, { built }]) => (built ? [] : [name])));
    return { standing: { row, choices, tables, copied, unbuilt, running }, findings };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { standing: null, findings: [...findings, ofProblem('target', error)] };
  }
}

/** Pure: whether schema pgfollow is there, or can be made. */
export function classifyMetadata(rights: MetadataRights): Finding[] {
  const fault = metadataFault(rights);
  if (fault) return [complaint('error', 'target', 'METADATA', fault)];
  return [
    fine('target', 'METADATA', rights.exists ? 'Schema pgfollow is there.' : 'Schema pgfollow will be made at the first start.'),
  ];
}

/** The slot as it is, and who reads from it. */
export interface SlotSight {
  readonly slot: SlotState | null;
  /** application_name of the reader. */
  readonly reader: string | null;
}

/** Pure: whether this pipeline can go on from where it stands with this slot. */
export function classifyStanding(
  config: Config,
  source: SourceIdentity,
  { row, running }: Standing,
  { slot, reader }: SlotSight,
): Finding[] {
  const name = config.slot.name;
  const active = running ? ', and is running' : '';
  const checkpoint = row?.snapshotFinished ? row.checkpoint : null;
  const stands = fine(
    'target',
    'PIPELINE',
    row === null
      ? `Pipeline ${config.name} has not run against this target yet.`
      : checkpoint === null
        ? `Pipeline ${config.name} has begun its first copy${active}.`
        : `Pipeline ${config.name} stands at ${formatLsn(checkpoint)}${active}.`,
  );
  const foreign = row && problemOf(() => checkSameSource(config.name, row, source, name));
  if (foreign) return [ofProblem('target', foreign)];
  // A first copy that was interrupted makes its slot anew.
  if (checkpoint === null && (slot === null || (row?.slotCreated && slot.plugin === 'pgoutput')))
    return [stands, fine('source', 'SLOT', `The slot ${name} will be made for the first copy.`)];
  const ours = slot !== null && slot.active && reader !== null && reader.startsWith(`pgfollow ${config.name} `);
  const verdict = slotVerdict(ours ? { ...slot, active: false } : slot, { checkpoint, database: source.database }, name);
  if (verdict !== 'ok') return [stands, ofProblem('source', verdict)];
  return slot === null ? [stands] : [stands, slotHealth(slot)];
}

function slotHealth(slot: SlotState): Finding {
  const kept = `keeps ${megabytes(slot.retainedBytes ?? 0)} of WAL`;
  if (slot.walStatus !== 'unreserved') {
    const left = slot.safeWalSize === null ? '' : `, ${megabytes(slot.safeWalSize)} more may be written before it is in danger`;
    return fine('source', 'SLOT', `The slot ${slot.name} is there and ${kept}${left}.`);
  }
  return complaint('warning', 'source', 'SLOT', {
    message: `The slot ${slot.name} ${kept}, more than max_slot_wal_keep_size: it is lost at the next checkpoint of the source.`,
    remedy: `Let pgfollow run now, and raise the bound: ALTER SYSTEM SET max_slot_wal_keep_size = '${Math.ceil(((slot.retainedBytes ?? 0) * 2) / 1024 ** 3)}GB'; SELECT pg_reload_conf();`,
  });
}

/** application_name of whoever reads from the slot. */
export async function readReader(source: Client, { activePid }: SlotState): Promise<string | null> {
  if (activePid === null) return null;
  const { rows } = await source.query<{ name: string | null }>(
    'SELECT application_name AS name FROM pg_catalog.pg_stat_activity WHERE pid = $1',
    [activePid],
  );
  return rows[0]?.name ?? null;
}

async function isRunning(target: Client, pipeline: string): Promise<boolean> {
  const { rows } = await target.query<{ running: boolean }>(
    `SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_activity
       WHERE datname = pg_catalog.current_database() AND application_name = $1) AS running`,
    [`pgfollow ${pipeline} apply`.slice(0, 63)],
  );
  return rows[0]?.running ?? false;
}

/** Tables that a migration is still to make. */
async function orNothing<T>(reading: Promise<T>, nothing: T): Promise<T> {
  return reading.catch((error: unknown) => {
    const state = sqlState(error);
    if (state === SQLSTATE.undefined_table || state === SQLSTATE.undefined_column) return nothing;
    throw error;
  });
}

function problemOf(check: () => void): Problem | null {
  try {
    check();
    return null;
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MB`;
}
