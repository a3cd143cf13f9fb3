import type { Client } from 'pg';
import { useCopyOrigin, useReplicaRole } from '../apply/target-session.ts';
import { joinPipeline } from '../metadata/pipeline-row.ts';
import { connect, destroySocket, disconnect } from '../postgres/connect.ts';
import { noticeLostClient } from '../postgres/lost-client.ts';
import { quoteLiteral } from '../postgres/quote.ts';
import { SQLSTATE, sqlState } from '../postgres/sqlstate.ts';
import { Problem } from '../problem.ts';

/** A connection to each side, for one worker. */
export interface CopyEnds {
  readonly source: Client;
  readonly target: Client;
  /** The role may not set session_replication_role: foreign keys are checked, and what they cascade to is changed. */
  readonly checksForeignKeys: boolean;
}

export interface CopyUrls {
  readonly sourceUrl: string;
  readonly targetUrl: string;
  readonly pipeline: string;
  /** Rows carry a replication origin of the pipeline's, so that a pipeline in the other direction can leave them out. */
  readonly marked: boolean;
}

export async function openCopyEnds({ sourceUrl, targetUrl, pipeline, marked }: CopyUrls): Promise<CopyEnds> {
  const source = await connect({ role: 'source', url: sourceUrl, purpose: `${pipeline} copy` });
  try {
    return { source, ...(await openCopyTarget({ targetUrl, pipeline, marked })) };
  } catch (error) {
    await disconnect(source);
    throw error;
  }
}

/** A connection of the target that may write to its tables: no session that follows begins before it has ended. */
export async function openCopyTarget({
  targetUrl,
  pipeline,
  marked,
}: Omit<CopyUrls, 'sourceUrl'>): Promise<Omit<CopyEnds, 'source'>> {
  const settings = { synchronous_commit: 'off' };
  const target = await connect({ role: 'target', url: targetUrl, purpose: `${pipeline} copy`, settings });
  try {
    const checksForeignKeys = (await useReplicaRole(target)) !== null;
    await noticeLostClient(target);
    await joinPipeline(target, pipeline);
    if (marked) await useCopyOrigin(target, pipeline);
    return { target, checksForeignKeys };
  } catch (error) {
    await disconnect(target);
    throw error;
  }
}

/** What servers of different versions say of a snapshot whose session has ended. */
const GONE: ReadonlySet<string | null> = new Set([
  SQLSTATE.invalid_parameter_value,
  SQLSTATE.undefined_object,
  SQLSTATE.object_not_in_prerequisite_state,
]);

/** Begins a transaction of the source as of an exported snapshot, in place of the one before. */
export async function beginOn(source: Client, snapshotName: string): Promise<void> {
  await source.query('ROLLBACK; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  await source.query(`SET TRANSACTION SNAPSHOT ${quoteLiteral(snapshotName)}`).catch((error: unknown) => {
    if (!GONE.has(sqlState(error))) throw error;
    throw new Problem('SNAPSHOT_LOST', 'The connection to the source that held the snapshot of a copy was lost.', {
      cause: error,
      retry: 'transient',
      remedy: 'Nothing to do: what was left of the copy is made again, as of another snapshot.',
    });
  });
}

/** Whatever they are doing: a COPY that is half read has no end to wait for. */
export async function closeCopyEnds(ends: CopyEnds): Promise<void> {
  cutCopyEnds(ends);
  await Promise.all([disconnect(ends.source), disconnect(ends.target)]);
}

export function cutCopyEnds({ source, target }: CopyEnds): void {
  destroySocket(source);
  destroySocket(target);
}
