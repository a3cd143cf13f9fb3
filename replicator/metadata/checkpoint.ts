import { quoteLiteral } from '../postgres/quote.ts';
import { formatLsn, type Lsn } from '../postgres/lsn.ts';

export interface CheckpointMove {
  readonly pipeline: string;
  readonly from: Lsn;
  readonly to: Lsn;
  /** Commit time of the last transaction; null leaves it as it was. */
  readonly sourceCommittedAtMs: number | null;
}

/** The target's clock in seconds since 1970, to the microsecond: before and after a commit, so that its time is known. */
export const CLOCK_SQL = `pg_catalog.date_part('epoch', pg_catalog.clock_timestamp())`;

/**
 * Moves the checkpoint, and fails (division by zero) when it is not where we left it: then somebody else has applied
 * to this target, or it was restored, and nothing of this transaction may be committed. One statement, so that it can
 * be sent with the rows it covers.
 */
export function moveCheckpointSql(move: CheckpointMove): string {
  const committedAt =
    move.sourceCommittedAtMs === null
      ? 'source_committed_at'
      : `${quoteLiteral(new Date(move.sourceCommittedAtMs).toISOString())}::pg_catalog.timestamptz`;
  return (
    `WITH moved AS (UPDATE pgfollow.checkpoint SET applied_lsn = '${formatLsn(move.to)}', source_committed_at = ${committedAt}, ` +
    `written_at = pg_catalog.clock_timestamp() WHERE pipeline = ${quoteLiteral(move.pipeline)} AND applied_lsn = '${formatLsn(move.from)}' RETURNING 1) ` +
    `SELECT 1 / pg_catalog.count(*), ${CLOCK_SQL} FROM moved`
  );
}
