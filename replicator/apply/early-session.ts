import type { Client } from 'pg';
import { joinPipeline } from '../metadata/pipeline-row.ts';
import { disconnect } from '../postgres/connect.ts';
import { noticeLostClient } from '../postgres/lost-client.ts';
import { sqlState } from '../postgres/sqlstate.ts';
import { openTargetSession, useCopyOrigin } from './target-session.ts';

/** What is applied early waits for nobody: rather is it applied later. */
const LOCK_TIMEOUT = '200ms';

/**
 * As openTargetSession(), for transactions that are applied before their commit has come. Null where the role may not
 * have such a session do what the main one does: foreign keys off and, with `marked`, an origin.
 */
export async function openEarlySession(options: { url: string; pipeline: string; marked: boolean }): Promise<Client | null> {
  const { client, limits } = await openTargetSession({ url: options.url, pipeline: options.pipeline, purpose: 'early' });
  try {
    if (limits.length > 0) {
      await disconnect(client);
      return null;
    }
    await noticeLostClient(client);
    await joinPipeline(client, options.pipeline);
    if (options.marked) await useCopyOrigin(client, options.pipeline);
    await client.query(`SET lock_timeout = '${LOCK_TIMEOUT}'`);
    return client;
  } catch (error) {
    await disconnect(client);
    if (sqlState(error) !== null) return null;
    throw error;
  }
}
