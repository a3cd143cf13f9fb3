import type { Client } from 'pg';
import type { Config } from '../config/schema.ts';
import { isSameSource, readPipeline, type SourceIdentity } from '../metadata/pipeline-row.ts';
import { Problem } from '../problem.ts';

/**
 * For a pipeline that is new on this target, where the target's rows would be replaced: throws where the source holds the checkpoint of a pipeline of the
 * same name that follows this very target. Then the URLs are the wrong way round, and the newer rows would go. What cannot be read tells nothing.
 */
export async function refuseExchangedEnds({ source, target }: { source: Client; target: Client }, config: Config): Promise<void> {
  const { snapshot, name } = config;
  if (!snapshot.copy || snapshot.existingRows !== 'truncate') return;
  const other = await readPipeline(source, name).catch(() => null);
  if (!other) return;
  const here = await whoIs(target).catch(() => null);
  if (!here || !isSameSource(other.source, here)) return;
  throw new Problem(
    'TARGET_UNSUITABLE',
    `Pipeline "${name}" follows the other way round: ${here.database}, which target.url leads to, is the source of its checkpoint in the database that ` +
      `source.url leads to. snapshot.existingRows: truncate would take away the rows of that source.`,
    {
      remedy:
        'If source.url and target.url were exchanged by mistake, exchange them again. If the direction is meant to change: pgfollow teardown with the former URLs first, or give this pipeline another name.',
    },
  );
}

async function whoIs(target: Client): Promise<SourceIdentity | null> {
  const { rows } = await target.query<SourceIdentity>(
    `SELECT system_identifier::text AS "systemIdentifier", pg_catalog.current_database() AS database FROM pg_catalog.pg_control_system()`,
  );
  return rows[0] ?? null;
}
