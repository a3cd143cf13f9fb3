import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { formatLsn, parseLsn, type Lsn, type Timeline } from '../postgres/lsn.ts';
import { quoteLiteral } from '../postgres/quote.ts';
import { Problem } from '../problem.ts';

/** Which source database a pipeline follows. A checkpoint means nothing on any other. */
export interface SourceIdentity {
  readonly systemIdentifier: string;
  readonly database: string;
}

/** One row of pgfollow.pipeline, with its checkpoint. */
export interface PipelineRow {
  readonly source: SourceIdentity;
  readonly slot: string;
  readonly publicationCreated: boolean;
  /** What that was named; null where it was not noted. */
  readonly publication: string | null;
  readonly slotCreated: boolean;
  /** The slot's position is known, and the checkpoint speaks. */
  readonly snapshotFinished: boolean;
  /** Every table that was there at the beginning has been copied, or given up, once. */
  readonly firstCopyDone: boolean;
  readonly paused: boolean;
  /** Null until the slot's position is known. */
  readonly checkpoint: Lsn | null;
  /** When the source committed the last transaction that changed a row here; ms since 1970. */
  readonly sourceCommittedAtMs: number | null;
  /** Of the source, as was noted last; null where it was not. */
  readonly timeline: Timeline | null;
}

interface Row {
  source_system_identifier: string;
  source_database: string;
  slot: string;
  publication_created: boolean;
  publication: string | null;
  slot_created: boolean;
  snapshot_finished: boolean;
  first_copy_done: boolean;
  paused: boolean;
  applied_lsn: string | null;
  source_committed_at: Date | null;
  source_timeline: string | null;
  source_timeline_until: string | null;
}

/** Reads the pipeline's row and checkpoint; null when this pipeline never ran against this target. */
export async function readPipeline(target: Client, name: string): Promise<PipelineRow | null> {
  const { rows } = await target.query<Row>(
    `SELECT p.source_system_identifier, p.source_database, p.slot, p.publication_created, p.publication, p.slot_created,
            p.snapshot_finished, p.first_copy_done, p.paused, c.applied_lsn::text AS applied_lsn, c.source_committed_at,
            p.source_timeline::text AS source_timeline, p.source_timeline_until::text AS source_timeline_until
       FROM pgfollow.pipeline p LEFT JOIN pgfollow.checkpoint c ON c.pipeline = p.name
      WHERE p.name = $1`,
    [name],
  );
  const row = rows[0];
  if (!row) return null;
  return {
    source: { systemIdentifier: row.source_system_identifier, database: row.source_database },
    slot: row.slot,
    publicationCreated: row.publication_created,
    publication: row.publication,
    slotCreated: row.slot_created,
    snapshotFinished: row.snapshot_finished,
    firstCopyDone: row.first_copy_done,
    paused: row.paused,
    checkpoint: row.applied_lsn === null ? null : parseLsn(row.applied_lsn),
    sourceCommittedAtMs: row.source_committed_at?.getTime() ?? null,
    timeline:
      row.source_timeline === null
        ? null
        : {
            id: Number(row.source_timeline),
            until: row.source_timeline_until === null ? null : parseLsn(row.source_timeline_until),
          },
  };
}

/** Remembers a new pipeline: which source and slot its checkpoint will belong to. */
export async function createPipeline(target: Client, name: string, source: SourceIdentity, slot: string): Promise<void> {
  await target.query(
    'INSERT INTO pgfollow.pipeline (name, source_system_identifier, source_database, slot) VALUES ($1, $2, $3, $4)',
    [name, source.systemIdentifier, source.database, slot],
  );
}

/** Notes what we made on the source, before it is made, so that a crash in between leaves nothing unknown. */
export async function markPipeline(
  target: Client,
  name: string,
  what: 'slot_created' | 'first_copy_done' | 'paused',
  value: boolean,
): Promise<void> {
  await target.query(`UPDATE pgfollow.pipeline SET ${what} = $2 WHERE name = $1`, [name, value]);
}

/** Notes that the pipeline has made the publication, or taken it over, and so may drop it. */
export async function notePublication(target: Client, name: string, publication: string): Promise<void> {
  await target.query('UPDATE pgfollow.pipeline SET publication_created = true, publication = $2 WHERE name = $1', [
    name,
    publication,
  ]);
}

/** Whether this publication is one that the pipeline has made. */
export function hasMade({ publicationCreated, publication }: PipelineRow, name: string): boolean {
  return publicationCreated && (publication === null || publication === name);
}

/** Before anything of this timeline is applied, so durably. What is known beyond the checkpoint is of no use. */
export async function noteTimeline(target: Client, name: string, { id, until }: Timeline): Promise<void> {
  const pipeline = quoteLiteral(name);
  const reached =
    until === null
      ? 'NULL'
      : `LEAST('${formatLsn(until)}'::pg_catalog.pg_lsn, (SELECT applied_lsn FROM pgfollow.checkpoint WHERE pipeline = ${pipeline}))`;
  await target.query(
    `SET LOCAL synchronous_commit = local;
     UPDATE pgfollow.pipeline SET source_timeline = ${id}, source_timeline_until = ${reached} WHERE name = ${pipeline}`,
  );
}

/** What was noted of the publications' own rows (see readPublicationRows); null where nothing was. */
export async function readNotedPublications(target: Client, name: string): Promise<readonly string[] | null> {
  const { rows } = await target.query<{ noted: string[] | null }>(
    'SELECT publication_rows AS noted FROM pgfollow.pipeline WHERE name = $1',
    [name],
  );
  return rows[0]?.noted ?? null;
}

/** Notes the publications' own rows. */
export async function notePublications(target: Client, name: string, seen: readonly string[]): Promise<void> {
  await target.query('UPDATE pgfollow.pipeline SET publication_rows = $2 WHERE name = $1', [name, seen]);
}

/**
 * The slot's position is where the checkpoint begins. In one transaction, synchronously durable, with what `work` notes of the
 * tables.
 */
export async function startCheckpoint(
  target: Client,
  name: string,
  { position, firstCopyDone }: { position: string; firstCopyDone: boolean },
  work: () => Promise<void> = async () => {},
): Promise<void> {
  await target.query('BEGIN');
  await target.query('SET LOCAL synchronous_commit = local');
  await work();
  await target.query('UPDATE pgfollow.pipeline SET snapshot_finished = true, first_copy_done = $2 WHERE name = $1', [
    name,
    firstCopyDone,
  ]);
  await target.query(
    `INSERT INTO pgfollow.checkpoint (pipeline, applied_lsn) VALUES ($1, $2::pg_catalog.pg_lsn)
     ON CONFLICT (pipeline) DO UPDATE SET applied_lsn = EXCLUDED.applied_lsn, source_committed_at = NULL`,
    [name, position],
  );
  await target.query('COMMIT');
}

export function isSameSource(a: SourceIdentity, b: SourceIdentity): boolean {
  return a.systemIdentifier === b.systemIdentifier && a.database === b.database;
}

/** Throws FOREIGN_CHECKPOINT when the row belongs to another source or slot (invariant 8). */
export function checkSameSource(name: string, row: PipelineRow, source: SourceIdentity, slot: string): void {
  const mine = row.source;
  if (isSameSource(mine, source) && row.slot === slot) return;
  throw new Problem(
    'FOREIGN_CHECKPOINT',
    `The checkpoint of pipeline "${name}" on the target belongs to database "${mine.database}" of server ${mine.systemIdentifier}, slot "${row.slot}"; ` +
      `the source is database "${source.database}" of server ${source.systemIdentifier}, slot "${slot}".`,
    {
      remedy:
        `If the source was restored or replaced, copy again: pgfollow teardown --yes, then pgfollow run with snapshot.existingRows: truncate. ` +
        `If it is the wrong source, correct source.url; if this is another pipeline, give it another name.`,
    },
  );
}

/**
 * Takes the pipeline for this session: a second pgfollow of the same name must not apply at the same time, and the
 * backends of one that was killed must be gone before anything is read of what they may still commit. Held by the
 * connection that applies, so it ends with the last thing that connection could still commit; those that copy hold
 * a share of a second lock (joinPipeline). Waits up to `waitMs` (5 s), then throws PIPELINE_LOCKED.
 */
export async function lockPipeline(target: Client, name: string, { waitMs = 5000 }: { waitMs?: number } = {}): Promise<void> {
  const end = Date.now() + waitMs;
  for (const lock of [APPLYING, COPYING]) {
    while (!(await tryLock(target, lock, name))) {
      if (Date.now() >= end) throw await lockedProblem(target, lock, name);
      await sleep(100);
    }
  }
  // Nobody copies any more; our own copies are to come.
  await target.query(`SELECT pg_catalog.pg_advisory_unlock(pg_catalog.hashtext($1), pg_catalog.hashtext($2))`, [COPYING, name]);
}

/** For every other connection that writes to the target's tables in this session. */
export async function joinPipeline(target: Client, name: string): Promise<void> {
  await target.query(`SELECT pg_catalog.pg_advisory_lock_shared(pg_catalog.hashtext($1), pg_catalog.hashtext($2))`, [
    COPYING,
    name,
  ]);
}

const APPLYING = 'pgfollow';
const COPYING = 'pgfollow copy';

async function tryLock(target: Client, lock: string, name: string): Promise<boolean> {
  const { rows } = await target.query<{ locked: boolean }>(
    `SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtext($1), pg_catalog.hashtext($2)) AS locked`,
    [lock, name],
  );
  return rows[0]?.locked ?? false;
}

async function lockedProblem(target: Client, lock: string, name: string): Promise<Problem> {
  const { rows } = await target.query<{ pid: number; client: string | null; since: string }>(
    `SELECT a.pid, a.client_addr::text AS client, a.backend_start::text AS since
       FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
      WHERE l.locktype = 'advisory' AND l.granted AND l.pid <> pg_catalog.pg_backend_pid()
        AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
        AND l.classid::bigint = (pg_catalog.hashtext($1)::bigint & 4294967295)
        AND l.objid::bigint = (pg_catalog.hashtext($2)::bigint & 4294967295)`,
    [lock, name],
  );
  const [other] = rows;
  return new Problem(
    'PIPELINE_LOCKED',
    `Pipeline "${name}" is already being applied to this target` +
      (other ? ` by backend ${other.pid}, connected from ${other.client ?? 'a socket'} since ${other.since}.` : '.'),
    {
      retry: 'transient',
      remedy:
        `Stop the other pgfollow, or give this one another name. If it is dead and only its connection is left: ` +
        `SELECT pg_terminate_backend(${other?.pid ?? '<pid>'}) on the target.`,
    },
  );
}
